"""Uploading from a page in Chromium ÷ by the Python client, and what the page feels (target 13).

Beside them, for information, the Python client without the SHA-256, which the browser does not
compute either.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words, left_out
from bench.process import ROOT
from bench.workspace import Workspace

HEAP = "JavaScript heap growth, MiB"
TASK = "longest task, ms"

NOTE = """\
The client of the browser is the one that the server serves, on a page of the server, with its \
policy and the client's worker. The Python client is as `lading put` is by default: it computes a \
SHA-256, and the server reads all back and checks it before it says done; the browser asks for \
none. Both clocks run from the first request to the finished file. The heap is what V8 says is in \
use, garbage and array buffers included, by the main thread and the worker: the most of samples \
every 100 ms, less what was in use before, after a garbage collection. Tasks of the main thread \
are reported from 50 ms on; 50 means none. The CPU time of the browser's client is that of all \
processes of Chromium; starting and ending them is elsewhere."""


def chromium() -> str | None:
    """The browser's program; the tests of the page look for it in the same places."""
    return shutil.which(os.environ.get("CHROMIUM") or "chromium")


def lacking() -> str | None:
    """What the browser's side needs and is missing; None if nothing is."""
    for what, found in (
        ("Node", shutil.which("node")),
        ("Chromium", chromium()),
        ("Playwright", _is_there(ROOT / "widget" / "node_modules" / "playwright-core")),
        ("the built page", _is_there(ROOT / "server" / "page" / "widget" / "lading.js")),
    ):
        if not found:
            return what
    return None


def _is_there(path: Path) -> bool:
    return path.exists()


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB
    name, title, unit = "browser-upload", f"Upload of {in_words(size)} by a browser", "MB/s"
    if what := lacking():
        why = f"{what} is not there. `scripts/install` tries to get what it needs."
        return left_out(name, title, unit, why)
    return Measure(
        name=name,
        title=title,
        unit=unit,
        sides=(
            Side("Chromium", uploads.DURABLE, _by_browser(size)),
            Side("lading.Client", uploads.DURABLE, _by_python(size, sha256=True)),
            Side("lading.Client, no SHA-256", uploads.DURABLE, _by_python(size, sha256=False)),
        ),
        goals=(
            Goal(13, "upload: Chromium ÷ lading.Client", side=0, over=1, at_least=0.6),
            Goal(13, "Chromium: JavaScript heap growth, MiB", side=0, cost=HEAP, at_most=64),
            Goal(13, "Chromium: longest main-thread task, ms", side=0, cost=TASK, at_most=100),
        ),
        note=NOTE,
    )


def _by_browser(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await _send(workspace, "bench.clients.browser", size, {"chromium": chromium()})
        # Never 0, because the share of the bound is a ratio.
        sent.costs[HEAP] = max(sent.told["heap_growth"] / MIB, 0.1)
        sent.costs["JavaScript heap kept, MiB"] = sent.told["heap_kept"] / MIB
        sent.costs[TASK] = sent.told["longest_task"] * 1000
        return Sample(sent.megabytes, sent.costs)

    return run


def _by_python(size: int, *, sha256: bool) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await _send(
            workspace, "bench.clients.put", size, {"sha256": sha256, "direct": False}
        )
        return Sample(sent.megabytes, sent.costs)

    return run


async def _send(
    workspace: Workspace, client: str, size: int, more: dict[str, object]
) -> uploads.Transfer:
    """Upload the source file to a fresh server by one of the clients."""
    path = await workspace.source(size)
    await workspace.clear()
    async with workspace.lading() as server:
        job = {**server.job, "path": str(path), **more}
        pids = {"server": server.pid, "mongod": workspace.mongo_pid}
        return await uploads.watch(client, job, size, pids)
