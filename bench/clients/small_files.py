"""Stores small files over HTTP, from several connections: one POST each, or a tus upload each.

The job: `{"url", "token", "tus", "path", "size", "files", "connections"}`; with `tus` the files go
there by creation and PATCH, else to `/v1/files`. The result: the `seconds` in all, and how long
each file took, `waits`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from bench.clients import Job, Source, work
from bench.clients.connection import Connection
from bench.clients.tus import append, create

WARM_UP = 3
"""Files that each connection sends before the clock runs."""


def store(job: Job) -> Job:
    """Do the job: the connections take turns with the files."""
    data = Source(job["path"]).read(0, job["size"])
    todo, ready = iter(range(job["files"])), threading.Barrier(job["connections"] + 1)
    with ThreadPoolExecutor(job["connections"]) as pool:
        found = [pool.submit(_some, job, data, todo, ready) for _ in range(job["connections"])]
        ready.wait(60)
        begin = time.perf_counter()
        waits = [wait for future in found for wait in future.result()]
        return {"seconds": time.perf_counter() - begin, "waits": waits}


def _some(job: Job, data: bytes, todo: Iterator[int], ready: threading.Barrier) -> list[float]:
    waits = []
    with Connection(job["url"], job["token"]) as connection:
        for _ in range(WARM_UP):
            _one(connection, job, data)
        ready.wait(60)
        for _ in todo:
            begin = time.perf_counter()
            _one(connection, job, data)
            waits.append(time.perf_counter() - begin)
    return waits


def _one(connection: Connection, job: Job, data: bytes) -> None:
    if job["tus"]:
        append(connection, create(connection, urlsplit(job["url"]).path, len(data)), 0, data)
    else:
        kind = {"Content-Type": "application/octet-stream"}
        connection.expect(201, "POST", "/v1/files?name=file", kind, data)


if __name__ == "__main__":
    work(store)
