"""Small files by one request each ÷ tuspyserver, creation and PATCH (target 10)."""

from __future__ import annotations

from typing import Any

from bench import peers
from bench.measure import MIB, Goal, Measure, Options, Sample, Side, percentile
from bench.process import ask, cpu_seconds
from bench.uploads import DURABLE
from bench.workspace import LadingServer, Workspace

SIZE = 64 * 1024
CONNECTIONS = 16


def measure(options: Options) -> Measure:
    files = 300 if options.quick else 2_000

    async def lading(workspace: Workspace) -> Sample:
        source = await _prepare(workspace)
        async with workspace.lading() as server:
            return await _store(server, source, files, tus=False)

    async def tuspyserver(workspace: Workspace) -> Sample:
        source = await _prepare(workspace)
        async with peers.tuspyserver(workspace) as peer:
            return await _store(peer, source, files, tus=True)

    return Measure(
        name="small-files",
        title=f"Files of 64 KiB over HTTP, {CONNECTIONS} connections",
        unit="files/s",
        sides=(
            Side("Lading, POST /v1/files", DURABLE, lading),
            Side("tuspyserver, creation and PATCH", peers.NOT_DURABLE, tuspyserver),
        ),
        goals=(Goal(10, "small files: Lading ÷ tuspyserver", side=0, over=1, at_least=2),),
    )


async def _prepare(workspace: Workspace) -> str:
    source = await workspace.source(MIB)
    await workspace.clear()
    return str(source)


async def _store(
    server: LadingServer | peers.Peer, source: str, files: int, *, tus: bool
) -> Sample:
    job: dict[str, Any] = {**server.job, "tus": tus, "path": source, "size": SIZE}
    before = cpu_seconds(server.pid)
    told = await ask(
        "bench.clients.small_files", {**job, "files": files, "connections": CONNECTIONS}
    )
    costs = {
        "p50, ms": percentile(told["waits"], 50) * 1e3,
        "p99, ms": percentile(told["waits"], 99) * 1e3,
        "server CPU ms/file": (cpu_seconds(server.pid) - before) / files * 1e3,
        "client CPU ms/file": told["cpu_seconds"] / files * 1e3,
    }
    return Sample(files / told["seconds"], costs)
