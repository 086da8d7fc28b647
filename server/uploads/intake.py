"""Intake: from a body that arrives in parts of any size to the pieces of an upload.

Every HTTP transport takes its bodies through here. The loop counts, keeps the upload alive, refuses
the first byte too much, and cuts at the borders of cells, so memory does not grow with the body.
It knows no HTTP: a body is an iterator of bytes, and RequestTimeout means that it broke off.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import NamedTuple, Protocol

from lading.protocol.digests import Sha256, crc32c
from lading.protocol.errors import RequestTimeout, TooLarge
from lading.protocol.manifest import cell_end
from lading.server.uploads.media_type import HEAD_BYTES
from lading.server.uploads.open_uploads import OpenUpload, Written
from lading.server.uploads.uploads import Uploads
from lading.server.uploads.write import check_limit


class Share(Protocol):
    """Memory that one body may use."""

    def release(self) -> None:
        """Give it back."""
        ...


class Budget(Protocol):
    """The memory of all bodies together."""

    async def acquire(self, message_size: int, owner: str, /) -> Share:
        """Wait for the memory that a piece of so many bytes needs."""
        ...


class Taken(NamedTuple):
    """What a body was: its length, its SHA-256 and its first bytes."""

    size: int
    sha256: str
    head: bytes


class Intake:
    """Takes one body into one upload."""

    def __init__(self, uploads: Uploads, upload: OpenUpload, budget: Budget) -> None:
        self._uploads = uploads
        self._upload = upload
        self._budget = budget

    async def store(
        self, body: AsyncIterator[bytes], start: int = 0, *, keep_rest: bool = False
    ) -> Taken:
        """Store a body from the offset `start` on; all of it is durable on return.

        With `keep_rest` a piece may end inside its cell, and what came of a body that broke off is
        stored before RequestTimeout is raised. Raises what `Uploads.write` raises, and TooLarge at
        the first byte beyond the size of the upload or of its grant.
        """
        digest, head, size = Sha256(), b"", 0
        async with (
            self.share(),
            aclosing(self.pieces(body, start, keep_rest=keep_rest)) as pieces,
        ):
            async for slice_start, data in pieces:
                digest.update(data)
                head = head or data[:HEAD_BYTES]
                await self._uploads.write(
                    self._upload, slice_start, data, crc32c(data), whole_cells=not keep_rest
                )
                size += len(data)
        return Taken(size, digest.hexdigest(), head)

    async def store_piece(
        self,
        body: AsyncIterator[bytes],
        slice_start: int,
        checksum: int | None = None,
        length: int | None = None,
    ) -> Written:
        """Store a body that is one piece. `length` is what was declared for it.

        Raises what `Uploads.write` raises, and TooLarge for more than a cell; nothing is stored
        then.
        """
        most = self._upload.manifest.chunk_size

        def check(arrived: int) -> None:
            if arrived > most:
                raise TooLarge(f"The body may have at most {most} bytes.", limit=most)

        check(length or 0)
        buffer = bytearray()
        async with self.share(length or most), aclosing(self._arriving(body, check)) as parts:
            async for part in parts:
                buffer += part
            data = bytes(buffer)
            del buffer
            if checksum is None:
                checksum = crc32c(data)
            return await self._uploads.write(self._upload, slice_start, data, checksum)

    async def pieces(
        self, body: AsyncIterator[bytes], start: int = 0, *, keep_rest: bool = False
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """The body cut at the borders of cells, each piece with its offset; the last may be short.

        Hold a share of the budget while this lasts.
        """
        manifest = self._upload.manifest
        buffer, position = bytearray(), start
        broke_off: RequestTimeout | None = None

        def check(arrived: int) -> None:
            if manifest.size is not None and start + arrived > manifest.size:
                limit = manifest.size
                raise TooLarge(f"The file was announced with {limit} bytes.", limit=limit)
            check_limit(manifest, start + arrived)

        async with aclosing(self._arriving(body, check)) as parts:
            try:
                async for part in parts:
                    buffer += part
                    length = cell_end(position, manifest.chunk_size, None) - position
                    while len(buffer) >= length:
                        yield position, _cut(buffer, length)
                        position, length = position + length, manifest.chunk_size
            except RequestTimeout as error:
                if not keep_rest:
                    raise
                broke_off = error
        if buffer:
            yield position, bytes(buffer)
        if broke_off is not None:
            raise broke_off

    async def _arriving(
        self, body: AsyncIterator[bytes], check: Callable[[int], None]
    ) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. `check` is called with the number of bytes so far."""
        arrived = 0
        async for part in body:
            arrived += len(part)
            check(arrived)
            await self._uploads.touch(self._upload)
            yield part

    @asynccontextmanager
    async def share(self, length: int | None = None) -> AsyncIterator[None]:
        """Hold the share of the budget that one piece of the upload needs."""
        manifest = self._upload.manifest
        sizes = [manifest.chunk_size, length, manifest.size]
        most = min(size for size in sizes if size is not None)
        share = await self._budget.acquire(most, manifest.user_id)
        try:
            yield
        finally:
            share.release()


def _cut(buffer: bytearray, size: int) -> bytes:
    """Remove the first bytes of the buffer; they are copied once."""
    with memoryview(buffer) as whole, whole[:size] as part:
        piece = bytes(part)
    del buffer[:size]
    return piece
