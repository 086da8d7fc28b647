"""Uploading from a page in Chromium ÷ by @uppy/tus to @tus/server, and what the page feels
(target 13)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench import peers, uploads
from bench.clients import Job
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words, left_out
from bench.process import ROOT
from bench.workspace import Workspace

HEAP = "JavaScript heap growth, MiB"
TASK = "longest task, ms"

NOTE = """\
Lading's client is the one that the server serves, on a page of the server, with its policy and \
the client's worker; the files arrive durably. @uppy/tus has its defaults, on a plain page of the \
same origin as @tus/server with its file store. Both clocks run from the first request to the \
finished file. The heap is what V8 says is in use, garbage and array buffers included, by the main \
thread and the workers: the most of samples every 100 ms, less what was in use before, after a \
garbage collection. Tasks of the main thread are reported from 50 ms on; 50 means none. CPU time \
and memory of the client are those of all processes of Chromium, and memory that they share counts \
for each; starting and ending them is elsewhere."""


def chromium() -> str | None:
    """The browser's program; the tests of the page look for it in the same places."""
    return shutil.which(os.environ.get("CHROMIUM") or "chromium")


def lacking() -> str | None:
    """What the browser's side needs and is missing; None if nothing is."""
    for what, found in (
        ("Node", shutil.which("node")),
        ("Chromium", chromium()),
        ("Puppeteer", _is_there(ROOT / "widget" / "node_modules" / "puppeteer-core")),
        ("the built page", _is_there(ROOT / "server" / "page" / "widget" / "lading.js")),
    ):
        if not found:
            return what
    return None


def _is_there(path: Path) -> bool:
    return path.exists()


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB
    name, unit, title = "browser-upload", "MB/s", f"Upload of {in_words(size)} by a browser"
    if what := lacking():
        why = f"{what} is not there. `scripts/install` tries to get what it needs."
        return left_out(name, title, unit, why)
    sides = [Side("Lading's client", uploads.DURABLE, _by_lading(size))]
    goals = [
        Goal(13, "Chromium: JavaScript heap growth, MiB", side=0, cost=HEAP, at_most=64),
        Goal(13, "Chromium: longest main-thread task, ms", side=0, cost=TASK, at_most=100),
    ]
    if peers.has_uppy():
        sides.append(Side("@uppy/tus to @tus/server", peers.NOT_DURABLE, _by_uppy(size)))
        goals.append(Goal(13, "Chromium: Lading ÷ @uppy/tus", side=0, over=1, at_least=1.5))
    return Measure(name, title, unit, sides=tuple(sides), goals=tuple(goals), note=NOTE, rounds=3)


def _by_lading(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with workspace.lading() as server:
            pids = {"server": server.pid, "mongod": workspace.mongo_pid}
            return await _send({**server.job, "kind": "lading", "path": str(path)}, size, pids)

    return run


def _by_uppy(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        async with peers.tus_page_server(workspace) as peer:
            job = {**peer.job, "kind": "uppy", "path": str(path)}
            return await _send(job, size, {"server": peer.pid})

    return run


async def _send(job: Job, size: int, pids: Mapping[str, int]) -> Sample:
    job = {**job, "chromium": chromium()}
    sent = await uploads.watch("bench.clients.browser", job, size, pids)
    return Sample(sent.megabytes, {**page_costs(sent), **sent.costs})


def page_costs(sent: uploads.Transfer) -> dict[str, float]:
    """What the page feels."""
    return {
        HEAP: max(sent.told["heap_growth"] / MIB, 0.1),  # never 0: shares of bounds are ratios
        "JavaScript heap kept, MiB": sent.told["heap_kept"] / MIB,
        TASK: sent.told["longest_task"] * 1000,
    }
