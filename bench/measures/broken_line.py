"""Uploading over a line that breaks: 50 Mbit/s, 60 ms, and each second 1 % of the connections are
cut, for a minute (target 15)."""

from __future__ import annotations

from dataclasses import replace

from bench import uploads
from bench.line import LineKind
from bench.measure import MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.peers.line import line
from bench.workspace import Workspace

RATE = 6.25e6
"""Bytes a second: 50 Mbit/s."""
WHOLE = LineKind(rate=RATE, round_trip=0.06, queue=int(RATE * 0.1))
BREAKING = replace(WHOLE, cut_share=0.01)

FILES = 10

USEFUL = "useful ÷ sent"


def measure(options: Options) -> Measure:
    size = 2 * MIB if options.quick else 36 * MIB
    # So short that a quick run would see no cut.
    breaking = replace(BREAKING, cut_share=0.05) if options.quick else BREAKING
    share = f"{breaking.cut_share * 100:g} %"
    return Measure(
        name="broken-line",
        title=f"{FILES} uploads of {in_words(size)} at once over a line of 50 Mbit/s that breaks",
        unit="s",
        sides=(
            Side("lading.Client, undisturbed", uploads.DURABLE, _over(WHOLE, size)),
            Side(f"lading.Client, {share} cut each second", uploads.DURABLE, _over(breaking, size)),
        ),
        goals=(
            Goal(15, "broken line: useful ÷ sent bytes", side=1, cost=USEFUL, at_least=0.98),
            Goal(15, "broken line: time ÷ undisturbed", side=1, over=0, at_most=1.15),
        ),
        note="Round trip 60 ms, the router's queue 100 ms. Both ends of a connection that is cut "
        "hear of it at once; which ones are cut is the same in each run. Sent is what entered the "
        "line, messages and headers included.",
        warm_up=False,
        rounds=1,
    )


def _over(kind: LineKind, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with workspace.lading() as server:
            async with line(workspace, server.url, kind) as long:
                job = {"path": str(path), "sha256": False, "direct": False, "copies": FILES}
                pids = {"server": server.pid, "line": long.pid, "mongod": workspace.mongo_pid}
                sent = await uploads.watch(
                    "bench.clients.put", {**server.job, "url": long.url, **job}, FILES * size, pids
                )
            counted = long.counted()
        costs = {
            USEFUL: FILES * size / counted["up"],
            "connections cut": counted["cut"],
            "connections": sent.told["connections"],
        }
        return Sample(sent.told["seconds"], {**costs, **sent.costs})

    return run
