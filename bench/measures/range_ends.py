"""The first byte of a range at the end of a 5 GiB file ÷ at its start (target 11)."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words, percentile
from bench.process import ask
from bench.workspace import LadingServer, Workspace

WANTED = 5 * GIB
NEAR = 64 * MIB
"""What counts as the start and as the end: ranges begin in so many bytes of either."""

LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """The file, and the server that has it."""

    server: LadingServer
    path: str


def measure(options: Options) -> Measure:
    size, count = (512 * MIB, 100) if options.quick else (WANTED, 400)

    @asynccontextmanager
    async def setup(workspace: Workspace) -> AsyncIterator[Stored]:
        source = await workspace.source(size)
        await workspace.clear()
        async with workspace.lading() as server:
            sent = await uploads.send(workspace, server, source, size)
            yield Stored(server, f"/v1/files/{sent.told['uploads'][0]}")

    def first_byte(start: int) -> Run:
        async def run(stored: Stored) -> Sample:
            part = {"start": start, "end": start + NEAR, "length": LENGTH, "count": count}
            job = {**stored.server.job, "path": stored.path, **part}
            waits = (await ask("bench.clients.ranges", job))["first_bytes"]
            return Sample(statistics.median(waits) * 1e3, {"p99, ms": percentile(waits, 99) * 1e3})

        return run

    nothing = uploads.NOTHING_WRITTEN
    return Measure(
        name="range-ends",
        title=f"First byte of a range of 64 KiB of a {in_words(size)} file",
        unit="ms",
        sides=(
            Side("Lading, in the first 64 MiB", nothing, first_byte(0)),
            Side("Lading, in the last 64 MiB", nothing, first_byte(size - NEAR)),
        ),
        goals=(Goal(11, "first byte of a range, end ÷ start", side=1, over=0, at_most=1.1),),
        note="" if size == WANTED else f"The target is set for {in_words(WANTED)}.",
        setup=setup,
    )
