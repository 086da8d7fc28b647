"""Uploading over WebSocket into a local directory ÷ tus servers that keep files (target 2).

Lading is durable, the others are not.
"""

from __future__ import annotations

from bench import peers, uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.workspace import Workspace

DURABLE = "yes: fdatasync, then majority, journaled"


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB

    async def lading(workspace: Workspace) -> Sample:
        home = {"blobs": f"file://{workspace.directory('home')}"}
        sent = await uploads.over_websocket(workspace, size, settings=home)
        return Sample(sent.megabytes, sent.costs)

    sides = [
        Side("Lading over WebSocket, a directory", DURABLE, lading),
        Side("tuspyserver, files", peers.NOT_DURABLE, _by_tus(peers.tuspyserver, size)),
    ]
    goals = [Goal(2, "upload: local driver ÷ tuspyserver", side=0, over=1, at_least=1.0)]
    if peers.has_tus_server():
        run = _by_tus(peers.tus_server, size)
        sides.append(Side("@tus/server, file store", peers.NOT_DURABLE, run))
        goals.append(Goal(2, "upload: local driver ÷ @tus/server", side=0, over=2, at_least=1.2))
    return Measure(
        name="upload-local",
        title=f"Upload of {in_words(size)} into a directory",
        unit="MB/s",
        sides=tuple(sides),
        goals=tuple(goals),
        note="The tus servers get PATCHes of 4 MiB, and do not wait for the disk.",
    )


def _by_tus(start: uploads.StartPeer, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await uploads.by_tus(workspace, start, size)
        return Sample(sent.megabytes, sent.costs)

    return run
