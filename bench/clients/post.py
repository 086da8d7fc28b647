"""Uploads a file by one request: `{"url", "token", "path", "size", "to"}`.

The `seconds` run from the request to its answer.
"""

from __future__ import annotations

import time

from bench.clients import Job, Source, work
from bench.clients.connection import Connection

BLOCK = 2**20


def upload(job: Job) -> Job:
    """Store the file under the path `to`."""
    source, size = Source(job["path"]), job["size"]
    blocks = (source.read(at, min(at + BLOCK, size)) for at in range(0, size, BLOCK))
    kind = {"Content-Type": "application/octet-stream"}
    with Connection(job["url"], job["token"]) as connection:
        begin = time.perf_counter()
        connection.post(job["to"], kind, blocks, size)
        return {"seconds": time.perf_counter() - begin}


if __name__ == "__main__":
    work(upload)
