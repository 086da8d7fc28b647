"""Where the bytes of an upload come from: a file that can be read again, or a stream that cannot.

A source reads in a thread, computes the SHA-256 over the bytes in order, and buffers those bytes
of a stream that are not durable yet. Each source has one thread, and only that thread uses the
file and the digest, so reads keep their order and need no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from pathlib import PurePath
from typing import BinaryIO, Protocol

from lading.client.errors import SourceChanged, SourceFailed
from lading.client.fingerprint import SAMPLE, fingerprint, random_fingerprint
from lading.client.local import (
    Signature,
    blocks,
    in_daemon,
    is_regular,
    open_file,
    read_exactly,
    signature,
)
from lading.protocol import messages as m
from lading.protocol.digests import Sha256
from lading.protocol.errors import InvalidArgument

BLOCK = 8 * 1024 * 1024
"""Bytes per read where a file is read only to be hashed."""

Pack = Callable[[bytes], bytes]
"""Turns the bytes of a piece into a message; called in the source's thread."""


class Source(Protocol):
    """What an upload needs of its source.

    `size` is in bytes, None while unknown. `rereadable`: every byte can be read again, so the
    upload can start over. `offered` is the end of what can be read now.
    """

    name: str
    fingerprint: str
    rereadable: bool
    offered: int

    @property
    def size(self) -> int | None: ...

    def opened(self, upload: m.Opened, window: int, wake: Callable[[], None]) -> None:
        """A connection opened the upload. `wake` is called when more can be read."""

    def check(self) -> None:
        """Raise SourceFailed when the source failed."""

    def read(self, start: int, end: int, pack: Pack) -> asyncio.Future[bytes]:
        """Read `[start, end)` in the source's thread, and return what `pack` makes of it."""

    def release(self, start: int, size: int, /) -> None:
        """These bytes are durable and will not be read again."""

    async def digest(self, on_hashed: Callable[[int], None], /) -> str | None:
        """The SHA-256 of all bytes, None when not requested. `on_hashed` is called with the number
        of bytes hashed so far."""

    async def confirm(self) -> None:
        """Raise SourceChanged when the source differs from what it was at the start."""

    async def close(self) -> None: ...


class _Hashing:
    """The thread of a source, and the digest that only this thread uses."""

    def __init__(self, sha256: bool) -> None:
        self._sha = Sha256() if sha256 else None
        self._thread = ThreadPoolExecutor(1, "lading-source")

    def _work(self, job: Callable[[], bytes]) -> asyncio.Future[bytes]:
        return asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _feed(self, start: int, data: bytes) -> None:
        """Hash those of these bytes that follow what is hashed already."""
        if self._sha is not None and start <= self._sha.size < start + len(data):
            self._sha.update(memoryview(data)[self._sha.size - start :])


class FileSource(_Hashing):
    """A file with a known length. Creating one reads both its ends: do that in a thread."""

    rereadable = True

    def __init__(self, file: BinaryIO, name: str, *, sha256: bool, owned: bool) -> None:
        super().__init__(sha256)
        self.name = name
        self._file = file
        self._owned = owned
        self._base = file.tell()
        self.size: int = file.seek(0, 2) - self._base
        self.offered = self.size
        self._signature: Signature = signature(file)
        self.fingerprint = self._fingerprint()

    def _fingerprint(self) -> str:
        if self._signature is None:
            return random_fingerprint()
        head = read_exactly(self._file, self._base, min(SAMPLE, self.size))
        tail_at = self._base + max(0, self.size - SAMPLE)
        tail = read_exactly(self._file, tail_at, min(SAMPLE, self.size))
        return fingerprint(self.name, self.size, self._signature[1], head, tail)

    def opened(self, upload: m.Opened, window: int, wake: Callable[[], None]) -> None:
        """A file needs no preparation."""

    def check(self) -> None:
        """A failing file raises when it is read."""

    def release(self, start: int, size: int) -> None:
        """A file keeps its bytes."""

    def _read(self, start: int, end: int) -> bytes:
        data = read_exactly(self._file, self._base + start, end - start)
        if len(data) < end - start:
            raise SourceChanged(f"{self.name} became shorter during the upload.")
        self._feed(start, data)
        return data

    def read(self, start: int, end: int, pack: Pack) -> asyncio.Future[bytes]:
        return self._work(lambda: pack(self._read(start, end)))

    async def digest(self, on_hashed: Callable[[int], None]) -> str | None:
        """Hash the bytes that were not read in order: none after an undisturbed upload."""
        if self._sha is None:
            return None
        while (at := self._sha.size) < self.size:
            await self._work(lambda at=at: self._read(at, min(at + BLOCK, self.size)))  # type: ignore[misc]
            on_hashed(self._sha.size)
        return self._sha.hexdigest()

    async def confirm(self) -> None:
        def compare() -> bytes:
            if signature(self._file) != self._signature:
                raise SourceChanged(f"{self.name} changed during the upload.")
            return b""

        await self._work(compare)

    async def close(self) -> None:
        if self._owned:
            self._thread.submit(self._file.close)
        self._thread.shutdown(wait=False)


