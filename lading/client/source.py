"""Where the bytes of an upload come from: a file that can be read again, or a stream that cannot.

A source reads in a thread, computes the SHA-256 over the bytes in order, and buffers those bytes
of a stream that are not durable yet. Each source has one thread, and only that thread uses the
file and the digest, so reads keep their order and need no locks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from typing import BinaryIO, Protocol, cast

from lading.client.backoff import Pace
from lading.client.errors import SourceChanged, SourceFailed
from lading.client.fingerprint import (
    DATED_SAMPLE,
    SAMPLE,
    dated_fingerprint,
    fingerprint,
    random_fingerprint,
    sample_starts,
)
from lading.client.local import (
    Signature,
    blocks,
    file_name,
    has_length,
    in_daemon,
    iterated,
    open_file,
    read_exactly,
    signature,
)
from lading.protocol import messages as m
from lading.protocol.digests import Sha256
from lading.protocol.errors import InvalidArgument

BLOCK = 8 * 1024 * 1024
"""Bytes per read where a file is read only to be hashed."""

COMPARED = 1024 * 1024
"""Bytes per read where a file is compared with what was sent."""

COARSE_NS = 2 * 10**9
"""The coarsest steps in which file systems note the time of a change (FAT). A file that changed
so shortly before it was opened may change again without another time."""

Pack = Callable[[bytes], bytes]
"""Turns the bytes of a piece into a message; called in the source's thread."""


class Source(Protocol):
    """What an upload needs of its source.

    `size` is in bytes, None while unknown. `rereadable`: every byte can be read again, so the
    upload can start over. `offered` is the end of what can be read now. `former_fingerprint` is
    another one under which an earlier run may have begun. `modified_ns` is when a file was last
    changed, in nanoseconds since 1970. `grown_by` counts the bytes that were
    added to a file after it was opened; they are not part of the upload.
    """

    name: str
    fingerprint: str
    former_fingerprint: str | None
    modified_ns: int | None
    rereadable: bool
    offered: int
    grown_by: int
    pace: Pace | None

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

    async def confirm(self, on_hashed: Callable[[int], None], /) -> None:
        """Raise SourceChanged when the bytes that were sent are not those of the source now.

        Bytes that were added at the end meanwhile are counted in `grown_by`.
        """

    async def close(self) -> None: ...


class _Hashing:
    """The thread of a source, and the digest that only this thread uses."""

    def __init__(self, sha256: bool) -> None:
        self.pace: Pace | None = None
        """Bounds how fast bytes are read for sending."""
        self._sha = Sha256() if sha256 else None
        self._thread = ThreadPoolExecutor(1, "lading-source")

    def _work(self, job: Callable[[], bytes]) -> asyncio.Future[bytes]:
        return asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _paced(self, size: int, job: Callable[[], bytes]) -> asyncio.Future[bytes]:
        if self.pace is None or not self.pace.limited:
            return self._work(job)
        return asyncio.ensure_future(self._in_time(self.pace, size, job))

    async def _in_time(self, pace: Pace, size: int, job: Callable[[], bytes]) -> bytes:
        await pace.wait(size)
        return await self._work(job)

    def _feed(self, start: int, data: bytes) -> None:
        """Hash those of these bytes that follow what is hashed already."""
        if self._sha is not None and start <= self._sha.size < start + len(data):
            self._sha.update(memoryview(data)[self._sha.size - start :])


