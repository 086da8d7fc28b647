"""The children at work: what the server asks for pictures.

A child serves one file at a time and stays for the next. It is replaced when it dies, when it takes
too long, when it sends what is no message, when its file cannot be read or nobody waits for it any
more, and when it has grown. What it sends is believed as far as `pipe.py` checks it.

- A decoder that crashes is the file's doing: after ImagingLimits.crashes it is refused for good.
- A child that was killed (SIGKILL comes from outside: an administrator, the kernel short of memory)
  says nothing about the file: Unavailable, and the caller tries again, so often and no oftener.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import structlog

from lading.imaging import pipe
from lading.imaging.ladder import Variant
from lading.imaging.limits import USUAL_LIMITS, ImagingLimits
from lading.imaging.made import Made, NotHere, Picture, Source
from lading.imaging.process import Process
from lading.imaging.process import start as start_process
from lading.protocol.errors import Unavailable, UnprocessableImage

log = structlog.get_logger()

ENVIRONMENT = {"LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2", "VIPS_CONCURRENCY": "2"}
"""All that a child's environment holds. Arenas cost address space, and it has little."""


class Memory(NamedTuple):
    """The resident bytes of a child: now, and at most so far."""

    pid: int
    now: int
    peak: int


class _Ended(Exception):
    """The child ended, or was ended, before its job.

    `guilty` when the file is the reason. `again` when another child may fare better at once.
    """

    def __init__(self, reason: str, *, guilty: bool, again: bool) -> None:
        super().__init__(reason)
        self.guilty = guilty
        self.again = again


class Imager:
    """Makes pictures with so many children at once. They start when they are first needed."""

    def __init__(self, children: int = 1, limits: ImagingLimits = USUAL_LIMITS) -> None:
        self._limits = limits
        self._free: asyncio.LifoQueue[_Child | None] = asyncio.LifoQueue()
        self._all: set[_Child] = set()
        self._closed = False
        self._peak = 0
        for _ in range(children):
            self._free.put_nowait(None)

    async def make(self, source: Source, variants: Iterable[Variant]) -> Made:
        """The facts of a file and the variants of its picture: see `made.Maker`."""
        asked = tuple(dict.fromkeys(variants))
        for left in reversed(range(self._limits.crashes)):
            child = await self._free.get()
            try:
                child = self._after(child) or await self._start()
                return await child.make(source, asked)
            except _Ended as ended:
                log.warning("imaging-child-ended", reason=str(ended))
                if left and ended.again:
                    continue
                if ended.guilty:
                    raise UnprocessableImage(str(ended)) from ended
                raise Unavailable("The pictures cannot be made now.") from ended
            finally:
                self._free.put_nowait(self._after(child))
        raise AssertionError("a bound of no child at all")

    async def _start(self) -> _Child:
        stops = _Ended("the server stops", guilty=False, again=False)
        if self._closed:
            raise stops
        self._all = {child for child in self._all if child.alive}
        child = await _Child.start(self._limits)
        if self._closed:  # meanwhile: `close` did not know of this one
            await child.end()
            raise stops
        self._all.add(child)
        return child

    def _after(self, child: _Child | None) -> _Child | None:
        """The child if it can serve again; otherwise it is killed, and the event loop reaps it."""
        if child is None:
            return None
        self._note(child)
        if child.ready:
            return child
        child.kill()
        return None

    def memory(self) -> list[Memory]:
        """What each child that runs now has resident."""
        found = (child.memory() for child in self._all if child.alive)
        return [memory for memory in found if memory is not None]

    def peak(self) -> int:
        """The most bytes that one child has had resident so far."""
        for child in self._all:
            self._note(child)
        return self._peak

    def _note(self, child: _Child) -> None:
        memory = child.memory()
        if memory is not None:
            self._peak = max(self._peak, memory.peak)

    async def close(self) -> None:
        """End all children. Whoever still waits for a picture gets Unavailable."""
        self._closed = True
        await asyncio.gather(*(child.end() for child in self._all))


