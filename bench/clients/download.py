"""Reads a file over HTTP: `{"url", "token", "path"}`; the `seconds` from request to last byte."""

from __future__ import annotations

import time

from bench.clients import Job, work
from bench.clients.connection import Connection


def download(job: Job) -> Job:
    """Read the file; its bytes are counted and discarded."""
    with Connection(job["url"], job["token"]) as connection:
        begin = time.perf_counter()
        answer = connection.expect(200, "GET", job["path"])
        return {"seconds": answer.last_byte - begin, "bytes": answer.length}


if __name__ == "__main__":
    work(download)
