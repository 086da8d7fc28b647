"""A manifest as MongoDB stores it: id, times and document; its update; filters of lists of files.

Names are kept as they were given and compared in NFC. Beside a name that is in another form stands
`name_nfc`; most documents have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from lading.protocol.manifest import Manifest, NoPicture, PictureDebt, State, StoredPicture
from lading.protocol.media_types import essence
from lading.protocol.names import canonical_directory, composed
from lading.protocol.spec import each_once
from lading.storage.database import persist

_TIMES = ("created_at", "updated_at", "expires_at")
_FIELDS = tuple(field.name for field in fields(Manifest) if field.name != "id")


def new_id(now: float | None = None) -> str:
    """A fresh upload id, 24 hexadecimal digits; `now` (Unix seconds) is kept in it.

    Without `now` the time is that of this process, which other processes may not agree with.
    """
    fresh = ObjectId()
    if now is None:
        return str(fresh)
    return str(ObjectId(int(now).to_bytes(4, "big") + fresh.binary[4:]))


def born(upload_id: str) -> float:
    """When an id was made, in Unix seconds."""
    return ObjectId(upload_id).generation_time.timestamp()


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    # A client that was handed in may return times without a zone; the database stores UTC.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def name_change(name: str) -> dict[str, dict[str, Any]]:
    """The update that gives a manifest this name."""
    compared = composed(name)
    if compared == name:
        return {"$set": {"name": name}, "$unset": {"name_nfc": ""}}
    return {"$set": {"name": name, "name_nfc": compared}}


def correction(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to set in a document that was written before names had one form; empty if none."""
    compared = composed(document["name"])
    tags = list(document.get("tags", ()))
    wanted = {
        "directory": canonical_directory(document.get("directory", "")),
        "tags": list(each_once(tuple(tags))),
        "name_nfc": None if compared == document["name"] else compared,
    }
    usual: dict[str, Any] = {"directory": "", "tags": [], "name_nfc": None}
    return {
        field: value
        for field, value in wanted.items()
        if value != document.get(field, usual[field])
    }


def to_document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as MongoDB stores it."""
    document = {name: getattr(manifest, name) for name in _FIELDS}
    document.update({name: moment(document[name]) for name in _TIMES})
    document["state"] = str(manifest.state)
    document["tags"] = list(manifest.tags)
    document["todo"] = list(manifest.todo)
    document["drop_at"] = list(manifest.drop_at)
    document["pictures"] = {name: each._asdict() for name, each in manifest.pictures.items()}
    for name in ("no_picture", "picture_debt"):
        document[name] = None if document[name] is None else document[name]._asdict()
    compared = composed(manifest.name)
    if compared != manifest.name:
        document["name_nfc"] = compared
    return {"_id": ObjectId(manifest.id), **document}


def from_document(document: Mapping[str, Any]) -> Manifest:
    """The manifest that `to_document` made `document` of."""
    values = {name: document[name] for name in _FIELDS if name in document}
    values.update({name: _seconds(values.get(name)) for name in _TIMES})
    values["state"] = State(values["state"])
    values["tags"] = tuple(values.get("tags", ()))
    values["todo"] = tuple(values.get("todo", ()))
    values["drop_at"] = tuple(values.get("drop_at", ()))
    pictures = values.get("pictures") or {}
    values["pictures"] = {name: StoredPicture(**each) for name, each in pictures.items()}
    if values.get("no_picture") is not None:
        values["no_picture"] = NoPicture(**values["no_picture"])
    if values.get("picture_debt") is not None:
        values["picture_debt"] = PictureDebt(**values["picture_debt"])
    return Manifest(id=str(document["_id"]), **values)


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files a list holds; None and () leave a field open.

    `name` is a prefix, `directory` exact, `below` a directory whose subdirectories are meant;
    `mime_type` one type, whatever its parameters, or all of a kind as in `video/*`; every one of
    `tags` must be there; `kind` is exact. The form in which a value is written does not matter.
    """

    name: str | None = None
    directory: str | None = None
    below: str | None = None
    mime_type: str | None = None
    tags: tuple[str, ...] = ()
    kind: str | None = None

    def query(self) -> dict[str, Any]:
        """The filter for MongoDB. Every value is text, so none can be an operator."""
        query: dict[str, Any] = {}
        either: list[list[dict[str, Any]]] = []
        if self.name is not None:
            begins = _begins(composed(self.name))
            either.append([{"name": begins, "name_nfc": None}, {"name_nfc": begins}])
        if self.directory is not None:
            query["directory"] = canonical_directory(self.directory)
        if self.below is not None:
            query["directory"] = _begins(f"{canonical_directory(self.below)}/")
        if self.mime_type is not None and self.mime_type.endswith("/*"):
            query["mime_type"] = _begins(self.mime_type[:-1].lower())
        elif self.mime_type is not None:
            plain = essence(self.mime_type)
            either.append([{"mime_type": plain}, {"mime_type": _begins(f"{plain};")}])
        if self.kind is not None:
            query["kind"] = self.kind
        if self.tags:
            query["tags"] = {"$all": list(each_once(self.tags))}
        if either:
            query["$and"] = [{"$or": branches} for branches in either]
        return query


ANY_FILE = FileFilter()


def _begins(prefix: str) -> dict[str, str]:
    return {"$gte": prefix, "$lt": prefix + "\U0010ffff"}


def number(value: int) -> int | dict[str, list[int | None]]:
    """The condition for a number that older documents lack where it is 0."""
    return value or {"$in": [0, None]}


async def update(
    collection: Any,
    upload_id: str,
    states: tuple[State, ...],
    change: dict[str, Any],
    **more: Any,
) -> Manifest | None:
    """Change a manifest that is in one of `states`, and as `more` says; None when it is not."""
    query = {"_id": ObjectId(upload_id), "state": {"$in": [str(s) for s in states]}, **more}
    found = await persist(
        lambda: collection.find_one_and_update(query, change, return_document=ReturnDocument.AFTER)
    )
    return None if found is None else from_document(found)
