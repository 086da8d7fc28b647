"""Uploading by tus, in PATCHes of 4 MiB of the same client: Lading, @tus/server, tuspyserver.

Page 6 of the design has no target for it; issue 14 asks for the rows. Only Lading is durable.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext

from bench import peers, uploads
from bench.measure import GIB, MIB, Measure, Options, Run, Sample, Side, in_words
from bench.peers.seaweedfs import Bucket, has_seaweedfs, seaweedfs
from bench.workspace import Workspace

FILES = "yes: fdatasync, then majority, journaled"


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB
    sides = [
        Side("Lading, MongoDB", uploads.DURABLE, _lading(size)),
        Side("Lading, a directory", FILES, _lading(size, files=True)),
        Side("tuspyserver, files", peers.NOT_DURABLE, _peer(peers.tuspyserver, size)),
    ]
    if peers.has_tus_server():
        sides.append(
            Side("@tus/server, file store", peers.NOT_DURABLE, _peer(peers.tus_server, size))
        )
    if has_seaweedfs():
        sides.append(Side("Lading, SeaweedFS", uploads.DURABLE, _lading(size, s3=True)))
        if peers.has_tus_server():
            sides.append(Side("@tus/server, SeaweedFS", "as SeaweedFS is", _tus_s3(size)))
    return Measure(
        name="tus-patches",
        title=f"Upload of {in_words(size)} by tus, PATCHes of 4 MiB",
        unit="MB/s",
        sides=tuple(sides),
        goals=(),
        note="One client for all, from the creation to the last answer. Lading with SeaweedFS has "
        "the bytes in MongoDB then, and moves them afterwards.",
        warm_up=False,
        rounds=1,
    )


def _bucket(workspace: Workspace, *, s3: bool) -> AbstractAsyncContextManager[Bucket | None]:
    return seaweedfs(workspace) if s3 else nullcontext()


def _lading(size: int, *, files: bool = False, s3: bool = False) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with _bucket(workspace, s3=s3) as bucket:
            settings: dict[str, object] = {} if bucket is None else bucket.settings
            if files:
                settings = {"blobs": f"file://{workspace.directory('home')}"}
            variables = None if bucket is None else bucket.variables
            async with workspace.lading(settings, variables=variables) as server:
                url = f"{server.url}/v1/tus"
                sent = await uploads.patches(url, path, size, server.pid, server.token)
        return Sample(sent.megabytes, sent.costs)

    return run


def _peer(start: uploads.StartPeer, size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        sent = await uploads.by_tus(workspace, start, size)
        return Sample(sent.megabytes, sent.costs)

    return run


def _tus_s3(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with seaweedfs(workspace) as bucket, peers.tus_s3_server(workspace, bucket.job) as to:
            sent = await uploads.patches(to.url, path, size, to.pid)
        return Sample(sent.megabytes, sent.costs)

    return run
