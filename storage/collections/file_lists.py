"""Lists of a user's finished files: searched, in any order, page after page.

Each order is an index on `(user_id, state, field, _id)`. A page begins behind the last file of the
page before, by its value and its id, so files that come and go in the meantime move no other file
to another page.

A search compares the words with `name_key`. It reads the keys of the index by name, one for each
file of the user, and documents only of what matches (docs/decisions/0080).
Source: page 13 of the design, "The page".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bson import ObjectId

from lading.protocol.manifest import Manifest, State
from lading.storage.collections.manifest_documents import (
    FileFilter,
    from_document,
    modified_key,
    moment,
    name_key,
)
from lading.storage.database import Database

FEW = 1000
"""With more matches than these, an order finds a page of them soon; fewer are looked up and
sorted."""

_BY_NAME = "order_name_key"


class Order(StrEnum):
    """What files are sorted by. Every name is a contract."""

    NAME = "name"
    SIZE = "size"
    CREATED = "created"
    MODIFIED = "modified"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Ordering:
    """An order, and its direction. Files with equal values are sorted by their ids."""

    by: Order = Order.CREATED
    descending: bool = True


NEWEST = Ordering()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the value and the id of its last file. By creation the id is enough."""

    id: str
    value: str | float | None = None


_FIELDS = {
    Order.NAME: "name_key",
    Order.SIZE: "size",
    Order.MODIFIED: "modified_key",
    Order.TYPE: "mime_type",
}

_VALUES: Mapping[Order, Callable[[Manifest], str | float | None]] = {
    Order.NAME: lambda file: name_key(file.name),
    Order.SIZE: lambda file: file.size,
    Order.MODIFIED: lambda file: modified_key(file.modified_at, file.created_at),
    Order.TYPE: lambda file: file.mime_type,
}


def place_of(file: Manifest, order: Order) -> Place:
    """The place behind a file."""
    value = _VALUES.get(order)
    return Place(file.id, None if value is None else value(file))


class FileLists:
    """The finished files of all users."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.manifests

    async def page(
        self,
        user_id: str,
        wanted: FileFilter,
        ordering: Ordering = NEWEST,
        *,
        after: Place | None = None,
        most: int,
    ) -> list[Manifest]:
        """Up to `most` files of a user in this order, those behind `after`."""
        query = {"user_id": user_id, "state": str(State.READY), **wanted.query()}
        hint = None
        if wanted.words and ordering.by is not Order.NAME and await self._is_rare(query):
            hint = _BY_NAME
        found: list[Manifest] = []
        for part in _parts(ordering, after):
            left = most - len(found)
            if left > 0:
                found += await self._find(_both(query, part), ordering, left, hint)
        return found

    async def _is_rare(self, query: dict[str, Any]) -> bool:
        """Whether so few files match that they are best looked up one by one."""
        few: int = await self._read(
            lambda: self._collection.count_documents(query, limit=FEW + 1, hint=_BY_NAME)
        )
        return few <= FEW

    async def _find(
        self, query: dict[str, Any], ordering: Ordering, most: int, hint: str | None
    ) -> list[Manifest]:
        direction = -1 if ordering.descending else 1
        field = _FIELDS.get(ordering.by)
        sort = [("_id", direction)] if field is None else [(field, direction), ("_id", direction)]

        def ask() -> Any:
            cursor = self._collection.find(query).sort(sort).limit(most)
            return (cursor if hint is None else cursor.hint(hint)).to_list(most)

        return [from_document(document) for document in await self._read(ask)]


def _both(query: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    return {**query, "$and": [*query.get("$and", ()), part]} if part else query


def _parts(ordering: Ordering, after: Place | None) -> list[dict[str, Any]]:
    """The conditions for what comes after a place, one after the other.

    First those with the same value: one range of the index each, however many there are.
    """
    if after is None:
        return [{}]
    behind = "$lt" if ordering.descending else "$gt"
    ids = {"_id": {behind: ObjectId(after.id)}}
    field = _FIELDS.get(ordering.by)
    if field is None:
        return [ids]
    value: Any = after.value
    if ordering.by is Order.MODIFIED:
        value = moment(value)
    return [{field: value, **ids}, {field: {behind: value}}]
