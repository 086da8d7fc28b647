"""Media: how a whole body becomes the bytes of an upload that exists.

A body that was sent in part, or whole, may be sent again: pieces that are stored already are met as
duplicates. Where it differs from what is stored, it replaces that. Whether the bytes are the ones
that were announced is not decided here, but when the upload is finished.
Source: page 4 of the design, `/v1/media`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from lading.protocol.digests import crc32c
from lading.protocol.errors import ChunkConflict
from lading.protocol.manifest import Manifest, fills_cell
from lading.server.uploads.intake import Budget, Intake
from lading.server.uploads.open_uploads import OpenUpload
from lading.server.uploads.uploads import Uploads

_OTHERS = "Different bytes were sent for this file at the same time; send it again."


async def store(
    uploads: Uploads, upload: OpenUpload, body: AsyncIterator[bytes], budget: Budget
) -> None:
    """Store a body. An end that does not fill its cell is left out.

    On return the stored bytes agree with the body as far as it reached. Raises what
    `Uploads.write` raises, TooLarge for more bytes than the upload has, and ChunkConflict when
    different bytes were sent at the same time.
    """
    first, intake = upload.manifest, Intake(uploads, upload, budget)
    mine, size, position, replaced_from = first.attempt, first.size, 0, 0
    assert size is not None
    async with intake.share(), aclosing(intake.pieces(body)) as pieces:
        async for start, data in pieces:
            if not fills_cell(start, len(data), first.chunk_size, size):
                break
            try:
                await uploads.write(upload, start, data, crc32c(data))
            except ChunkConflict:
                if upload.manifest.attempt != first.attempt:
                    raise ChunkConflict(_OTHERS) from None
                replaced_from = start
                await uploads.begin_again(upload)
                mine = upload.manifest.attempt
                await uploads.write(upload, start, data, crc32c(data))
            position = start + len(data)
        if replaced_from and position == size:
            await _carry_over(uploads, upload, intake, first, replaced_from)
    await uploads.touch(upload, at_once=True)
    if upload.manifest.attempt != mine:
        raise ChunkConflict(_OTHERS)


async def _carry_over(
    uploads: Uploads, upload: OpenUpload, intake: Intake, source: Manifest, end: int
) -> None:
    """Copy the bytes before `end`, which are the same in both attempts."""
    async with aclosing(uploads.read(source, 0, end)) as stored:
        async for start, data in intake.pieces(stored):
            await uploads.write(upload, start, data, crc32c(data))
