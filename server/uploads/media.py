"""Media: how a whole body becomes the bytes of an upload that exists.

A body that was sent in part, or whole, may be sent again: what is stored of it already is met as
duplicates. Where it differs from what is stored, it takes the place of that. It owns this rule. It
refuses to know HTTP, and whether the bytes are the ones that were announced: finishing tells.
Source: page 4 of the design, `/v1/media`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from lading.protocol.digests import crc32c
from lading.protocol.errors import ChunkConflict, TooLarge
from lading.protocol.manifest import Manifest, fills_cell
from lading.server.uploads.uploads import OpenUpload, Uploads

_OTHERS = "Different bytes were sent for this file at the same time; send it again."


async def store(uploads: Uploads, upload: OpenUpload, cells: AsyncIterator[bytes]) -> None:
    """Store a body that comes in whole cells; the end of one that is too short is left out.

    On return what is stored agrees with the body as far as that goes. Raises what `Uploads.write`
    raises, TooLarge for more bytes than the upload has, and ChunkConflict when different bytes
    were sent at the same time.
    """
    first = upload.manifest
    mine, size, position, replaced_from = first.attempt, first.size, 0, 0
    assert size is not None
    async for data in cells:
        if position + len(data) > size:
            raise TooLarge(f"The file was announced with {size} bytes.", limit=size)
        if not fills_cell(position, len(data), first.chunk_size, size):
            break
        try:
            await _write(uploads, upload, position, data)
        except ChunkConflict:
            if upload.manifest.attempt != first.attempt:
                raise ChunkConflict(_OTHERS) from None
            replaced_from = position
            await uploads.begin_again(upload)
            mine = upload.manifest.attempt
            await _write(uploads, upload, position, data)
        position += len(data)
    if replaced_from and position == size:
        await _carry_over(uploads, upload, first, replaced_from)
    await uploads.touch(upload, at_once=True)
    if upload.manifest.attempt != mine:
        raise ChunkConflict(_OTHERS)


async def _carry_over(uploads: Uploads, upload: OpenUpload, source: Manifest, end: int) -> None:
    """Copy the bytes before `end`, which are the same in both attempts."""
    position = 0
    async for data in uploads.read(source, 0, end):
        await _write(uploads, upload, position, data)
        position += len(data)


async def _write(uploads: Uploads, upload: OpenUpload, position: int, data: bytes) -> None:
    await uploads.write(upload, position, data, crc32c(data))
