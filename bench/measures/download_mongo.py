"""Downloading over HTTP from MongoDB ÷ GridFS read straight from PyMongo (target 3).

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
            yield Stored(workspace, source, server, f"/v1/files/{sent.told['uploads'][0]}", nginx)

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

    sides = [
        Side("Lading over HTTP", uploads.NOTHING_WRITTEN, lading),
        Side("GridFS straight from PyMongo", uploads.NOTHING_WRITTEN, gridfs),
    ]
    if peers.has_nginx():
        sides.append(Side("nginx, a file", uploads.NOTHING_WRITTEN, nginx))
    return Measure(
        name="download-mongo",
        title=f"Download of {in_words(size)} from MongoDB",
        unit="MB/s",
        sides=tuple(sides),
        goals=(Goal(3, "download: Lading ÷ GridFS", side=0, over=1, at_least=0.9),),
        note="What is read was read before: it is in the page cache, and in mongod's cache as far "
        "as that goes. nginx is there for information.",
        setup=_stage(size),
    )
