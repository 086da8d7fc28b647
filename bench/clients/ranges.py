"""Reads parts of a file over HTTP: `{"url", "token", "path", "start", "end", "length", "count"}`.

Each part has `length` bytes and lies somewhere in `[start, end)`, the places drawn with a seed of
their own. The result: how long the first byte took each time, `first_bytes`, in seconds.
"""

from __future__ import annotations

import random
import time

from bench.clients import Job, work
from bench.clients.connection import Connection


def read(job: Job) -> Job:
    """Request the parts one after the other."""
    draw = random.Random(20_261_121)
    waits = []
    with Connection(job["url"], job["token"]) as connection:
        for _ in range(job["count"]):
            start = draw.randrange(job["start"], job["end"] - job["length"])
            field = {"Range": f"bytes={start}-{start + job['length'] - 1}"}
            begin = time.perf_counter()
            answer = connection.expect(206, "GET", job["path"], field)
            waits.append(answer.first_byte - begin)
    return {"seconds": sum(waits), "first_bytes": waits}


if __name__ == "__main__":
    work(read)
