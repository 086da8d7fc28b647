"""Writes many copies of a manifest into the embedded database of a running server.

usage: python -m tests.support.copies DATA_DIRECTORY COUNT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bson import ObjectId
from pymongo import MongoClient

AT_ONCE = 5_000


def seed(data: Path, count: int) -> None:
    """The copies are in the root, and have names and sizes of their own."""
    socket = (data / "run").resolve() / "mongodb-27017.sock"
    url = f"mongodb://{quote(os.fsencode(socket), safe='')}/lading?directConnection=true"
    with MongoClient[dict[str, Any]](url) as client:
        manifests = client.get_default_database().manifests
        model = manifests.find_one({"state": "ready"})
        if model is None:
            raise SystemExit("There is no file to copy.")
        for begin in range(0, count, AT_ONCE):
            manifests.insert_many(
                {
                    **model,
                    "_id": ObjectId(),
                    "name": f"IMG_{number:05}.jpg",
                    "name_key": f"img_{number:05}.jpg",
                    "size": number % 1000,
                }
                for number in range(begin, min(begin + AT_ONCE, count))
            )


if __name__ == "__main__":
    seed(Path(sys.argv[1]), int(sys.argv[2]))
