"""Downloading over HTTP from MongoDB ÷ GridFS read straight from PyMongo, and behind two web
servers (target 3).

Beside them, for information, nginx with the same bytes as a file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import peers, uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Sample, Setup, Side, in_words
from bench.workspace import LadingServer, Workspace


@dataclass(frozen=True, slots=True)
class Stored:
    """The file on all sides, and their servers."""

    workspace: Workspace
    source: Path
    lading: LadingServer
    path: str
    nginx: peers.Peer | None
    starlette: peers.Peer
    express: peers.Peer | None


def _stage(size: int) -> Setup:
    @asynccontextmanager
    async def setup(workspace: Workspace) -> AsyncIterator[Stored]:
        source = await workspace.source(size)
        await workspace.clear()
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(workspace.lading())
            sent = await uploads.send(workspace, server, source, size)
            await uploads.gridfs(workspace, source, size, read=False)
            nginx = None
            if peers.has_nginx():
                nginx = await stack.enter_async_context(peers.nginx(workspace, source.parent))
            starlette = await stack.enter_async_context(peers.gridfs_starlette(workspace))
            express = None
            if peers.has_express():
                express = await stack.enter_async_context(peers.gridfs_express(workspace))
            path = f"/v1/files/{sent.told['uploads'][0]}"
            yield Stored(workspace, source, server, path, nginx, starlette, express)

    return setup


def measure(options: Options) -> Measure:
    size = 256 * MIB if options.quick else GIB

    async def lading(stored: Stored) -> Sample:
        got = await uploads.over_http(
            stored.workspace, stored.lading, stored.path, size, mongod=True
        )
        return Sample(got.megabytes, got.costs)

    async def gridfs(stored: Stored) -> Sample:
        got = await uploads.gridfs(stored.workspace, stored.source, size, read=True)
        return Sample(got.megabytes, got.costs)

    async def nginx(stored: Stored) -> Sample:
        assert stored.nginx is not None
        path = f"/{stored.source.name}"
        got = await uploads.over_http(stored.workspace, stored.nginx, path, size, mongod=False)
        return Sample(got.megabytes, got.costs)

    async def starlette(stored: Stored) -> Sample:
        return await _of_peer(stored, stored.starlette, size)

    async def express(stored: Stored) -> Sample:
        assert stored.express is not None
        return await _of_peer(stored, stored.express, size)

    nothing = uploads.NOTHING_WRITTEN
    sides = [
        Side("Lading over HTTP", nothing, lading),
        Side("GridFS straight from PyMongo", nothing, gridfs),
        Side("GridFS behind Starlette", nothing, starlette),
    ]
    goals = [
        Goal(3, "download: Lading ÷ GridFS straight", side=0, over=1, at_least=0.9),
        Goal(3, "download: Lading ÷ GridFS, Starlette", side=0, over=2, at_least=2),
    ]
    if peers.has_express():
        title = "download: Lading ÷ GridFS, Express"
        goals.append(Goal(3, title, side=0, over=len(sides), at_least=2))
        sides.append(Side("GridFS behind Express", nothing, express))
    if peers.has_nginx():
        sides.append(Side("nginx, a file", nothing, nginx))
    return Measure(
        name="download-mongo",
        title=f"Download of {in_words(size)} from MongoDB",
        unit="MB/s",
        sides=tuple(sides),
        goals=tuple(goals),
        note="What is read was read before: it is in the page cache, and in mongod's cache as far "
        "as that goes. nginx is there for information.",
        setup=_stage(size),
    )


async def _of_peer(stored: Stored, peer: peers.Peer, size: int) -> Sample:
    """The file that was put into GridFS, sent by a web server."""
    got = await uploads.over_http(stored.workspace, peer, "/files/file", size, mongod=True)
    return Sample(got.megabytes, got.costs)