class StreamSource(_Hashing):
    """Bytes that come once. Those not durable yet are kept: a window and a piece at most."""

    rereadable = False

    def __init__(self, blocks: AsyncIterable[bytes], name: str, *, sha256: bool) -> None:
        super().__init__(sha256)
        self.name = name
        self.size: int | None = None
        self.fingerprint = random_fingerprint()
        self.offered = 0
        self.held = 0
        self._blocks = blocks
        self._cells: dict[int, bytearray] = {}
        self._chunk_size = 0
        self._limit = 0
        self._space = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._wake: Callable[[], None] = lambda: None

    def opened(self, upload: m.Opened, window: int, wake: Callable[[], None]) -> None:
        self._chunk_size = upload.chunk_size
        self._limit = max(window, upload.chunk_size) + upload.chunk_size
        self._wake = wake
        end = upload.upload_size + sum(stop - start for start, stop in upload.missing)
        for start in [cell * self._chunk_size for cell in self._cells]:
            if start < end and not any(low <= start < high for low, high in upload.missing):
                self.release(start, self._chunk_size)
        if self._pump is None:
            self._pump = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        try:
            async for block in self._blocks:
                await self._take(memoryview(block))
        except Exception as error:
            raise SourceFailed(f"{self.name} cannot be read: {error}.") from error
        else:
            self.size = self.offered
        finally:
            self._wake()

    async def _take(self, block: memoryview) -> None:
        while block:
            while self.held >= self._limit:
                self._space.clear()
                await self._space.wait()
            cell, at = divmod(self.offered, self._chunk_size)
            part = block[: self._chunk_size - at]
            self._cells.setdefault(cell, bytearray()).extend(part)
            self.offered += len(part)
            self.held += len(part)
            block = block[len(part) :]
            self._wake()

    def check(self) -> None:
        if self._pump is not None and self._pump.done():
            self._pump.result()

    def release(self, start: int, _size: int) -> None:
        cell = start // self._chunk_size
        self.held -= len(self._cells.pop(cell, b""))
        self._space.set()

    def read(self, start: int, end: int, pack: Pack) -> asyncio.Future[bytes]:
        cell, at = divmod(start, self._chunk_size)
        data = bytes(memoryview(self._cells[cell])[at : at + end - start])

        def job() -> bytes:
            self._feed(start, data)
            return pack(data)

        return self._work(job)

    async def digest(self, _on_hashed: Callable[[int], None]) -> str | None:
        """Every byte was read once in order, so the digest is complete by now."""
        return None if self._sha is None else self._sha.hexdigest()

    async def confirm(self) -> None:
        """A stream cannot change unnoticed."""

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        self._thread.shutdown(wait=False)


Readable = str | PathLike[str] | BinaryIO | AsyncIterable[bytes]
"""What can be uploaded: a path, an open binary file, or an asynchronous iterable of bytes."""


async def open_source(what: Readable, name: str | None, *, sha256: bool) -> Source:
    """The source for `what`; `name` replaces the file's own.

    An open file is read from its current position to its end, and left open. Raises SourceFailed
    for a file that cannot be read, InvalidArgument where a name is missing.
    """
    if isinstance(what, AsyncIterable):
        return StreamSource(what, _named(name, None), sha256=sha256)
    if isinstance(what, str | PathLike):
        file = await in_daemon(lambda: open_file(what))  # opening a named pipe waits for its writer
        given: object = fspath(what)
    else:
        file, given = what, getattr(what, "name", None)
    name, owned = _named(name, given), file is not what
    if await asyncio.to_thread(is_regular, file):
        return await asyncio.to_thread(FileSource, file, name, sha256=sha256, owned=owned)
    return StreamSource(blocks(file, owned=owned), name, sha256=sha256)


def _named(name: str | None, path: object) -> str:
    if name is None and isinstance(path, str):
        # A file name that is not valid UTF-8 must become valid on the wire.
        name = PurePath(path).name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if not name:
        raise InvalidArgument("A name is required: this source has none.")
    return name
