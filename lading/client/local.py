"""Local files and pipes: how they are opened and read, and what their errors mean.

The calls block, except `in_daemon` and `blocks`, which wait for a pipe in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import BinaryIO, TypeVar

from lading.client.errors import SourceFailed
from lading.protocol.spec import LAST_MOMENT

PIPE_BLOCK = 1024 * 1024

SMALL = 2**20
"""The largest file, in bytes, that `small.py` sends in one request."""

TINY = 64 * 1024
"""The largest file, in bytes, that it sends in one request with others."""

Result = TypeVar("Result")
Signature = tuple[int, int] | None
"""Size in bytes and time of the last change in nanoseconds; None for what has neither."""


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, unbuffered. Raises SourceFailed."""
    try:
        return open(path, "rb", buffering=0)  # noqa: PTH123 - may be /dev/fd/3
    except OSError as error:
        raise SourceFailed(f"{os.fspath(path)} cannot be read: {error.strerror}.") from error


def file_name(path: str) -> str:
    """The last part of a path. A name that is not valid UTF-8 becomes valid, as on the wire."""
    return valid(PurePath(path).name)


def valid(text: str) -> str:
    """Text of the file system with U+FFFD in place of bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_regular(file: BinaryIO) -> bool:
    """Whether the file has a length and can be read at any offset."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, io.UnsupportedOperation, AttributeError):
        return file.seekable()


def has_length(file: BinaryIO) -> bool:
    """Whether the file has a length that can be believed, and can be read at any offset.

    Files of /proc and /sys are regular files too, but their length is 0 or 4096 whatever they
    hold. May wait as long as the file itself. Raises SourceFailed.
    """
    if not is_regular(file):
        return False
    start = file.tell()
    try:
        end = file.seek(0, 2)
    except OSError:
        end = start
    try:
        empty = end <= start
        return bool(read_exactly(file, start if empty else end - 1, 1)) is not empty
    finally:
        file.seek(start)


def signature(file: BinaryIO) -> Signature:
    """What usually differs after the file was changed."""
    try:
        facts = os.fstat(file.fileno())
    except (OSError, io.UnsupportedOperation, AttributeError):
        return None
    return facts.st_size, facts.st_mtime_ns


def seconds_of(moment: datetime | None, mtime_ns: int | None) -> float | None:
    """When a file was last changed, in Unix seconds, to the millisecond: `moment`, else the time
    that its file system has. None for what no server takes: a time before 1970."""
    if moment is not None:
        seconds = moment.timestamp()
    elif mtime_ns is not None:
        seconds = mtime_ns // 10**6 / 1000
    else:
        return None
    return round(seconds, 3) if 0 <= seconds <= LAST_MOMENT else None


def rfc3339(seconds: float) -> str:
    """Unix seconds as the HTTP API takes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def read_exactly(file: BinaryIO, start: int, size: int) -> bytes:
    """`size` bytes from `start`; fewer only where the file ends. Raises SourceFailed."""
    try:
        file.seek(start)
        data = file.read(size)
        while len(data) < size and (more := file.read(size - len(data))):
            data += more
    except OSError as error:
        raise SourceFailed(f"The file cannot be read: {error.strerror}.") from error
    return data


async def in_daemon(call: Callable[[], Result]) -> Result:
    """The result of a call that may never return, such as a read from a pipe without a writer.

    The call runs in a daemon thread, which does not keep the program from ending. When the caller
    is cancelled, the result is dropped.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Result] = loop.create_future()
    threading.Thread(target=_call, args=(call, loop, result), daemon=True).start()
    return await result


def _call(
    call: Callable[[], Result], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Result]
) -> None:
    result: Result | Exception
    try:
        result = call()
    except Exception as failure:
        result = failure
    # The loop is closed when the program ended meanwhile.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_deliver, future, result)


def _deliver(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


async def blocks(file: BinaryIO, *, owned: bool = False) -> AsyncIterator[bytes]:
    """The bytes of a pipe, terminal or socket, to its end. An `owned` one is closed then."""
    reading = False
    try:
        while True:
            try:
                data = await in_daemon(lambda: _read_block(file))
            except asyncio.CancelledError:
                reading = True
                raise
            if not data:
                return
            yield data
    finally:
        # A thread may still read the file: closing it would free its descriptor for another file.
        if owned and not reading:
            file.close()


async def iterated(items: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The items of an iterable that may take long for each, as a generator over a socket does."""
    waiting = iter(items)
    while (data := await in_daemon(lambda: next(waiting, None))) is not None:
        yield data


def _read_block(file: BinaryIO) -> bytes:
    data = bytearray()
    while len(data) < PIPE_BLOCK and (more := file.read(PIPE_BLOCK - len(data))):
        data += more
    return bytes(data)
