"""The server's memory with 200 uploads at once, and whether they share it fairly (target 7)."""

from __future__ import annotations

import statistics

from bench import uploads
from bench.measure import MIB, Goal, Measure, Options, Sample, Side, in_words
from bench.workspace import Workspace

UPLOADS = 200
BUDGET = 192 * MIB
SETTINGS = {"byte_budget": BUDGET}

UNFAIR = "slowest ÷ median"


def measure(options: Options) -> Measure:
    size = 2 * MIB if options.quick else 8 * MIB

    async def lading(workspace: Workspace) -> Sample:
        sent = await uploads.over_websocket(workspace, size, UPLOADS, SETTINGS)
        finished = sent.told["finished"]
        median = statistics.median(finished)
        fairness = {UNFAIR: max(finished) / median, "median, s": median}
        rate = {"MB/s": sent.megabytes}
        return Sample(sent.costs[uploads.PEAK], {**fairness, **rate, **sent.costs})

    return Measure(
        name="many-uploads",
        title=f"Peak RSS of the server with {UPLOADS} uploads of {in_words(size)} at once",
        unit="MiB",
        sides=(Side("Lading over WebSocket", uploads.DURABLE, lading),),
        goals=(
            Goal(
                7,
                f"{UPLOADS} uploads: RSS, MiB",
                side=0,
                at_most=round(1.1 * BUDGET / MIB, 1),
            ),
            Goal(7, f"{UPLOADS} uploads: {UNFAIR} time", side=0, cost=UNFAIR, at_most=1.2),
        ),
        note="All begin at the same moment, each over a connection of its own, from one client. "
        f"The bound of memory is the byte budget, {in_words(BUDGET)}, and 10 %.",
        warm_up=False,
        rounds=3,
    )
