"""Puts a file into GridFS with PyMongo: `{"url", "database", "path"}`.

As an application would: the sync bucket, its own chunk size (255 KiB) and its own batches, straight
from the file. Only the concern is not the default: it is Lading's, journaled by most nodes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gridfs import GridFSBucket
from pymongo import MongoClient

from bench.clients import Job, work
from storage.database import DURABLE


def upload(job: Job) -> float:
    """Store the file; the seconds until its last byte is durable."""
    with MongoClient[dict[str, Any]](job["url"]) as client, Path(job["path"]).open("rb") as source:
        client.admin.command("ping")
        bucket = GridFSBucket(client[job["database"]], write_concern=DURABLE)
        begin = time.perf_counter()
        bucket.upload_from_stream("file", source)
        return time.perf_counter() - begin


if __name__ == "__main__":
    work(upload)
