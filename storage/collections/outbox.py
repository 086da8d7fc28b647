"""The outbox: what must follow a change of a manifest, and who carries it out.

The change itself writes the steps, `todo`, into the manifest. Beside them stand `todo_at`, before
which nobody may claim them, and `todo_tries`, which grows with each claim and each death, so an
earlier holder notices. A move from home to home is a step, too. Times come from the caller, in
Unix seconds. Source: page 2 of the design, "the manifest is the outbox"; `docs/decisions/0030`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import ReturnDocument

from lading.protocol.manifest import FINISHED, Approval, Manifest, State
from lading.storage.collections.manifest_documents import from_document, number, update
from lading.storage.database import Database, persist

CONCAT = "concat"
"""The step that makes an upload of its parts, and publishes it."""

APPROVE = "approve"
"""The step that asks whether a proven upload may be published."""

EMPTY = "empty"
"""The step of `todo` that deletes the bytes of a tombstone and gives its quota back."""

REPLACE = "replace"
"""The step that gives the bytes of an upload to the file that it replaces."""

PLACE = "place"
"""The step that brings a finished file to its final place in its home."""

MOVE = "move"
"""The step that brings a finished file to the home `move_to`, and clears the homes `drop_at`."""

DERIVE = "derive"
"""The step that finds out the facts of a finished file and makes its pictures."""

NOTIFY = "notify"
"""The step that makes deliveries for webhooks of what a manifest notes."""

_UNDONE = {"todo.0": {"$exists": True}}
"""The filter of the partial index `todo_words`."""


class Claim(NamedTuple):
    """The right of one process to work off a manifest's `todo`, `until` then."""

    manifest: Manifest
    until: float


class Backlog(NamedTuple):
    """How many manifests have steps left, at most `MOST_COUNTED`, and the age of the oldest."""

    left: int
    age: float


MOST_COUNTED = 10_000
"""A larger backlog is not counted in whole: asking must not cost more than the work."""


def held(manifest: Manifest) -> dict[str, Any]:
    """The condition that the steps of a manifest did not pass to another process."""
    return {"todo_tries": number(manifest.todo_tries)}


