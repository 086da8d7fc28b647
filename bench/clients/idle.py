"""Opens connections that send only heartbeats, and measures the server.

The job: `{"url", "token", "pid", "steps", "hold"}`. Each connection has an upload open, as one that
is paused has: the server closes those that have none after a minute. At each of the `steps`, which
are numbers of connections, it waits until the server is at rest; at the last for `hold` seconds.
The result: for each step the connections, the `seconds` of opening one more, and the resident bytes
of the process `pid` and those below it; at the end the CPU seconds it used in a second of rest.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from bench.clients import Job, work
from bench.clients.wire import Wire, run
from bench.process import cpu_seconds, memory
from lading.protocol.messages import Create, Opened, Ping
from lading.protocol.spec import UploadSpec

AT_ONCE = 32
"""Connections that are being opened at the same time."""

SETTLE_SECONDS = 1.0
PULSE_SECONDS = 15.0
"""Less than the heartbeat of the protocol, 20 s."""


def idle(job: Job) -> Job:
    """Do the job."""
    return run(_idle(job))


async def _idle(job: Job) -> Job:
    wires: list[Wire] = []
    found = []
    async with AsyncExitStack() as stack:
        pulse = asyncio.create_task(_pulse(wires))
        stack.callback(pulse.cancel)
        for step in job["steps"]:
            before, begin = len(wires), time.perf_counter()
            await _open(job, wires, stack, step)
            seconds = (time.perf_counter() - begin) / (step - before)
            await asyncio.sleep(SETTLE_SECONDS)
            now = memory(job["pid"]).now
            found.append({"connections": step, "seconds": seconds, "resident": now})
        used = cpu_seconds(job["pid"])
        await asyncio.sleep(job["hold"])
        used = cpu_seconds(job["pid"]) - used
        if pulse.done():
            pulse.result()  # a connection that was closed is not idle
        return {"steps": found, "resting": used / job["hold"]}


async def _open(job: Job, wires: list[Wire], stack: AsyncExitStack, total: int) -> None:
    """Open connections up to this number."""
    todo = iter(range(total - len(wires)))

    async def some() -> None:
        for _ in todo:
            wire = await stack.enter_async_context(Wire.open(job))
            await wire.hello(job)
            await wire.send(Create(1, UploadSpec(name="file", size=2**20)))
            await wire.expect(Opened)
            wires.append(wire)

    await asyncio.gather(*[some() for _ in range(AT_ONCE)])


async def _pulse(wires: list[Wire]) -> None:
    while True:
        await asyncio.sleep(PULSE_SECONDS)
        for nonce, wire in enumerate(list(wires)):
            await wire.send(Ping(nonce))


if __name__ == "__main__":
    work(idle)
