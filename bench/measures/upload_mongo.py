"""Uploading over WebSocket into MongoDB ÷ GridFS straight from PyMongo, and the server's CPU time
(targets 1 and 5). Beside them, for information, servers that keep files and are not durable.
"""

from __future__ import annotations

from bench import peers, uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.workspace import Workspace


def measure(options: Options) -> Measure:
    size = 256 * MIB if options.quick else GIB

    async def lading(workspace: Workspace) -> Sample:
        sent = await uploads.over_websocket(workspace, size)
        return Sample(sent.megabytes, sent.costs)

    async def gridfs(workspace: Workspace) -> Sample:
        sent = await uploads.into_gridfs(workspace, size)
        return Sample(sent.megabytes, sent.costs)

    sides = [
        Side("Lading over WebSocket", uploads.DURABLE, lading),
        Side("GridFS straight from PyMongo", uploads.DURABLE, gridfs),
        Side("tuspyserver, files", peers.NOT_DURABLE, _by_tus(peers.tuspyserver, size)),
    ]
    if peers.has_tus_server():
        run = _by_tus(peers.tus_server, size)
        sides.append(Side("@tus/server, file store", peers.NOT_DURABLE, run))
    return Measure(
        name="upload-mongo",
        title=f"Upload of {in_words(size)} into MongoDB",
        unit="MB/s",
        sides=tuple(sides),
        goals=(
            Goal(1, "upload: Lading ÷ GridFS", side=0, over=1, at_least=1.2),
            Goal(5, "upload: server CPU s per GB", side=0, cost=uploads.SERVER_CPU, at_most=1.2),
        ),
        note="The tus servers, in PATCHes of 4 MiB, are there for information: they do not wait "
        "for the disk.",
    )


def _by_tus(start: uploads.StartPeer, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await uploads.by_tus(workspace, start, size)
        return Sample(sent.megabytes, sent.costs)

    return run
