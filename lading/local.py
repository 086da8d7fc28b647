"""The machine's own files: opening what is to be sent, reading it, and safe names for what arrives.

It owns blocking calls on files and what their errors mean. It refuses to know uploads, downloads
and the event loop, but for `blocks`, which reads a pipe without blocking that loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import stat
import threading
from collections.abc import AsyncIterator
from typing import BinaryIO

from lading.errors import SourceFailed

PIPE_BLOCK = 1024 * 1024

Signature = tuple[int, int] | None
"""Size in bytes and time of the last change in nanoseconds; None for what has neither."""


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, unbuffered. Raises SourceFailed."""
    try:
        return open(path, "rb", buffering=0)  # noqa: PTH123 - may be /dev/fd/3
    except OSError as error:
        raise SourceFailed(f"{os.fspath(path)} cannot be read: {error.strerror}.") from error


def is_regular(file: BinaryIO) -> bool:
    """Whether the file has a length and can be read at any place."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, io.UnsupportedOperation, AttributeError):
        return file.seekable()


def signature(file: BinaryIO) -> Signature:
    """By what a change of the file shows."""
    try:
        facts = os.fstat(file.fileno())
    except (OSError, io.UnsupportedOperation, AttributeError):
        return None
    return facts.st_size, facts.st_mtime_ns


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


async def blocks(file: BinaryIO, *, owned: bool = False) -> AsyncIterator[bytes]:
    """The bytes of a pipe, terminal or socket, to its end; an `owned` one is closed then.

    Each read waits in a daemon thread: one that never returns, at a pipe that nobody writes to,
    must not keep the program from ending.
    """
    loop = asyncio.get_running_loop()
    block: asyncio.Future[bytes] = loop.create_future()
    try:
        while True:
            block = loop.create_future()
            threading.Thread(target=_read_block, args=(file, loop, block), daemon=True).start()
            data = await block
            if not data:
                return
            yield data
    finally:
        # A thread that still reads keeps the file; closing it beneath would free its number.
        if owned and not block.cancelled():
            file.close()


def _read_block(
    file: BinaryIO, loop: asyncio.AbstractEventLoop, block: asyncio.Future[bytes]
) -> None:
    data, error = bytearray(), None
    try:
        while len(data) < PIPE_BLOCK and (more := file.read(PIPE_BLOCK - len(data))):
            data += more
    except Exception as failure:
        error = failure
    # The loop is closed when the program has moved on meanwhile.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_deliver, block, bytes(data), error)


def _deliver(block: asyncio.Future[bytes], data: bytes, error: Exception | None) -> None:
    if block.done():
        return
    if error is None:
        block.set_result(data)
    else:
        block.set_exception(error)
