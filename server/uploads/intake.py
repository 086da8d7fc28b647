"""Intake: from a body that arrives in parts of any size to the pieces of an upload.

Every HTTP transport takes its bodies through here. The loop counts, keeps the upload alive, refuses
the first byte too much, and cuts at the borders of cells, so memory does not grow with the body.
It knows no HTTP: a body is an iterator of bytes. RequestTimeout means that it broke off, and an
empty part that nothing came for a while.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import NamedTuple, Protocol

from lading.protocol.digests import Sha256, crc32c, crc32c_combine
from lading.protocol.errors import RequestTimeout, TooLarge
from lading.protocol.manifest import cell_end
from lading.server.uploads.media_type import HEAD_BYTES
from lading.server.uploads.open_uploads import OpenUpload, Written
from lading.server.uploads.uploads import Uploads
from lading.server.uploads.verifier import Proven
from lading.server.uploads.write import check_end


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


class _Held:
    """The memory of a caller that holds a share for all of it, or takes one body at a time."""

    async def acquire(self, _size: int, _owner: str, /) -> Share:
        return self

    def release(self) -> None:
        return None


HELD = _Held()


async def at_hand(data: bytes) -> AsyncIterator[bytes]:
    """A body that is here already."""
    yield data


class Memory:
    """The share of the budget that a body holds; a body that sends nothing needs none."""

    def __init__(self, acquire: Callable[[], Awaitable[Share]]) -> None:
        self._acquire = acquire
        self._share: Share | None = None

    async def hold(self) -> None:
        """Have a share from now on; waits for it where there was none."""
        if self._share is None:
            self._share = await self._acquire()

    def release(self) -> None:
        """Have none."""
        if self._share is not None:
            self._share.release()
            self._share = None


Wait = Callable[[Callable[[], Awaitable[Share]]], Awaitable[Share]]
"""How to wait for a share."""


async def _wait(share: Callable[[], Awaitable[Share]]) -> Share:
    return await share()


class Taken(NamedTuple):
    """What a body was: its length, its SHA-256, its first bytes, and that all of it is stored."""

    size: int
    sha256: str
    head: bytes
    proven: Proven


class Intake:
    """Takes one body into one upload."""

    def __init__(self, uploads: Uploads, upload: OpenUpload, budget: Budget) -> None:
        self._uploads = uploads
        self._upload = upload
        self._budget = budget

    async def store(self, body: AsyncIterator[bytes]) -> Taken:
        """Store a body that is a whole file; all of it is durable on return.

        Raises what `Uploads.write` raises, and TooLarge at the first byte beyond the size of the
        upload or of its grant.
        """
        digest, head, size, checksum = Sha256(), b"", 0, 0
        attempt = self._upload.manifest.attempt
        async with self.share(), aclosing(self.pieces(body)) as pieces:
            async for slice_start, data in pieces:
                digest.update(data)
                head = head or data[:HEAD_BYTES]
                piece = crc32c(data)
                await self._uploads.write(self._upload, slice_start, data, piece)
                checksum = crc32c_combine(checksum, piece, len(data))
                size += len(data)
        return Taken(size, digest.hexdigest(), head, Proven(attempt, size, checksum))

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
        self,
        body: AsyncIterator[bytes],
        start: int = 0,
        *,
        keep_rest: bool = False,
        idle: Memory | None = None,
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """The body cut at the borders of cells, each piece with its offset; the last may be short.

        It begins at `start`. With `keep_rest` what came of a body that broke off is a piece, too,
        before RequestTimeout is raised.

        Hold a share of the budget while this lasts. One that is given as `idle` is released while
        nothing comes, and what came before is a piece.
        """
        manifest = self._upload.manifest
        buffer, position = bytearray(), start
        broke_off: RequestTimeout | None = None

        def check(arrived: int) -> None:
            check_end(manifest, start + arrived)

        async with aclosing(self._arriving(body, check)) as parts:
            try:
                async for part in parts:
                    if idle is not None and not part:
                        if buffer:
                            yield position, bytes(buffer)
                            position += len(buffer)
                            buffer.clear()
                        idle.release()
                        continue
                    if idle is not None:
                        await idle.hold()
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
            if part:
                await self._uploads.touch(self._upload)
            yield part

    @asynccontextmanager
    async def share(
        self, length: int | None = None, *, wait: Wait = _wait
    ) -> AsyncIterator[Memory]:
        """Hold the share of the budget that one piece of the upload needs; `wait` waits for it."""
        manifest = self._upload.manifest
        sizes = [manifest.chunk_size, length, manifest.size]
        most = min(size for size in sizes if size is not None)
        memory = Memory(lambda: wait(lambda: self._budget.acquire(most, manifest.user_id)))
        await memory.hold()
        try:
            yield memory
        finally:
            memory.release()


def _cut(buffer: bytearray, size: int) -> bytes:
    """Remove the first bytes of the buffer; they are copied once."""
    with memoryview(buffer) as whole, whole[:size] as part:
        piece = bytes(part)
    del buffer[:size]
    return piece
