"""Thousands of files of 2 kB dropped on the page ÷ the same by @uppy/tus (target 17)."""

from __future__ import annotations

from collections.abc import Mapping

from bench import peers, uploads
from bench.clients import Job
from bench.measure import Goal, Measure, Options, Run, Sample, Side, left_out
from bench.measures.browser_upload import chromium, lacking, page_costs
from bench.workspace import Workspace

SIZE = 2_000


def measure(options: Options) -> Measure:
    count = 200 if options.quick else 1_000
    name, unit, title = "browser-small", "files/s", f"{count:,} files of 2 kB by a browser"
    if what := lacking() or (None if peers.has_uppy() else "@uppy/tus"):
        why = f"{what} is not there. `scripts/bench` tries to get what it needs."
        return left_out(name, title, unit, why)
    return Measure(
        name=name,
        title=title,
        unit=unit,
        sides=(
            Side("Lading's page", uploads.DURABLE, _by_page(count)),
            Side("@uppy/tus to @tus/server", peers.NOT_DURABLE, _by_uppy(count)),
        ),
        goals=(Goal(17, "small files, Chromium ÷ @uppy/tus", side=0, over=1, at_least=3),),
        note="Dropped on Lading's page, which shows and verifies each; added to Uppy without any "
        "page. Until the last is stored. The rate is the same for more files.",
        warm_up=False,
        rounds=1,
    )


def _by_page(count: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        await workspace.clear()
        async with workspace.lading() as server:
            pids = {"server": server.pid, "mongod": workspace.mongo_pid}
            return await _send({**server.job, "kind": "page"}, count, pids)

    return run


def _by_uppy(count: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        async with peers.tus_page_server(workspace) as peer:
            return await _send({**peer.job, "kind": "uppy_many"}, count, {"server": peer.pid})

    return run


async def _send(job: Job, count: int, pids: Mapping[str, int]) -> Sample:
    job = {**job, "count": count, "chromium": chromium()}
    each = uploads.Per("CPU ms/file", count / 1e3)
    sent = await uploads.watch("bench.clients.browser", job, count * SIZE, pids, each)
    return Sample(count / sent.told["seconds"], {**page_costs(sent), **sent.costs})
