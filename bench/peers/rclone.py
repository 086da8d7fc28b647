"""rclone, which copies a directory to a bucket: what many use where Lading has `lading put`."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.clients import Job
from bench.peers.seaweedfs import BUCKET, KEYS, REGION

MISSING = "rclone is not there. `scripts/bench` tries to get it."


def has_rclone() -> bool:
    """Whether rclone is installed."""
    return shutil.which("rclone") is not None


def copying(files: Path, url: str) -> Job:
    """The job that copies the files to the bucket at `url`, as rclone's page on S3 shows.

    Only the check that the bucket exists is left out, since it does.
    """
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": url,
        "REGION": REGION,
        "ACCESS_KEY_ID": KEYS[0],
        "SECRET_ACCESS_KEY": KEYS[1],
        "NO_CHECK_BUCKET": "true",
    }
    variables = {f"RCLONE_CONFIG_PEER_{name}": value for name, value in remote.items()}
    command = ["rclone", "--config=", "copy", str(files), f"peer:{BUCKET}/files"]
    return {"command": command, "variables": variables}
