"""The form of what is stored, as a number in the database.

A version that only adds fields keeps the number: documents without them mean what they meant. The
number grows when a server of the version before would read or write something wrong. Two numbers
are kept, so that servers of two versions can work beside each other while they are replaced:
`version`, the form of the newest server that has started, and `oldest`, the oldest form whose
servers can still work with it. What an older version wrote is brought into today's form by
`storage/corrections.py`, while the servers work.
Source: page 12 of the design, "upgrades"; docs/operations.md, "Upgrading".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lading.storage.blobs.base import Unusable
from lading.storage.database import Database, persist

MARK = {"_id": "schema"}


@dataclass(frozen=True, slots=True)
class Schema:
    """The form that a server writes, and the oldest whose servers can work beside it."""

    version: int
    oldest: int


SCHEMA = Schema(version=2, oldest=1)
"""That of this program. `oldest` is at most `version` - 1, since one version is replaced by the
next server after server; 1 is the first. A database without the mark has the form 1. The form 2
has files in the trash, and files whose bytes are kept under another id than their own."""


async def agree(database: Database, schema: Schema = SCHEMA) -> None:
    """Note that a server of this form works here; raises Unusable in a database of a newer one.

    Nothing is written before that is known. Raises Unavailable.
    """
    found = await database.read(lambda: database.marks.find_one(MARK))
    if found is not None and found["oldest"] > schema.version:
        raise Unusable(
            f"LADING_DATABASE_URL: a newer Lading has changed the database to form "
            f"{found['version']}, and this version knows none above {schema.version}. Start that "
            f"version or a newer one. The way back is to restore the backup from before."
        )
    # Never down: a server of the version before may start again while both are in use.
    change: dict[str, Any] = {"$max": {"version": schema.version, "oldest": schema.oldest}}
    await persist(lambda: database.marks.update_one(MARK, change, upsert=True))
