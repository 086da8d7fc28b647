"""Uploads a file by the Python client: `{"url", "token", "path", "sha256", "direct"}`.

The `seconds` run from the first request to the finished file, as `lading put` waits for it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.clients import Job, work
from lading.client.client import Client
from lading.memory import keep_freed


async def upload(job: Job, size: int) -> Job:
    """Store the file, which has `size` bytes."""
    async with Client(job["url"], job["token"]) as client:
        begin = time.perf_counter()
        file = await client.upload(job["path"], sha256=job["sha256"], direct=job["direct"])
        seconds = time.perf_counter() - begin
    assert file.size == size
    return {"seconds": seconds}


def main(job: Job) -> Job:
    """Run the client as the `lading` command does."""
    keep_freed()
    return asyncio.run(upload(job, Path(job["path"]).stat().st_size))


if __name__ == "__main__":
    work(main)
