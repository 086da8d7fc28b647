"""Moving a finished file from home to home, and to its place in its home: steps of the outbox.

    take    the target stores what is read, verified, from the present home; the pictures, too
    moved   one compare-and-set: from then on the file lives at the target
    drop    the bytes at homes where it does not live are deleted

The file is read from one home or from the other and never from none, since nothing is deleted
before the compare-and-set, and only where the manifest does not point. A crash anywhere repeats the
step, and each part of it means the same when it is done twice. Source: page 9 of the design;
`docs/decisions/0039`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing

from lading.janitor.sweep import DELETED_AT_ONCE, Lost, always
from lading.protocol.digests import Sha256, crc32c
from lading.protocol.errors import Internal
from lading.protocol.manifest import FINISHED, Manifest, Piece
from lading.storage.blobs.base import Blobs, Check, is_intact
from lading.storage.blocks import Block, Blocks
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.outbox import Outbox
from lading.storage.contents import Contents, driver_at

READ_AHEAD = 8 * 2**20
"""Bytes of a file that are fetched before its target wants them; at least one piece."""

READ_AT_ONCE = 2**20
"""Bytes that are fetched by one request where pieces are smaller."""


OnBytes = Callable[[str, int], None]


def _nobody(_upload_id: str, _size: int) -> None:
    return None


class Mover:
    """Carries the steps `place` and `move` out. Both get the manifest as it is now.

    `on_bytes` hears how many bytes of which file were read for its new home.
    """

    def __init__(
        self,
        manifests: Manifests,
        outbox: Outbox,
        contents: Contents,
        blobs: Mapping[str, Blobs],
        on_bytes: OnBytes = _nobody,
    ) -> None:
        self._manifests = manifests
        self._outbox = outbox
        self._contents = contents
        self._blobs = blobs
        self._on_bytes = on_bytes

    async def place(self, manifest: Manifest, _check: Check) -> None:
        """Bring a file to its final place in its home; raises Unavailable, StorageFull."""
        await driver_at(self._blobs, manifest.blobs).place(manifest.stored)

    async def move(self, manifest: Manifest, check: Check) -> None:
        """Bring a file to the home it was sent to, and clear those where it does not live.

        Raises Unavailable, StorageFull, Internal when its bytes are damaged, and what `check`
        raises.
        """
        if manifest.state in FINISHED and manifest.move_to is not None:
            manifest = await self._take(manifest, manifest.move_to, check)
        for home in manifest.drop_at:
            if home != manifest.blobs and manifest.state in FINISHED:
                await check()
                await driver_at(self._blobs, home).drop(manifest.stored, check)
                await self._outbox.dropped(manifest, home)

    async def _take(self, manifest: Manifest, target: str, check: Check) -> Manifest:
        """Copy the file, then let it live there; returns its manifest afterwards."""
        driver = driver_at(self._blobs, target)
        try:
            async with aclosing(self._pieces(manifest, check)) as pieces:
                await driver.take(manifest.stored, pieces)
            await self._take_pictures(manifest, driver, check)
            await check()
            moved = await self._outbox.moved(manifest)
        except Exception:
            await self._clean(manifest, target)
            raise
        if moved is not None:
            return moved
        current = await self._clean(manifest, target)
        if current is None or current.blobs != target:
            raise Lost
        return current  # an earlier try of this write was applied, and its answer lost

    async def _take_pictures(self, manifest: Manifest, target: Blobs, check: Check) -> None:
        """Copy the pictures of the file. One that is gone or damaged is made again when needed."""
        source = driver_at(self._blobs, manifest.blobs)
        for name, picture in manifest.pictures.items():
            await check()
            data = await source.picture(manifest.key, name)
            if data is not None and is_intact(picture, data):
                await target.put_picture(manifest.key, name, data)

    async def _pieces(
        self, manifest: Manifest, check: Check
    ) -> AsyncGenerator[tuple[Piece, bytes], None]:
        """The file piece by piece, while the next ones are being fetched.

        Of a file that clients sent to the bucket no piece was listed: now each is, and all of them
        must have the SHA-256 of the file.
        """
        sent, whole, position = manifest.etag is not None, Sha256(), 0
        async with aclosing(self._read_ahead(manifest, check)) as blocks:
            async for block, data in blocks:
                self._on_bytes(manifest.id, len(data))
                if sent:
                    await asyncio.to_thread(whole.update, data)
                if block[0].slice_start != position:
                    raise Internal(f"A piece of {manifest.id} at {position} is not listed.")
                position = block[-1].end
                for listed, part in _apart(block, data):
                    piece = listed._replace(crc32c=crc32c(part)) if sent else listed
                    if sent:
                        await self._contents.enlist(manifest, piece)
                    yield piece, part
        if sent and whole.hexdigest() != manifest.sha256:
            raise Internal(f"The bytes of {manifest.id} in the bucket are damaged.")

    async def _read_ahead(
        self, manifest: Manifest, check: Check
    ) -> AsyncGenerator[tuple[Block, bytes], None]:
        most = max(1, READ_AHEAD // max(READ_AT_ONCE, manifest.chunk_size))
        ahead: deque[tuple[Block, asyncio.Task[bytes]]] = deque()
        try:
            async with aclosing(self._contents.layout(manifest)) as listed:
                blocks = Blocks(listed)
                while block := await blocks.next(READ_AT_ONCE):
                    read = self._contents.read(manifest, block)
                    ahead.append((block, asyncio.ensure_future(read)))
                    if len(ahead) > most:
                        await check()
                        yield await _first(ahead)
            while ahead:
                await check()
                yield await _first(ahead)
        finally:
            for _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)

    async def _clean(self, manifest: Manifest, target: str) -> Manifest | None:
        """Delete what was copied for nothing: the file died, or was sent elsewhere meanwhile.

        Returns the file's manifest, None when it died. If this process ends here, the purge of the
        tombstone deletes it.
        """
        current, driver = await self._manifests.get(manifest.id), self._blobs[target]
        if current is None or current.state not in FINISHED:
            while await driver.delete(manifest.stored, DELETED_AT_ONCE) == DELETED_AT_ONCE:
                pass
            return None
        if target not in current.homes:
            await driver.drop(manifest.stored, always)
        return current


async def _first(ahead: deque[tuple[Block, asyncio.Task[bytes]]]) -> tuple[Block, bytes]:
    """Take the first block and wait for its bytes."""
    data = await ahead[0][1]
    return ahead.popleft()[0], data


def _apart(block: Block, data: bytes) -> Iterator[tuple[Piece, bytes]]:
    """The pieces of a block."""
    for piece in block:
        start = piece.slice_start - block[0].slice_start
        yield piece, data if len(block) == 1 else data[start : start + piece.size]