class Outbox:
    """The steps of all manifests."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.manifests

    async def with_todo(self, words: Collection[str], now: float, most: int) -> list[str]:
        """Up to `most` ids of manifests with one of these steps, the longest due first.

        Those that a process works on are not among them.
        """
        query = {**_UNDONE, "todo": {"$in": sorted(words)}, "todo_at": {"$lte": now}}
        found = await self._read(
            lambda: (
                self._collection.find(query, {"_id": 1})
                .sort("todo_at", 1)
                .limit(most)
                .to_list(most)
            )
        )
        return [str(document["_id"]) for document in found]

    async def claim(self, upload_id: str, *, now: float, until: float) -> Claim | None:
        """Claim the `todo` of a manifest `until` then. None when it is done or another's."""
        query = {"_id": ObjectId(upload_id), **_UNDONE, "todo_at": {"$lte": now}}
        change = {"$set": {"todo_at": until}, "$inc": {"todo_tries": 1}}
        found = await persist(
            lambda: self._collection.find_one_and_update(
                query, change, return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else Claim(from_document(found), until)

    async def move_claim(self, claim: Claim, until: float) -> bool:
        """Move the end of a claim. False when the manifest is gone or another's by now."""
        query = {"_id": ObjectId(claim.manifest.id), **held(claim.manifest)}
        change = {"$set": {"todo_at": until}}
        result = await persist(lambda: self._collection.update_one(query, change))
        return bool(result.matched_count)

    async def take_out(self, manifest: Manifest, word: str) -> Manifest | None:
        """Note that a step is done for a manifest as it is given.

        None when it was changed on request since, or its steps passed to another process.
        """
        change = {"$pull": {"todo": word}}
        same = {"revision": number(manifest.revision), **held(manifest)}
        return await update(self._collection, manifest.id, tuple(State), change, **same)

    async def ask(self, manifest: Manifest, proven: Approval, now: float) -> Manifest | None:
        """Let an upload wait for approval, as it was proven. None where it changed since."""
        asked = {**proven._asdict(), "left": list(proven.left)}
        change: dict[str, Any] = {"$set": {"approval": asked, "todo": [APPROVE]}}
        if manifest.todo:
            change["$max"] = {"todo_at": now}  # whoever works on the other steps is not done
        else:
            change["$set"]["todo_at"] = now
        same = {
            "size": {"$in": [None, proven.size]},
            "reach": {"$not": {"$gt": proven.size}},
            "attempt": number(proven.attempt),
        }
        return await update(self._collection, manifest.id, (State.UPLOADING,), change, **same)

    async def told(self, manifest: Manifest) -> bool:
        """Note that what a manifest notes is stored for webhooks. False when it is another's."""
        count = len(manifest.notices)
        change = {"$set": {"notices": []}, "$inc": {"told": count}}
        same = {"told": number(manifest.told), "notices": {"$size": count}, **held(manifest)}
        found = await update(self._collection, manifest.id, tuple(State), change, **same)
        return found is not None

    async def backlog(self, now: float) -> Backlog:
        """What is left to do. The age counts from a manifest's last change, in seconds."""
        count = await self._read(
            lambda: self._collection.count_documents(_UNDONE, limit=MOST_COUNTED)
        )
        if not count:
            return Backlog(0, 0.0)
        oldest = await self._read(
            lambda: (
                self._collection.find(_UNDONE, {"updated_at": 1})
                .sort("updated_at", 1)
                .limit(1)
                .to_list(1)
            )
        )
        changed = oldest[0]["updated_at"].timestamp() if oldest else now
        return Backlog(count, max(0.0, now - changed))

    # -- from home to home

    async def begin_move(
        self, seen: Manifest, target: str, *, now: float, claimed_until: float
    ) -> Claim | None:
        """Send a finished file to another home, claimed by the caller `claimed_until` then.

        With its own home as `target` a move that is under way is called off. None when the file is
        not as `seen` any more, or another process works on its steps: then nothing was changed.
        """
        left = [each for each in (*seen.drop_at, seen.move_to) if each is not None]
        change = {
            "$set": {
                "move_to": None if target == seen.blobs else target,
                "drop_at": [each for each in dict.fromkeys(left) if each != target],
                "todo_at": claimed_until,
            },
            "$addToSet": {"todo": MOVE},
            "$inc": {"todo_tries": 1},
        }
        same = {"blobs": seen.blobs, "move_to": seen.move_to, **held(seen)}
        same["kept_as"] = seen.kept_as
        free = [{"todo.0": {"$exists": False}}, {"todo_at": {"$lte": now}}]
        found = await update(self._collection, seen.id, FINISHED, change, **same, **{"$or": free})
        return None if found is None else Claim(found, claimed_until)

    async def moved(self, manifest: Manifest) -> Manifest | None:
        """Let a file live where it was sent; its bytes are all there. None when it died, or moved.

        This one write is what moves it. Where it has lived, its bytes are still to be dropped.
        """
        source, target = manifest.blobs, manifest.move_to
        change = {
            "$set": {"blobs": target, "move_to": None, "etag": None},
            "$addToSet": {"drop_at": source},
        }
        return await update(
            self._collection,
            manifest.id,
            FINISHED,
            change,
            blobs=source,
            move_to=target,
            kept_as=manifest.kept_as,
        )

    async def dropped(self, file: Manifest, home: str) -> None:
        """Note that a file has no bytes in a home any more where it does not live."""
        change = {"$pull": {"drop_at": home}}
        same = {"blobs": {"$ne": home}, "kept_as": file.kept_as}
        await update(self._collection, file.id, FINISHED, change, **same)

    async def elsewhere(self, home: str, after: str | None, most: int) -> list[Manifest]:
        """Finished files that do not live at `home`, or are leaving it, by id, after `after`."""
        query: dict[str, Any] = {
            "state": {"$in": [str(each) for each in FINISHED]},
            "$or": [{"blobs": {"$ne": home}}, {"move_to": {"$ne": None}}],
        }
        if after is not None:
            query["_id"] = {"$gt": ObjectId(after)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]
