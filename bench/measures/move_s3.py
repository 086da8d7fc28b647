"""From FINISH until a file lives in S3 ÷ putting the same file there by aiobotocore alone, and the
server's memory meanwhile (issue 12; the design's page 6 has no number for it).

Both sides send to a SeaweedFS on the same disk. Lading reads the pieces from MongoDB.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words, left_out
from bench.peers.seaweedfs import MISSING, Bucket, has_seaweedfs, seaweedfs
from bench.process import memory
from bench.workspace import Workspace

ROW = 18
POLL_SECONDS = 0.01


def measure(options: Options) -> Measure:
    size = 128 * MIB if options.quick else GIB
    name, title, unit = "move-s3", f"From FINISH to S3, {in_words(size)}", "MB/s"
    if not has_seaweedfs():
        return left_out(name, title, unit, MISSING)
    return Measure(
        name=name,
        title=title,
        unit=unit,
        sides=(
            Side("Lading, moved", "yes: majority, journaled, until S3 has it", _moved(size)),
            Side("aiobotocore alone", "as SeaweedFS is", _put(size)),
        ),
        goals=(
            Goal(ROW, "move to S3 ÷ aiobotocore alone", side=0, over=1, at_least=0.7),
            Goal(ROW, "move to S3: RSS, MiB", side=0, cost=uploads.PEAK, at_most=200),
        ),
        note="The clock of Lading runs from the write that publishes the file to the one by which "
        "it lives in S3. The memory is that of upload and move.",
        rounds=3,
    )


def _moved(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with (
            seaweedfs(workspace) as bucket,
            workspace.lading(bucket.settings, variables=bucket.variables) as server,
        ):
            sent = await uploads.send(workspace, server, path, size)
            seconds = await _until_moved(workspace, sent.told["uploads"][0], bucket)
            costs = {uploads.PEAK: memory(server.pid).peak / MIB}
        return Sample(size / seconds / 1e6, costs)

    return run


async def _until_moved(workspace: Workspace, upload_id: str, bucket: Bucket) -> float:
    """The seconds from the publication of a file until it lives in the bucket."""
    while True:
        file = await workspace.file(upload_id)
        if file["blobs"] == bucket.settings["blobs"]:
            published: datetime = file["updated_at"]
            return time.time() - published.replace(tzinfo=UTC).timestamp()
        await asyncio.sleep(POLL_SECONDS)


def _put(size: int) -> Run:
    async def run(workspace: Workspace) -> Sample:
        path = await workspace.source(size)
        await workspace.clear()
        async with seaweedfs(workspace) as bucket:
            job = {**bucket.job, "path": str(path)}
            sent = await uploads.watch("bench.clients.s3_put", job, size, {})
        return Sample(sent.megabytes, {})

    return run
