"""Uploads by the Python client: `{"url", "token", "path", "sha256", "direct", "copies"?}`.

The `seconds` run from the first request to the last finished file, as `lading put` waits for it.
With `copies` the file is uploaded so many times at once, under different names; nothing is looked
up before then.
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
    how = {"sha256": job["sha256"], "direct": job["direct"]}
    async with Client(job["url"], job["token"]) as client:
        begin = time.perf_counter()
        if "copies" in job:
            names = map(str, range(job["copies"]))
            tasks = [client.upload(job["path"], name=name, resume=False, **how) for name in names]
        else:
            tasks = [client.upload(job["path"], **how)]
        files = await asyncio.gather(*tasks)
        seconds = time.perf_counter() - begin
    assert all(file.size == size for file in files)
    sent = sum(task.bytes_sent for task in tasks)
    return {"seconds": seconds, "sent": sent, "connections": sum(t.connections for t in tasks)}


def main(job: Job) -> Job:
    """Run the client as the `lading` command does."""
    keep_freed()
    return asyncio.run(upload(job, Path(job["path"]).stat().st_size))


if __name__ == "__main__":
    work(main)
