"""Puts a file into GridFS with PyMongo, or reads it: `{"url", "database", "path", "read"}`.

As an application would: the sync bucket, its own chunk size (255 KiB) and its own batches, straight
from the file. Only the concern is not the default: it is Lading's, journaled by most nodes. What is
read is counted and thrown away, as the HTTP client does.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

from gridfs import GridFSBucket
from pymongo import MongoClient

from bench.clients import Job, work
from lading.storage.database import DURABLE


class _Nowhere(io.RawIOBase):
    """Takes all bytes and counts them."""

    taken = 0

    def write(self, data: Any) -> int:
        self.taken += len(data)
        return len(data)


def transfer(job: Job) -> Job:
    """Store or read the file; the seconds until its last byte is durable or has arrived."""
    with MongoClient[dict[str, Any]](job["url"]) as client, Path(job["path"]).open("rb") as source:
        client.admin.command("ping")
        bucket = GridFSBucket(client[job["database"]], write_concern=DURABLE)
        sink = _Nowhere()
        begin = time.perf_counter()
        if job["read"]:
            bucket.download_to_stream_by_name("file", sink)
        else:
            bucket.upload_from_stream("file", source)
        return {"seconds": time.perf_counter() - begin, "bytes": sink.taken}


if __name__ == "__main__":
    work(transfer)
