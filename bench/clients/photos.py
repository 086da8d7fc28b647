"""Stores photos over HTTP and, if asked, waits until one size of each is there.

The job: `{"url", "token", "path", "photos", "quality"}`; with quality 0 nothing is waited for. The
result: the `seconds` from the first request to the last picture.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.clients import Job, work
from bench.clients.connection import Connection

CONNECTIONS = 6
"""So many requests a browser has open with one server."""
PAUSE = 0.1


def store(job: Job) -> Job:
    """Do the job: the connections take turns with the photos."""
    data = Path(job["path"]).read_bytes()
    begin = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        numbers = iter(range(job["photos"]))
        stored = pool.map(lambda _: _post(job, data, numbers), range(CONNECTIONS))
        ids = [upload_id for some in stored for upload_id in some]
        if job["quality"]:
            left = iter(ids)
            list(pool.map(lambda _: _fetch(job, left), range(CONNECTIONS)))
    return {"seconds": time.perf_counter() - begin}


def _post(job: Job, data: bytes, numbers: Iterable[int]) -> list[str]:
    """Store photos; what stands behind a JPEG makes each a file of its own."""
    ids = []
    with Connection(job["url"], job["token"]) as connection:
        for number in numbers:
            path, kind = f"/v1/files?name={number}.jpg", {"Content-Type": "image/jpeg"}
            answer = connection.expect(201, "POST", path, kind, data + str(number).encode())
            ids.append(json.loads(answer.body)["_id"])
    return ids


def _fetch(job: Job, ids: Iterable[str]) -> None:
    with Connection(job["url"], job["token"]) as connection:
        for upload_id in ids:
            path = f"/v1/files/{upload_id}/{job['quality']}"
            while connection.request("GET", path).status != 200:
                time.sleep(PAUSE)


if __name__ == "__main__":
    work(store)
