"""A manifest as MongoDB stores it: id, times and document; its update; filters of lists of files.

Names are kept as they were given and compared in NFC. Beside a name that is in another form stands
`name_nfc`; most documents have none. `name_key` is the form in which names are searched and sorted,
`modified_key` the time by which files are.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from bson import ObjectId
from pymongo import ReturnDocument

from lading.protocol.manifest import (
    Approval,
    Former,
    Manifest,
    NoPicture,
    Notice,
    PictureDebt,
    State,
    StoredPicture,
)
from lading.protocol.media_types import essence
from lading.protocol.names import canonical_directory, composed, search_form
from lading.protocol.spec import MAX_NAME, each_once
from lading.storage.database import persist

T = TypeVar("T")

_TIMES = (
    "created_at",
    "updated_at",
    "expires_at",
    "modified_at",
    "trashed_at",
    "own_expires_at",
    "kept_until",
)
_FIELDS = tuple(field.name for field in fields(Manifest) if field.name != "id")

CHANGED_AT = "changed_at"
"""When a change was made that pages show, in Unix seconds; see `changes.py`. `update` sets it.
Bytes that arrive and steps of the outbox that end are no such change. A number: a date has whole
milliseconds, and two changes within one could not be told apart."""


def new_id(now: float | None = None) -> str:
    """A fresh upload id, 24 hexadecimal digits; `now` (Unix seconds) is kept in it.

    Without `now` the time is that of this process, which other processes may not agree with.
    """
    fresh = ObjectId()
    if now is None:
        return str(fresh)
    return str(ObjectId(int(now).to_bytes(4, "big") + fresh.binary[4:]))


def secret_id(now: float) -> str:
    """A fresh id that nobody can guess who knows others: 64 random bits behind the time."""
    return str(ObjectId(int(now).to_bytes(4, "big") + secrets.token_bytes(8)))


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


def name_key(name: str) -> str:
    """The form in which a name is searched and sorted; some letters fold to several."""
    return search_form(name)[:MAX_NAME]


def modified_key(modified_at: T | None, created_at: T) -> T:
    """The time that files are sorted by: when it was last changed at its source, or uploaded."""
    return created_at if modified_at is None else modified_at


def name_change(name: str) -> dict[str, dict[str, Any]]:
    """The update that gives a manifest this name."""
    compared, fields = composed(name), {"name": name, "name_key": name_key(name)}
    if compared == name:
        return {"$set": fields, "$unset": {"name_nfc": ""}}
    return {"$set": {**fields, "name_nfc": compared}}


def correction(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to set in a document that was written before names had one form; empty if none."""
    compared = composed(document["name"])
    tags = list(document.get("tags", ()))
    wanted = {
        "directory": canonical_directory(document.get("directory", "")),
        "tags": list(each_once(tuple(tags))),
        "name_nfc": None if compared == document["name"] else compared,
        "name_key": name_key(document["name"]),
        "modified_key": modified_key(document.get("modified_at"), document.get("created_at")),
    }
    usual: dict[str, Any] = {"directory": "", "tags": []}
    return {
        field: value
        for field, value in wanted.items()
        if value != document.get(field, usual.get(field))
    }


