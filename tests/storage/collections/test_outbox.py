"""What must follow a change of a manifest: claimed, moved, done; and a file from home to home."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lading.protocol.manifest import State
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.outbox import Outbox
from lading.storage.database import Database
from tests.support.manifests import NOW, begun

HOME = "file:///srv/lading"


async def test_what_must_follow_is_claimed_moved_and_taken_out(each_database: Database) -> None:
    manifests, outbox = Manifests(each_database), Outbox(each_database)
    upload = begun()
    await manifests.create(upload)
    assert await outbox.with_todo(["empty"], NOW + 100, 10) == []
    await manifests.mark_deleted(
        upload.id,
        now=NOW,
        becomes=State.DELETED,
        until=NOW + 100,
        only=(State.UPLOADING,),
        claimed_until=NOW + 30,
    )
    assert await outbox.with_todo(["empty"], NOW + 29, 10) == []
    assert await outbox.claim(upload.id, now=NOW + 29, until=NOW + 60) is None
    assert await outbox.with_todo(["empty"], NOW + 30, 10) == [upload.id]
    first = await outbox.claim(upload.id, now=NOW + 30, until=NOW + 60)
    assert first is not None
    assert (first.manifest.todo, first.until) == (("empty",), NOW + 60)
    assert first.manifest.todo_tries == 2
    assert await outbox.claim(upload.id, now=NOW + 30, until=NOW + 60) is None
    assert await outbox.move_claim(first, NOW + 70)
    assert await outbox.with_todo(["empty"], NOW + 69, 10) == []
    second = await outbox.claim(upload.id, now=NOW + 70, until=NOW + 100)
    assert second is not None
    assert not await outbox.move_claim(first, NOW + 200), "it is another's by now"
    assert await outbox.take_out(first.manifest, "empty") is None
    assert await outbox.take_out(second.manifest, "empty") is not None
    assert await outbox.take_out(second.manifest, "empty") is not None, "again is harmless"
    assert await outbox.with_todo(["empty"], NOW + 1000, 10) == []
    assert await outbox.claim(upload.id, now=NOW + 1000, until=NOW + 1001) is None


async def test_a_file_moves_in_three_writes(each_database: Database) -> None:
    manifests, outbox = Manifests(each_database), Outbox(each_database)
    file = begun(state=State.READY, upload_end=True, etag="e")
    await manifests.create(file)
    claim = await outbox.begin_move(file, HOME, now=NOW, claimed_until=NOW + 30)
    assert claim is not None
    sent = claim.manifest
    assert (sent.blobs, sent.move_to, sent.todo) == ("mongo", HOME, ("move",))
    moved = await outbox.moved(sent)
    assert moved is not None
    assert (moved.blobs, moved.move_to, moved.etag) == (HOME, None, None)
    assert moved.drop_at == ("mongo",)
    assert await outbox.moved(sent) is None, "it lives there already"
    await outbox.dropped(file, HOME)
    await outbox.dropped(file, "mongo")
    done = await outbox.take_out(moved, "move")
    assert done is not None
    assert (done.drop_at, done.todo) == ((), ())


@pytest.mark.parametrize(
    "change",
    [
        {"blobs": HOME},
        {"move_to": "s3://files"},
        {"todo_tries": 7},
        {"state": State.DELETED},
    ],
)
async def test_a_file_that_changed_is_not_sent_elsewhere(
    each_database: Database, change: dict[str, Any]
) -> None:
    manifests, outbox = Manifests(each_database), Outbox(each_database)
    seen = begun(state=State.READY, upload_end=True)
    await manifests.create(replace(seen, **change))
    assert await outbox.begin_move(seen, HOME, now=NOW, claimed_until=NOW + 30) is None


async def test_files_elsewhere_are_those_that_do_not_live_there_or_are_leaving(
    each_database: Database,
) -> None:
    manifests, outbox = Manifests(each_database), Outbox(each_database)
    ready = {"state": State.READY, "upload_end": True}
    elsewhere, leaving = begun(**ready), begun(**ready, blobs=HOME, move_to="mongo")
    for each in (begun(**ready, blobs=HOME), begun(), elsewhere, leaving):
        await manifests.create(each)
    assert await outbox.elsewhere(HOME, None, 10) == [elsewhere, leaving]
    assert await outbox.elsewhere(HOME, elsewhere.id, 10) == [leaving]
