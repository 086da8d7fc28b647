"""The server's memory while a large file is uploaded ÷ while a small one is (target 6)."""

from __future__ import annotations

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.workspace import Workspace, room_for

SMALL = 100 * MIB
LARGE = (10 * GIB, 4 * GIB, 2 * GIB)
"""The first that the disk has room for."""


def measure(options: Options) -> Measure:
    fitting = [size for size in LARGE if room_for(size) <= options.room]
    large = 512 * MIB if options.quick or not fitting else fitting[0]
    note = "" if large == LARGE[0] else f"The target is set for 10 GiB; this is {in_words(large)}."
    return Measure(
        name="server-memory",
        title="Peak RSS of the server with one upload over WebSocket",
        unit="MiB",
        sides=(
            Side(f"Lading, {in_words(SMALL)}", uploads.DURABLE, _peak(SMALL)),
            Side(f"Lading, {in_words(large)}", uploads.DURABLE, _peak(large)),
        ),
        goals=(
            Goal(
                6, f"peak RSS, {in_words(large)} ÷ {in_words(SMALL)}", side=1, over=0, at_most=1.1
            ),
            Goal(6, f"peak RSS, {in_words(large)}, MiB", side=1, at_most=200),
        ),
        note=note,
        warm_up=False,
        rounds=2,
    )


def _peak(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await uploads.over_websocket(workspace, size)
        return Sample(sent.costs[uploads.PEAK], sent.costs)

    return run