class _Child:
    """One process. `ready` when it can take a job."""

    def __init__(self, process: Process, limits: ImagingLimits) -> None:
        self._process = process
        self._limits = limits
        self._files = 0
        self._at_rest = False
        self._began = False
        self._killed = False
        self.hello = pipe.Hello(False, False, False, False)

    @classmethod
    async def start(cls, limits: ImagingLimits) -> _Child:
        """A child that has said hello; raises _Ended."""
        command = (sys.executable, "-I", "-X", "utf8", "-m", "lading.imaging.child")
        try:
            process = await start_process(
                (*command, str(os.getpid()), json.dumps(asdict(limits))), ENVIRONMENT
            )
        except OSError as error:
            raise _Ended(f"no child can be started: {error}", guilty=False, again=False) from error
        child = cls(process, limits)
        try:
            async with asyncio.timeout(limits.start_seconds):
                hello = await child._receive()
            if not isinstance(hello, pipe.Hello):
                raise pipe.Broken(getattr(hello, "reason", "its first message is no hello"))
        except (TimeoutError, pipe.Broken, _Ended) as error:
            await child.end()
            raise _Ended(f"a child did not start: {error}", guilty=False, again=False) from error
        except BaseException:
            await asyncio.shield(child.end())
            raise
        child.hello, child._at_rest = hello, True
        log.info("imaging-child-started", pid=process.pid, **hello._asdict())
        return child

    @property
    def alive(self) -> bool:
        return self._process.status is None and not self._killed

    @property
    def ready(self) -> bool:
        if not self.alive or not self._at_rest or self._files >= self._limits.retire_files:
            return False
        memory = self.memory()
        return memory is not None and memory.now <= self._limits.retire_bytes

    async def make(self, source: Source, variants: tuple[Variant, ...]) -> Made:
        """One job. Raises UnprocessableImage, NotHere, _Ended, and what reading raises."""
        most = self._limits.job_seconds
        try:
            async with asyncio.timeout(most):
                return await self._job(source, variants)
        except TimeoutError:
            # The home of the file may be slow.
            raise _Ended(
                f"It takes longer than {most:g} s to read and fetch.", guilty=False, again=False
            ) from None

    async def _job(self, source: Source, variants: tuple[Variant, ...]) -> Made:
        self._at_rest = self._began = False
        self._files += 1
        await self._send(pipe.job(source.size, variants))
        pictures: dict[Variant, Picture] = {}
        left, unread = self._limits.wall_seconds, self._limits.read_bytes
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            reply = await self._reply(left)
            left -= loop.time() - began
            self._began = True
            match reply:
                case pipe.Read(start, end) if end <= source.size and reply.cost <= unread:
                    unread -= reply.cost
                    await self._send(pipe.frame(pipe.DATA, await source.read(start, end)))
                case pipe.Drawn(variant, picture) if variant in variants and (
                    variant not in pictures
                ):
                    pictures[variant] = picture
                case pipe.Done(media):
                    self._at_rest = True
                    return Made(media, pictures)
                case pipe.Refused(reason):
                    self._at_rest = True
                    raise UnprocessableImage(reason)
                case pipe.Absent():
                    self._at_rest = True
                    raise NotHere("This server reads no videos and no sound.")
                case _:
                    raise _Ended("Its decoder lost its way.", guilty=True, again=True)

    async def _reply(self, seconds: float) -> pipe.Reply:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._receive()
        except TimeoutError:
            most = self._limits.wall_seconds
            # A busy machine may be the reason; the file's own share is its CPU time, see SIGXCPU.
            raise _Ended(
                f"It takes longer than {most:g} s to read.", guilty=False, again=False
            ) from None
        except pipe.Broken as error:
            raise _Ended("Its decoder lost its way.", guilty=True, again=True) from error

    async def _receive(self) -> pipe.Reply:
        try:
            stdout = self._process.stdout
            (length,) = pipe.LENGTH.unpack(await stdout.readexactly(pipe.LENGTH.size))
            if length > self._limits.picture_bytes + pipe.OVERHEAD:
                raise pipe.Broken("a message beyond its bounds")
            body = await stdout.readexactly(length)
        except asyncio.IncompleteReadError:
            raise await self._why_it_ended() from None
        return pipe.parse(body, self._limits.picture_bytes)

    async def _send(self, frame: bytes) -> None:
        try:
            self._process.stdin.write(frame)
            async with asyncio.timeout(self._limits.wall_seconds):
                await self._process.stdin.drain()
        except ConnectionError:
            raise await self._why_it_ended() from None
        except TimeoutError:
            raise _Ended("Its decoder does not read any more.", guilty=True, again=True) from None

    async def _why_it_ended(self) -> _Ended:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 1.0)
        status = self._process.status
        if status is None:
            return _Ended("Its decoder closed the pipe.", guilty=True, again=True)
        if status == -signal.SIGKILL:
            # Before it asked for anything it was idle, and died unnoticed.
            return _Ended("The child was killed.", guilty=False, again=not self._began)
        if status == -signal.SIGXCPU:
            return _Ended("It takes too much work to read.", guilty=True, again=False)
        return _Ended("Its decoder failed.", guilty=True, again=True)

    def memory(self) -> Memory | None:
        """From /proc, since the child's own word counts for nothing; None when it has ended."""
        found = {}
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                found[name] = int(value.split()[0]) * 1024
        if len(found) < 2:
            return None  # a process that has ended has no memory
        return Memory(self._process.pid, found["VmRSS"], found["VmHWM"])

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """The event loop notices later that it has ended."""
        self._killed = True
        self._process.kill()
