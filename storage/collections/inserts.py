"""Inserts that go together: those that wait at the same moment are one operation of the database.

Each caller hears only of its own document, as if it had been alone. An operation costs 0.3 ms of
the server's time and as much of mongod's. Source: docs/decisions/0106-what-waits-goes-together.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    PyMongoError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from lading.together import Together

AT_ONCE = 2
"""So many operations are under way at once: while the database syncs one, it has the next."""

MOST_BYTES = 4 * 2**20
"""About as many bytes go together; the driver copies them all before it sends the first."""

LEAST_BYTES = 16 * 1024
"""As which a smaller document counts, so that not too many go together."""

_TAKEN = 11000  # DuplicateKey

Document = Mapping[str, Any]


class Inserts:
    """Inserts documents into a collection."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._together = Together(self._insert, at_once=AT_ONCE, most=MOST_BYTES)

    async def insert(self, document: Document, size: int = 0) -> None:
        """Insert a document with `size` bytes in it; raises what `insert_one` raises."""
        await self._together(document, max(size, LEAST_BYTES))

    async def _insert(self, documents: list[Document]) -> list[Exception | None]:
        try:
            if len(documents) == 1:
                await self._collection.insert_one(documents[0])
            else:
                await self._collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return outcomes_of(error, len(documents))
        return [None] * len(documents)


def outcomes_of(error: BulkWriteError, count: int) -> list[Exception | None]:
    """What went wrong with each of `count` writes, in the driver's words for a single one."""
    refused = {each["index"]: _refusal(each) for each in error.details.get("writeErrors", ())}
    concerns = error.details.get("writeConcernErrors")
    # Without its concern a document is stored, but perhaps not durable.
    rest = _unconcerned(concerns[-1]) if concerns else None
    return [refused.get(index, rest) for index in range(count)]


def _refusal(found: Document) -> PyMongoError:
    kind = DuplicateKeyError if found.get("code") == _TAKEN else WriteError
    return kind(str(found.get("errmsg", "")), found.get("code"), found)


def _unconcerned(found: Document) -> PyMongoError:
    late = (found.get("errInfo") or {}).get("wtimeout")
    kind = WTimeoutError if late else WriteConcernError
    return kind(str(found.get("errmsg", "")), found.get("code"), found)
