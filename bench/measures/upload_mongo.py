"""Uploading over WebSocket into MongoDB ÷ GridFS straight from PyMongo and behind two web servers
(targets 1 and 1b), and the server's CPU time ÷ that of tus servers, which keep files and are not
durable (target 5).
"""

from __future__ import annotations

from bench import peers, uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.workspace import Workspace


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB

    async def lading(workspace: Workspace) -> Sample:
        sent = await uploads.over_websocket(workspace, size)
        return Sample(sent.megabytes, sent.costs)

    async def gridfs(workspace: Workspace) -> Sample:
        sent = await uploads.into_gridfs(workspace, size)
        return Sample(sent.megabytes, sent.costs)

    sides = [
        Side("Lading over WebSocket", uploads.DURABLE, lading),
        Side("GridFS straight from PyMongo", uploads.DURABLE, gridfs),
        Side("GridFS behind Starlette", uploads.DURABLE, _by_post(peers.gridfs_starlette, size)),
        Side("tuspyserver, files", peers.NOT_DURABLE, _by_tus(peers.tuspyserver, size)),
    ]
    cpu = "upload: server CPU ÷ "
    goals = [
        Goal(1, "upload: Lading ÷ GridFS straight", side=0, over=1, at_least=1.5),
        Goal(1, "upload: Lading ÷ GridFS, Starlette", side=0, over=2, at_least=2.5),
        _less_cpu(f"{cpu}tuspyserver's", over=3, at_most=0.6),
    ]
    if peers.has_tus_server():
        run = _by_tus(peers.tus_server, size)
        goals.append(_less_cpu(f"{cpu}@tus/server's", over=len(sides), at_most=0.4))
        sides.append(Side("@tus/server, file store", peers.NOT_DURABLE, run))
    if peers.has_express():
        run = _by_post(peers.gridfs_express, size)
        title = "upload: Lading ÷ GridFS, Express"
        goals.append(Goal(1, title, side=0, over=len(sides), at_least=2.5))
        sides.append(Side("GridFS behind Express", uploads.DURABLE, run))
    return Measure(
        name="upload-mongo",
        title=f"Upload of {in_words(size)} into MongoDB",
        unit="MB/s",
        sides=tuple(sides),
        goals=tuple(goals),
        note="Behind the two web servers GridFS gets the body of one POST. The tus servers get "
        "PATCHes of 4 MiB, and do not wait for the disk.",
    )


def _less_cpu(title: str, over: int, at_most: float) -> Goal:
    return Goal(5, title, side=0, over=over, cost=uploads.SERVER_CPU, at_most=at_most)


def _by_post(start: uploads.StartPeer, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with start(workspace) as peer:
            sent = await uploads.posted(workspace, peer, path, size)
        return Sample(sent.megabytes, sent.costs)

    return run


def _by_tus(start: uploads.StartPeer, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await uploads.by_tus(workspace, start, size)
        return Sample(sent.megabytes, sent.costs)

    return run
