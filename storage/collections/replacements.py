"""How the bytes of an upload become those of a file that is there.

Two manifests take part: the file's, and that of the upload, which is whole and `replacing`. MongoDB
promises nothing over two documents, so three writes follow each other, each of which can be done
twice, and a crash between them leaves what the next try needs:

    take_over   the file has the upload's bytes, and notes in `former` what it had. This one write
                is what replaces: before it others see the old bytes, after it the new ones
    hand_over   the upload becomes a tombstone that has the old bytes, with their charge, and
                deletes them as every tombstone does
    conclude    the file forgets `former`; see `Manifests`

While `former` is set nobody else takes the file over: whoever wants to does the other's last two
writes first. Source: docs/decisions/0086.
"""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from lading.protocol.manifest import Former, Manifest, State
from lading.protocol.webhooks import Event
from lading.storage.collections.manifest_documents import from_document, moment, number, update
from lading.storage.collections.notices import Notices
from lading.storage.collections.outbox import EMPTY
from lading.storage.database import Database, persist

_TAKEN = ("size", "upload_size", "chunk_size", "sha256", "crc32c", "mime_type", "blobs", "etag")
"""What describes the bytes, and goes from the upload to the file as it is."""


def _literal(value: Any) -> dict[str, Any]:
    """A value in an expression, where text could be the name of a field."""
    return {"$literal": value}


def _added(field: str) -> dict[str, Any]:
    """One more than a number, which old documents lack where it is 0."""
    return {"$add": [{"$ifNull": [f"${field}", 0]}, 1]}


class Replacements:
    """The writes that replace the bytes of files. Times are Unix seconds."""

    def __init__(self, database: Database, notices: Notices) -> None:
        self._read = database.read
        self._collection = database.manifests
        self._notices = notices

    async def waiting(self, upload: Manifest) -> list[Manifest]:
        """All uploads that are whole and are to replace the same file as this one, by id."""
        # An index leads to the state's few: no upload is `replacing` for long.
        query = {"user_id": upload.user_id, "state": str(State.REPLACING)}
        query["replaces"] = str(upload.replaces)
        found = await self._read(lambda: self._collection.find(query).sort("_id", 1).to_list(None))
        return [from_document(document) for document in found]

    async def take_over(
        self,
        upload: Manifest,
        seen: Manifest,
        *,
        move_to: str | None,
        todo: tuple[str, ...],
        now: float,
    ) -> Manifest | None:
        """Let the file that an upload replaces have its bytes; returns the file.

        `todo` are the steps that bring them to where they belong, `move_to` the home that they go
        to. None when the file is not as `seen` any more. The upload must have been `replacing`
        after that: a process that was paused must not do again what another has done since.
        """
        query: dict[str, Any] = {
            "_id": ObjectId(seen.id),
            "state": str(State.READY),
            "former": None,
            "revision": number(seen.revision),
        }
        values: dict[str, Any] = {name: getattr(upload, name) for name in _TAKEN}
        values |= {"kept_as": upload.key, "attempt": upload.attempt, "drop_at": []}
        values |= {"move_to": move_to, "fingerprint": upload.fingerprint, "crc32": None}
        values |= {"pictures": {}, "media": None, "no_picture": None, "picture_tries": 0}
        values |= {"modified_at": moment(upload.modified_at), "updated_at": moment(now)}
        words = [*self._notices.words(), *todo]  # what was noted before is still to be told
        values |= {"todo": words, "todo_at": now}
        change: dict[str, Any] = {name: _literal(value) for name, value in values.items()}
        if upload.modified_at is None:
            change["modified_key"] = "$created_at"  # see `modified_key`
        else:
            change["modified_key"] = change["modified_at"]
        change["former"] = _former(upload.id)
        change["revision"] = _added("revision")
        change["todo_tries"] = _added("todo_tries")  # whoever held its steps has lost them
        if noted := self._notices.noted(Event.FILE_REPLACED, now):
            notice = _literal([noted["$push"]["notices"]])
            change["notices"] = {"$concatArrays": [{"$ifNull": ["$notices", []]}, notice]}
        # All of it is computed from the document as it is then.
        found = await persist(
            lambda: self._collection.find_one_and_update(
                query, [{"$set": change}], return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else from_document(found)

    async def hand_over(
        self, former: Former, *, now: float, kept_until: float, until: float
    ) -> None:
        """Make the upload that replaced them the tombstone of a file's former bytes.

        They are deleted after `kept_until`; the tombstone stays `until` then.
        """
        values: dict[str, Any] = {
            name: value for name, value in former._asdict().items() if name not in ("by", "key")
        }
        values["pictures"] = {name: each._asdict() for name, each in former.pictures.items()}
        values |= {"drop_at": list(former.drop_at), "kept_as": former.key}
        values |= {"upload_size": former.size, "state": str(State.DELETED)}
        values |= {"updated_at": moment(now), "expires_at": moment(until)}
        values |= {"kept_until": moment(kept_until), "todo_at": kept_until}
        values["todo"] = [EMPTY]
        change = {"$set": values, "$inc": {"todo_tries": 1}}
        await update(self._collection, former.by, (State.REPLACING,), change)


def _former(upload_id: str) -> dict[str, Any]:
    """What a file has before an upload replaces it, as an expression."""
    usual: dict[str, Any] = {"attempt": 0, "move_to": None, "etag": None, "drop_at": []}
    usual["pictures"] = _literal({})
    return {
        "by": _literal(upload_id),
        "key": {"$ifNull": ["$kept_as", {"$toString": "$_id"}]},
        "size": "$size",
        "chunk_size": "$chunk_size",
        "blobs": "$blobs",
        **{name: {"$ifNull": [f"${name}", value]} for name, value in usual.items()},
    }
