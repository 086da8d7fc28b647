"""Stores small pieces of one upload over WebSocket, after those that are stored already.

The job: `{"url", "token", "path", "size", "chunk_size", "upload", "first", "pieces", "at_once",
"connections"}`; `upload` is null for a new one. The result: its id, the `seconds` of storing the
pieces from `first` on with `at_once` of them on their way, and those until RESUME was answered.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from bench.clients import Job, Source, work
from bench.clients.wire import Wire, run
from lading.protocol.digests import crc32c
from lading.protocol.errors import from_problem
from lading.protocol.messages import Chunk, Create, Opened, Refused, Resume, Stored
from lading.protocol.spec import UploadSpec

REF = 1


def store(job: Job) -> Job:
    """Do the job without FINISH, so that more pieces can follow."""
    return run(_store(job))


async def _store(job: Job) -> Job:
    source = Source(job["path"])
    async with AsyncExitStack() as stack:
        wires = []
        for _ in range(job["connections"]):
            wire = await stack.enter_async_context(Wire.open(job))
            await wire.hello(job)
            wires.append(wire)
        upload, opening = job["upload"], 0.0
        for wire in wires:
            begin = time.perf_counter()
            opened = await _open(wire, job, upload)
            upload, opening = opened.id, opening or time.perf_counter() - begin
        begin = time.perf_counter()
        await asyncio.gather(
            *[_pieces(wire, job, source, place) for place, wire in enumerate(wires)]
        )
        seconds = time.perf_counter() - begin
    return {"upload": upload, "seconds": seconds, "opening": opening}


async def _open(wire: Wire, job: Job, upload: str | None) -> Opened:
    if upload is None:
        spec = UploadSpec(name="file", size=job["size"], chunk_size=job["chunk_size"])
        await wire.send(Create(REF, spec))
    else:
        await wire.send(Resume(REF, upload))
    return await wire.expect(Opened)


async def _pieces(wire: Wire, job: Job, source: Source, place: int) -> None:
    """The pieces of one connection: every n-th piece."""
    length, waiting = job["chunk_size"], 0
    numbers = range(job["first"] + place, job["first"] + job["pieces"], job["connections"])
    for number in numbers:
        while waiting >= job["at_once"]:
            waiting -= await _answered(wire)
        start = number * length
        data = source.read(start, start + length)
        await wire.send(Chunk(REF, start, crc32c(data), data))
        waiting += 1
    while waiting:
        waiting -= await _answered(wire)


async def _answered(wire: Wire) -> int:
    """Receive one message; returns how many pieces it acknowledges."""
    message = await wire.receive()
    if isinstance(message, Refused):
        raise from_problem(message.problem)
    return len(message.pieces) if isinstance(message, Stored) else 0


if __name__ == "__main__":
    work(store)
