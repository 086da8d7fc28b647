"""Requests the same address repeatedly: `{"url", "token", "path", "requests",
"connections"}`. The result: the `seconds` in all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.clients import Job, work
from bench.clients.connection import Connection

WARM_UP = 5
"""Requests of each connection before the clock runs."""


def load(job: Job) -> Job:
    """Do the job: the connections take turns with the requests."""
    todo, ready = iter(range(job["requests"])), threading.Barrier(job["connections"] + 1)
    with ThreadPoolExecutor(job["connections"]) as pool:
        found = [pool.submit(_some, job, todo, ready) for _ in range(job["connections"])]
        ready.wait(60)
        begin = time.perf_counter()
        for future in found:
            future.result()
        return {"seconds": time.perf_counter() - begin}


def _some(job: Job, todo: Iterator[int], ready: threading.Barrier) -> None:
    with Connection(job["url"], job["token"]) as connection:
        for _ in range(WARM_UP):
            connection.expect(200, "GET", job["path"])
        ready.wait(60)
        for _ in todo:
            connection.expect(200, "GET", job["path"])


if __name__ == "__main__":
    work(load)