def to_document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as MongoDB stores it."""
    document = {name: getattr(manifest, name) for name in _FIELDS}
    document.update({name: moment(document[name]) for name in _TIMES})
    document["state"] = str(manifest.state)
    document["tags"] = list(manifest.tags)
    document["todo"] = list(manifest.todo)
    document["drop_at"] = list(manifest.drop_at)
    document["notices"] = [each._asdict() for each in manifest.notices]
    document["pictures"] = {name: each._asdict() for name, each in manifest.pictures.items()}
    assert manifest.former is None  # only an update of a file sets it
    for name in ("no_picture", "picture_debt", "approval"):
        document[name] = None if document[name] is None else document[name]._asdict()
    document["name_key"] = name_key(manifest.name)
    document["modified_key"] = modified_key(document["modified_at"], document["created_at"])
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
    values["notices"] = tuple(Notice(**each) for each in values.get("notices", ()))
    pictures = values.get("pictures") or {}
    values["pictures"] = {name: StoredPicture(**each) for name, each in pictures.items()}
    if values.get("no_picture") is not None:
        values["no_picture"] = NoPicture(**values["no_picture"])
    if values.get("picture_debt") is not None:
        values["picture_debt"] = PictureDebt(**values["picture_debt"])
    if values.get("approval") is not None:
        proven = values["approval"]
        values["approval"] = Approval(**{**proven, "left": tuple(proven["left"])})
    if values.get("former") is not None:
        values["former"] = _former(values["former"])
    return Manifest(id=str(document["_id"]), **values)


def _former(document: Mapping[str, Any]) -> Former:
    pictures = {name: StoredPicture(**each) for name, each in document["pictures"].items()}
    return Former(**{**document, "drop_at": tuple(document["drop_at"]), "pictures": pictures})


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files a list holds; None and () leave a field open.

    `name` is a prefix, each of `words` is somewhere in the name; `directory` exact, or with
    `recursive` that and its subdirectories, `below` a directory whose subdirectories are meant;
    `mime_type` one type, whatever its parameters, or all of a kind as in `video/*`; every one of
    `tags` must be there; `kind` is exact. The form in which a value is written does not matter.
    """

    name: str | None = None
    words: tuple[str, ...] = ()
    directory: str | None = None
    recursive: bool = False
    below: str | None = None
    mime_type: str | None = None
    tags: tuple[str, ...] = ()
    kind: str | None = None

    def query(self) -> dict[str, Any]:
        """The filter for MongoDB. Every value is text, so none can be an operator."""
        query: dict[str, Any] = {}
        either: list[list[dict[str, Any]]] = []
        if self.name is not None:
            begins = begins_with(composed(self.name))
            either.append([{"name": begins, "name_nfc": None}, {"name_nfc": begins}])
        if self.directory is not None:
            directory = canonical_directory(self.directory)
            if not self.recursive:
                query["directory"] = directory
            elif directory:  # all files are below the root
                either.append(
                    [{"directory": directory}, {"directory": begins_with(f"{directory}/")}]
                )
        if self.below is not None:
            query["directory"] = begins_with(f"{canonical_directory(self.below)}/")
        if self.mime_type is not None and self.mime_type.endswith("/*"):
            query["mime_type"] = begins_with(self.mime_type[:-1].lower())
        elif self.mime_type is not None:
            plain = essence(self.mime_type)
            either.append([{"mime_type": plain}, {"mime_type": begins_with(f"{plain};")}])
        if self.kind is not None:
            query["kind"] = self.kind
        if self.tags:
            query["tags"] = {"$all": list(each_once(self.tags))}
        every: list[dict[str, Any]] = [{"$or": branches} for branches in either]
        every += [{"name_key": {"$regex": re.escape(search_form(word))}} for word in self.words]
        if every:
            query["$and"] = every
        return query


ANY_FILE = FileFilter()


def begins_with(prefix: str) -> dict[str, str]:
    """The condition for text that begins with a prefix: one range of an index."""
    return {"$gte": prefix, "$lt": prefix + "\U0010ffff"}


def number(value: int) -> int | dict[str, list[int | None]]:
    """The condition for a number that older documents lack where it is 0."""
    return value or {"$in": [0, None]}


def prepared(
    upload_id: str, states: tuple[State, ...], change: dict[str, Any], **more: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The query and the change for a manifest that is in one of `states`, and as `more` says.

    A change of its state, or on request, is one that pages show.
    """
    values = change.get("$set", {})
    if "updated_at" in values and ("state" in values or "revision" in change.get("$inc", {})):
        change = {**change, "$set": {**values, CHANGED_AT: values["updated_at"].timestamp()}}
    return {"_id": ObjectId(upload_id), "state": {"$in": [str(s) for s in states]}, **more}, change


async def update(
    collection: Any,
    upload_id: str,
    states: tuple[State, ...],
    change: dict[str, Any],
    **more: Any,
) -> Manifest | None:
    """Change a manifest that is in one of `states`, and as `more` says; None when it is not."""
    query, change = prepared(upload_id, states, change, **more)
    return await persist(lambda: update_one(collection, query, change))


async def update_one(
    collection: Any, query: dict[str, Any], change: dict[str, Any]
) -> Manifest | None:
    """The manifest that a change was made to, as it became; None when there is none."""
    found = await collection.find_one_and_update(
        query, change, return_document=ReturnDocument.AFTER
    )
    return None if found is None else from_document(found)
