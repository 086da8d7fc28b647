"""The server's memory while a large file is uploaded, and while a small one is (target 6)."""

from __future__ import annotations

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Run, Sample, Side, in_words
from bench.scene import Scene

SMALL = 100 * MIB


def measure(quick: bool) -> Measure:
    large = GIB if quick else 4 * GIB
    return Measure(
        name="server-memory",
        title="Peak RSS of the server with one upload over WebSocket",
        unit="MiB",
        sides=(
            Side(f"Lading, {in_words(SMALL)}", uploads.DURABLE, _peak(SMALL)),
            Side(f"Lading, {in_words(large)}", uploads.DURABLE, _peak(large)),
        ),
        goals=(Goal(f"peak RSS, {in_words(large)}, MiB", side=1, at_most=250),),
        warm_up=False,
    )


def _peak(size: int) -> Run:
    async def run(scene: Scene) -> Sample:
        uploaded = await uploads.over_websocket(scene, size)
        return Sample(uploaded.costs["RSS peak, MiB"], uploaded.costs)

    return run
