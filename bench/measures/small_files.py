"""Small files by one request each ÷ tuspyserver, creation and PATCH (target 10)."""

from __future__ import annotations

from typing import Any

from bench import peers, uploads
from bench.measure import MIB, Goal, Measure, Options, Sample, Side, percentile
from bench.uploads import DURABLE
from bench.workspace import LadingServer, Workspace

SIZE = 64 * 1024
CONNECTIONS = 16


def measure(options: Options) -> Measure:
    files = 300 if options.quick else 2_000

    async def lading(workspace: Workspace) -> Sample:
        source = await _prepare(workspace)
        async with workspace.lading() as server:
            mongod = workspace.mongo_pid
            return await _store(server, source, files, tus=False, mongod=mongod)

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
        goals=(Goal(10, "small files: Lading ÷ tuspyserver", side=0, over=1, at_least=3),),
        rounds=3,
    )


async def _prepare(workspace: Workspace) -> str:
    source = await workspace.source(MIB)
    await workspace.clear()
    return str(source)


async def _store(
    server: LadingServer | peers.Peer, source: str, files: int, *, tus: bool, **others: int
) -> Sample:
    """Store the files; `others` are processes that work for the server, by their names."""
    job: dict[str, Any] = {**server.job, "tus": tus, "path": source, "size": SIZE}
    job |= {"files": files, "connections": CONNECTIONS}
    pids, each = {"server": server.pid, **others}, uploads.Per("CPU ms/file", files / 1e3)
    sent = await uploads.watch("bench.clients.small_files", job, files * SIZE, pids, each)
    waits = {
        "p50, ms": percentile(sent.told["waits"], 50) * 1e3,
        "p99, ms": percentile(sent.told["waits"], 99) * 1e3,
    }
    return Sample(files / sent.told["seconds"], {**waits, **sent.costs})
