"""Uploads files over WebSocket, each over a connection of its own, all at once.

The job: `{"url", "token", "path", "size", "uploads"}`; the result: the `seconds` until the last
was stored, and those until each was, `finished`.

A plain client: it sends the pieces the server asks for as long as the window has room, else waits
for an answer. No SHA-256, no progress, no resuming.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from bench.clients import Job, Source, work
from bench.clients.wire import Wire, run
from lading.protocol.sender import Completed, Failed, Opened, Sender, Welcomed
from lading.protocol.spec import UploadSpec


def upload(job: Job) -> Job:
    """Store the files; the clock runs from CREATE to COMPLETE."""
    finished, uploads = run(_upload(job))
    return {"seconds": max(finished), "finished": finished, "uploads": uploads}


async def _upload(job: Job) -> tuple[list[float], list[str]]:
    source = Source(job["path"])
    async with AsyncExitStack() as stack:
        talks = []
        for _ in range(job["uploads"]):
            talk = _Talk(await stack.enter_async_context(Wire.open(job)), source)
            await talk.begin(job)
            talks.append(talk)
        begun = time.perf_counter()
        # All from the same moment on, so that waiting shows.
        ends = await asyncio.gather(*[talk.store(job["size"]) for talk in talks])
    return [end - begun for end in ends], [talk.id for talk in talks]


class _Talk:
    """One connection with one upload."""

    def __init__(self, wire: Wire, source: Source) -> None:
        self.id = ""
        self._wire = wire
        self._source = source
        self._sender = Sender()

    async def begin(self, job: Job) -> None:
        self._sender.hello(job["token"], "lading-bench")
        await self._until(Welcomed)

    async def store(self, size: int) -> float:
        """Upload one file; the time when it was stored."""
        sender = self._sender
        ref = sender.create(UploadSpec(name="file", size=size))
        await self._until(Opened)
        while not sender.settled(ref):
            if wanted := sender.wanted():
                data = self._source.read(wanted.start, wanted.end)
                await self._wire.send(sender.piece(wanted, data))
            else:
                await self._receive()
        sender.finish(ref)
        await self._until(Completed)
        return time.perf_counter()

    async def _until(self, kind: type[object]) -> None:
        """Send what is due, and receive until an event of this kind arrives."""
        for message in self._sender.outgoing():
            await self._wire.send(message)
        while not await self._receive(kind):
            pass

    async def _receive(self, kind: type[object] | None = None) -> bool:
        """Receive one message; returns whether it was an event of this kind."""
        self._sender.receive(await self._wire.receive())
        found = False
        for event in self._sender.events():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Opened):
                self.id = event.upload.id
            found = found or (kind is not None and isinstance(event, kind))
        return found


if __name__ == "__main__":
    work(upload)
