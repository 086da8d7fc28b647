"""Downloading from a local directory ÷ nginx with the same file (target 4): by Lading itself, which
checks every piece, and by nginx to which Lading hands the file off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import peers, uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Sample, Setup, Side, in_words
from bench.workspace import LadingServer, Workspace

INTERNAL = "/internal/"


@dataclass(frozen=True, slots=True)
class Stored:
    """The file, a Lading that sends it itself, one that hands it off, and nginx before that."""

    workspace: Workspace
    source: Path
    lading: LadingServer
    path: str
    nginx: peers.Peer | None
    before: peers.Peer | None
    token: str


def _stage(size: int) -> Setup:
    @asynccontextmanager
    async def setup(workspace: Workspace) -> AsyncIterator[Stored]:
        source, home = await workspace.source(size), workspace.directory("home")
        await workspace.clear()
        settings = {"blobs": f"file://{home}"}
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(workspace.lading(settings))
            sent = await uploads.send(workspace, server, source, size)
            path = f"/v1/files/{sent.told['uploads'][0]}"
            nginx = before = None
            token = ""
            if peers.has_nginx():
                hand_off = workspace.lading(settings | {"sendfile": INTERNAL})
                behind = await stack.enter_async_context(hand_off)
                token = behind.token
                nginx = await stack.enter_async_context(peers.nginx(workspace, source.parent))
                proxy = peers.nginx(workspace, home, proxied=behind.url, internal=INTERNAL)
                before = await stack.enter_async_context(proxy)
            yield Stored(workspace, source, server, path, nginx, before, token)

    return setup


def measure(options: Options) -> Measure:
    size = 256 * MIB if options.quick else GIB

    async def lading(stored: Stored) -> Sample:
        got = await uploads.over_http(
            stored.workspace, stored.lading, stored.path, size, mongod=True
        )
        return Sample(got.megabytes, got.costs)

    async def nginx(stored: Stored) -> Sample:
        assert stored.nginx is not None
        path = f"/{stored.source.name}"
        got = await uploads.over_http(stored.workspace, stored.nginx, path, size, mongod=False)
        return Sample(got.megabytes, got.costs)

    async def hand_off(stored: Stored) -> Sample:
        assert stored.before is not None
        server = LadingServer(stored.before.pid, stored.before.url, stored.token)
        got = await uploads.over_http(stored.workspace, server, stored.path, size, mongod=False)
        return Sample(got.megabytes, got.costs)

    sides = [Side("Lading over HTTP, a directory", uploads.NOTHING_WRITTEN, lading)]
    goals: list[Goal] = []
    if peers.has_nginx():
        sides.append(Side("nginx, a file", uploads.NOTHING_WRITTEN, nginx))
        sides.append(Side("nginx, handed off by Lading", uploads.NOTHING_WRITTEN, hand_off))
        goals = [
            Goal(4, "download: local driver ÷ nginx", side=0, over=1, at_least=0.5),
            Goal(4, "download: hand-off ÷ nginx", side=2, over=1, at_least=0.95),
        ]
    return Measure(
        name="download-local",
        title=f"Download of {in_words(size)} from a directory",
        unit="MB/s",
        sides=tuple(sides),
        goals=tuple(goals),
        note="What is read was read before: it is in the page cache. Lading compares each piece "
        "with its checksum, nginx does not.",
        setup=_stage(size),
    )
