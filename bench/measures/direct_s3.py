"""What a direct upload costs the server: the bytes go to the bucket, past it (issue 12; page 6 of
the design has no number for it).

The other side is the same client with the bytes through the server.
"""

from __future__ import annotations

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words, left_out
from bench.peers.seaweedfs import MISSING, has_seaweedfs, seaweedfs
from bench.process import ask
from bench.workspace import Workspace

ROW = 19


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB
    name, title, unit = "direct-s3", f"Direct upload of {in_words(size)} to S3", "MB/s"
    if not has_seaweedfs():
        return left_out(name, title, unit, MISSING)
    return Measure(
        name=name,
        title=title,
        unit=unit,
        sides=(
            Side("lading put --direct", "as SeaweedFS is", _sent(size, direct=True)),
            Side("lading put", uploads.DURABLE, _sent(size, direct=False)),
        ),
        goals=(
            Goal(
                ROW,
                "server CPU: direct ÷ through the server",
                side=0,
                over=1,
                cost=uploads.SERVER_CPU,
                at_most=0.05,
            ),
        ),
        note="Both compute a SHA-256 first. The server reads back what came through it. What a "
        "direct upload costs is what the server does anyway in that time.",
        warm_up=False,
        rounds=3,
    )


def _sent(size: int, *, direct: bool) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with (
            seaweedfs(workspace) as bucket,
            workspace.lading(bucket.settings, variables=bucket.variables) as server,
        ):
            small = workspace.directory("small") / "file"
            small.write_bytes(b"first")  # the first file of a server makes it load the SDK of S3
            job = {**server.job, "path": str(small), "sha256": True, "direct": direct}
            await ask("bench.clients.put", job)
            job["path"] = str(path)
            sent = await uploads.watch("bench.clients.put", job, size, {"server": server.pid})
        return Sample(sent.megabytes, sent.costs)

    return run