class FileSource(_Hashing):
    """A file with a known length. Creating one reads samples of it: do that in a thread.

    A change of the file's time is a hint only: then the bytes are compared with those that were
    sent, by their SHA-256.
    """

    rereadable = True

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        *,
        sha256: bool,
        owned: bool,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(sha256)
        self.name = name
        self.grown_by = 0
        self._file = file
        self._owned = owned
        self._base = file.tell()
        self._signature: Signature = signature(file)
        self.size: int = file.seek(0, 2) - self._base
        self.offered = self.size
        self.modified_ns = None if self._signature is None else self._signature[1]
        self._doubtful = self._signature is not None and self._signature[1] > clock() - COARSE_NS
        self.fingerprint, self.former_fingerprint = self._fingerprints()

    def _fingerprints(self) -> tuple[str, str | None]:
        if self._signature is None:
            return random_fingerprint(), None
        head = self._sample(0, DATED_SAMPLE)
        tail = self._sample(max(0, self.size - DATED_SAMPLE), DATED_SAMPLE)
        dated = dated_fingerprint(self.name, self.size, self._signature[1], head, tail)
        if self._sha is None:
            return dated, None
        samples = [self._sample(start, SAMPLE) for start in sample_starts(self.size)]
        return fingerprint(self.name, self.size, samples), dated

    def _sample(self, start: int, size: int) -> bytes:
        return read_exactly(self._file, self._base + start, min(size, self.size - start))

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
        return self._paced(end - start, lambda: pack(self._read(start, end)))

    async def digest(self, on_hashed: Callable[[int], None]) -> str | None:
        """Hash the bytes that were not read in order: none after an undisturbed upload."""
        if self._sha is None:
            return None
        while (at := self._sha.size) < self.size:
            # mypy finds no type for a lambda with a default, which binds `at` as it is now.
            await self._work(lambda at=at: self._read(at, min(at + BLOCK, self.size)))  # type: ignore[misc]
            on_hashed(self._sha.size)
        return self._sha.hexdigest()

    async def confirm(self, on_hashed: Callable[[int], None]) -> None:
        now = signature(self._file)
        if now == self._signature and not self._doubtful:
            return
        if self._sha is not None:
            await self._compare(self._sha.hexdigest(), on_hashed)
        elif now != self._signature:
            raise SourceChanged(
                f"{self.name} was written to during the upload, and without a SHA-256 nothing "
                "shows which bytes changed."
            )
        if now is not None:
            self.grown_by = max(0, now[0] - self._base - self.size)
        self._signature, self._doubtful = now, False

    async def _compare(self, sent: str, on_hashed: Callable[[int], None]) -> None:
        """Raise SourceChanged unless the file still begins with the bytes that were sent."""
        found = Sha256()

        def read() -> bytes:
            size = min(COMPARED, self.size - found.size)
            data = read_exactly(self._file, self._base + found.size, size)
            if len(data) < size:
                raise SourceChanged(f"{self.name} became shorter during the upload.")
            found.update(data)
            return b""

        while found.size < self.size:
            await self._work(read)
            on_hashed(found.size)
        if found.hexdigest() != sent:
            raise SourceChanged(f"{self.name} changed during the upload.")

    async def close(self) -> None:
        if self._owned:
            self._thread.submit(self._file.close)
        self._thread.shutdown(wait=False)


class StreamSource(_Hashing):
    """Bytes that come once. Those not durable yet are kept: a window and a piece at most."""

    rereadable = False
    former_fingerprint: str | None = None
    modified_ns: int | None = None
    grown_by = 0

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

        return self._paced(len(data), job)

    async def digest(self, _on_hashed: Callable[[int], None]) -> str | None:
        """Every byte was read once in order, so the digest is complete by now."""
        return None if self._sha is None else self._sha.hexdigest()

    async def confirm(self, _on_hashed: Callable[[int], None]) -> None:
        """A stream cannot change unnoticed."""

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        self._thread.shutdown(wait=False)


Readable = str | PathLike[str] | BinaryIO | AsyncIterable[bytes] | Iterable[bytes]
"""What can be uploaded: a path, an open binary file, or an iterable of bytes, which may be
asynchronous."""


async def open_source(what: Readable, name: str | None, *, sha256: bool) -> Source:
    """The source for `what`; `name` replaces the file's own.

    An open file is read from its current position to its end, and left open. What has no length,
    or a wrong one as in /proc, is read as a stream. Raises SourceFailed for a file that cannot be
    read, InvalidArgument where a name is missing.
    """
    if isinstance(what, AsyncIterable):
        return StreamSource(what, _named(name, None), sha256=sha256)
    if isinstance(what, str | PathLike):
        file = await in_daemon(lambda: open_file(what))  # opening a named pipe waits for its writer
        given: object = fspath(what)
    elif hasattr(what, "read"):
        file, given = cast(BinaryIO, what), getattr(what, "name", None)
    else:
        return StreamSource(iterated(what), _named(name, None), sha256=sha256)
    name, owned = _named(name, given), file is not what
    if await in_daemon(lambda: has_length(file)):
        return await asyncio.to_thread(FileSource, file, name, sha256=sha256, owned=owned)
    return StreamSource(blocks(file, owned=owned), name, sha256=sha256)


def _named(name: str | None, path: object) -> str:
    if name is None and isinstance(path, str):
        name = file_name(path)
    if not name:
        raise InvalidArgument("A name is required: this source has none.")
    return name
