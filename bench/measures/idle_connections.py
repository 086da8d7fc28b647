"""The server's memory with 10,000 connections that are idle (target 8)."""

from __future__ import annotations

from bench.measure import MIB, Goal, Measure, Options, Sample, Side
from bench.process import ask, memory
from bench.uploads import DURABLE
from bench.workspace import Workspace

WANTED = 10_000
BOUND = 250
SETTINGS = {"max_connections": 20_000, "max_user_connections": 20_000}


def measure(options: Options) -> Measure:
    connections, hold = (1_000, 2) if options.quick else (WANTED, 20)

    async def lading(workspace: Workspace) -> Sample:
        await workspace.clear()
        async with workspace.lading(SETTINGS) as server:
            base = memory(server.pid).now
            job = {**server.job, "pid": server.pid, "steps": [connections], "hold": hold}
            told = await ask("bench.clients.idle", job)
        (step,) = told["steps"]
        resident = step["resident"]
        costs = {
            "RSS before, MiB": base / MIB,
            "KiB for each": (resident - base) / 1024 / connections,
            "ms to open one": step["seconds"] * 1e3,
            "CPU s in a second of rest": told["resting"],
        }
        return Sample(resident / MIB, costs)

    note = "Each is signed in and has an upload open, as a paused one has: one that has none is "
    note += "closed after a minute."
    if connections != WANTED:
        note += f" The target of {BOUND} MiB is set for {WANTED:,}."
    return Measure(
        name="idle-connections",
        title=f"RSS of the server with {connections:,} idle connections",
        unit="MiB",
        sides=(Side("Lading", DURABLE, lading),),
        goals=(Goal(8, f"{connections:,} idle: RSS, MiB", side=0, at_most=BOUND),),
        note=note,
        warm_up=False,
        rounds=1,
    )
