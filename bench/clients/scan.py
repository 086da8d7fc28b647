"""Reads what the index has of an upload, by PyMongo alone: `{"url", "database", "upload"}`.

The least that RESUME must do. The `seconds` run from the query to the last entry, `pieces` of them.
"""

from __future__ import annotations

import time
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from bench.clients import Job, work


def scan(job: Job) -> Job:
    """Read them in order; the index has all that is asked for."""
    with MongoClient[dict[str, Any]](job["url"]) as client:
        client.admin.command("ping")
        chunks = client[job["database"]]["chunks"]
        fields = {"_id": 0, "slice_start": 1, "size": 1, "crc32c": 1}
        begin = time.perf_counter()
        found = chunks.find({"upload_id": ObjectId(job["upload"])}, fields).sort("slice_start")
        pieces = sum(1 for _ in found)
        return {"seconds": time.perf_counter() - begin, "pieces": pieces}


if __name__ == "__main__":
    work(scan)
