"""SeaweedFS, the store behind Lading's home in S3: one node with a bucket, for both sides.

`scripts/install test` installs it. Source: the design's facts.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import free_port, running
from bench.process import ChildFailed
from bench.workspace import POLL_SECONDS, START_SECONDS, Workspace
from lading.storage.blobs.s3_client import S3Client, S3Error, S3Options

MISSING = "SeaweedFS is not there. `scripts/install test` installs it."

KEYS = ("lading-bench", "the-secret-of-the-bench")
BUCKET, REGION = "bench", "us-east-1"

_PORTS = ("master", "volume", "filer", "admin")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket at `url`."""

    pid: int
    url: str

    @property
    def settings(self) -> dict[str, object]:
        """The settings of a Lading whose files live there."""
        return {"blobs": f"s3://{BUCKET}/files", "s3_endpoint": self.url, "s3_region": REGION}

    @property
    def variables(self) -> dict[str, str]:
        """What the SDK of S3 looks for."""
        return {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1]}

    @property
    def job(self) -> dict[str, Any]:
        """What a client needs to connect to it."""
        return {"url": self.url, "keys": KEYS, "region": REGION, "bucket": BUCKET}


def has_seaweedfs() -> bool:
    """Whether SeaweedFS is installed beside this Python."""
    return _program().exists()


def _program() -> Path:
    return Path(sys.executable).parent / "weed"


@asynccontextmanager
async def seaweedfs(workspace: Workspace) -> AsyncIterator[Bucket]:
    """A fresh node with an empty bucket."""
    data, port = workspace.directory("seaweedfs"), free_port()
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    key = {"accessKey": KEYS[0], "secretKey": KEYS[1]}
    owner = {"name": "owner", "credentials": [key], "actions": actions}
    (data / "keys.json").write_text(json.dumps({"identities": [owner]}))
    command = [str(_program()), "-logtostderr", "mini", f"-dir={data}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", f"-s3.config={data / 'keys.json'}", f"-s3.port={port}"]
    command += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    for name in _PORTS:
        command += [f"-{name}.port={free_port()}", f"-{name}.port.grpc={free_port()}"]
    command += [f"-s3.port.grpc={free_port()}"]
    command += [f"-{each}.localSocket={data / f'{each}.sock'}" for each in ("filer", "s3")]
    async with running(command, workspace, port) as pid:
        try:
            bucket = Bucket(pid, f"http://127.0.0.1:{port}")
            await _make(bucket)
            yield bucket
        finally:
            os.kill(pid, signal.SIGKILL)  # it takes more than 20 seconds to end by itself


async def _make(bucket: Bucket) -> None:
    """Create the bucket as soon as the node takes requests."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    client = S3Client(BUCKET, S3Options(bucket.url, REGION, True, KEYS))
    try:
        while True:
            try:
                await client.call("create_bucket")
            except S3Error as error:
                if error.s3_code == "BucketAlreadyOwnedByYou":
                    return
                if loop.time() > deadline:
                    raise ChildFailed(f"SeaweedFS did not start: {error}") from error
                await asyncio.sleep(POLL_SECONDS)
            else:
                return
    finally:
        await client.close()
