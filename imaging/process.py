"""A child process and the two pipes to it.

The pipes are made here and not by the event loop, since uvloop would give the child sockets. They
are as long as a message with bytes of the file, so the kernel takes one at once.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

CAPACITY = 2**20
"""Bytes that a pipe holds: the most that Linux gives to anybody."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, what it reads (`stdin`), and what it writes (`stdout`)."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    _output: asyncio.BaseTransport

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self.process.returncode

    async def wait(self) -> None:
        """Wait until it has ended."""
        await self.process.wait()

    def kill(self) -> None:
        """Kill it, and close the pipes. The event loop notices later that it has ended."""
        with suppress(ProcessLookupError):
            self.process.kill()
        if not self.stdin.transport.is_closing():  # asyncio's `abort` works once
            self.stdin.transport.abort()
        self._output.close()


async def start(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start a program in a session of its own, at `/`; raises OSError."""
    reads, our_input = os.pipe()
    our_output, writes = os.pipe()
    try:
        for end in (our_input, writes):
            _enlarge(end)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=reads,
            stdout=writes,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    except BaseException:
        os.close(our_input)
        os.close(our_output)
        raise
    finally:
        os.close(reads)
        os.close(writes)
    try:
        stdin, (stdout, output) = await _writer(our_input), await _reader(our_output)
    except BaseException:
        process.kill()
        raise
    return Process(process, stdin, stdout, output)


def _enlarge(pipe: int) -> None:
    """Users other than root have so many bytes in large pipes, and small ones do, too."""
    with suppress(AttributeError, OSError):  # Linux only
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CAPACITY)


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()),
        os.fdopen(descriptor, "wb", buffering=0),
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader(CAPACITY)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader, transport
