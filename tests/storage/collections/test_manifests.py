"""The documents of uploads, and each change of their state."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lading.protocol.manifest import Manifest, State
from lading.storage.collections.manifests import (
    ANY_FILE,
    FileFilter,
    Manifests,
    from_document,
    new_id,
    to_document,
)
from lading.storage.database import Database
from tests.support.database_faults import break_manifests
from tests.support.manifests import HOUR, NOW, begun

FULL = begun(
    directory="a/b",
    mime_type="video/mp4",
    upload_size=99,
    sha256="0" * 64,
    crc32c=2**32 - 1,
    tags=("x", "y"),
    fingerprint="f",
    size=2**53 - 1,
)


@pytest.mark.parametrize("each", [FULL, begun(size=None, expires_at=None)], ids=["full", "bare"])
def test_a_document_holds_all_of_a_manifest(each: Manifest) -> None:
    assert from_document(to_document(each)) == each


def test_a_document_with_fields_of_a_later_version_is_read() -> None:
    assert from_document(to_document(FULL) | {"poster": 1}) == FULL


async def test_what_is_inserted_is_found(each_database: Database) -> None:
    manifests = Manifests(each_database)
    await manifests.create(FULL)
    await manifests.create(FULL)
    assert await manifests.get(FULL.id) == FULL
    assert await manifests.get(new_id()) is None
    assert await each_database.manifests.count_documents({}) == 1


async def test_a_manifest_is_as_small_as_the_file_is_large(each_database: Database) -> None:
    manifests = Manifests(each_database)
    await manifests.create(FULL)
    before = set(await each_database.manifests.find_one({}))
    await manifests.touch(FULL.id, now=NOW, expires_at=NOW, upload_size=2**50)
    assert set(await each_database.manifests.find_one({})) == before


# -- lists


async def test_unfinished_uploads_of_one_user_the_newest_first(each_database: Database) -> None:
    manifests = Manifests(each_database)
    mine = [begun(fingerprint=f"f{number % 2}") for number in range(4)]
    others = [
        begun(user_id="bob"),
        begun(state=State.READY),
        begun(state=State.EXPIRED),
        begun(state=State.DELETED),
    ]
    for each in mine + others:
        await manifests.create(each)
    assert await manifests.unfinished("ann", None, 10) == mine[::-1]
    assert await manifests.unfinished("ann", None, 3) == mine[:0:-1]
    assert await manifests.unfinished("ann", "f1", 10) == [mine[3], mine[1]]
    assert await manifests.unfinished("eve", None, 10) == []


async def test_files_of_one_user_by_each_filter_in_pages(each_database: Database) -> None:
    manifests = Manifests(each_database)
    names = ["a.png", "ab.png", "b.png", "a*.png"]
    files = [begun(state=State.READY, name=name, directory="d") for name in names]
    top = begun(state=State.READY, name="a", mime_type="video/mp4", tags=("x", "y"))
    deep = begun(state=State.READY, name="e", directory="d/e", tags=("x",))
    for each in [*files, top, deep, begun(name="a")]:
        await manifests.create(each)
    await manifests.create(begun(state=State.READY, user_id="bob", name="a", directory="d"))

    async def found(before: str | None = None, **wanted: Any) -> list[str]:
        listed = await manifests.ready("ann", FileFilter(**wanted), before=before, most=100)
        return [each.name for each in listed]

    assert await found() == ["e", "a", *names[::-1]]
    assert await found(directory="d") == names[::-1]
    assert await found(directory="d", name="a") == ["a*.png", "ab.png", "a.png"]
    assert await found(name="a*") == ["a*.png"], "a prefix is text, not a pattern"
    assert await found(directory="") == ["a"]
    assert await found(directory="D") == []
    assert await found(below="d") == ["e"]
    assert await found(mime_type="video/mp4") == ["a"]
    assert await found(mime_type="video/*") == ["a"]
    assert await found(tags=("x",)) == ["e", "a"]
    assert await found(tags=("x", "y")) == ["a"]
    assert await found(before=files[2].id) == ["ab.png", "a.png"]
    assert len(await manifests.ready("ann", ANY_FILE, before=None, most=2)) == 2


async def test_the_largest_cell_of_an_open_upload(each_database: Database) -> None:
    manifests = Manifests(each_database)
    assert await manifests.largest_open_chunk() == 0
    await manifests.create(begun(chunk_size=1024))
    await manifests.create(begun(chunk_size=8192))
    await manifests.create(begun(chunk_size=2**20, state=State.READY))
    assert await manifests.largest_open_chunk() == 8192


# -- activity


async def test_the_watermark_and_the_expiry_only_grow(each_database: Database) -> None:
    manifests, upload = Manifests(each_database), begun()
    await manifests.create(upload)
    touched = await manifests.touch(
        upload.id, now=NOW + 5, expires_at=NOW + 2 * HOUR, upload_size=50
    )
    assert touched == replace(upload, updated_at=NOW + 5, expires_at=NOW + 2 * HOUR, upload_size=50)
    # Another server knows of less, and its clock is behind.
    again = await manifests.touch(upload.id, now=NOW + 4, expires_at=NOW, upload_size=20)
    assert again == replace(touched, updated_at=NOW + 4)
    assert await manifests.get(upload.id) == again


async def test_a_touch_without_an_expiry_leaves_it(each_database: Database) -> None:
    manifests, upload = Manifests(each_database), begun()
    await manifests.create(upload)
    touched = await manifests.touch(upload.id, now=NOW, expires_at=None, upload_size=1)
    assert touched is not None
    assert touched.expires_at == upload.expires_at


async def test_what_is_not_described_stays(each_database: Database) -> None:
    manifests = Manifests(each_database)
    await manifests.create(FULL)
    for change in ({"name": "n"}, {"directory": ""}, {"tags": ()}, {"tags": ("z",)}, {}):
        before = await manifests.get(FULL.id)
        assert before is not None
        described = await manifests.change(FULL.id, now=NOW + 1, **change)
        wanted = replace(before, updated_at=NOW + 1, revision=before.revision + 1, **change)
        assert described == wanted


async def test_an_attempt_begins_once_and_with_nothing_stored(each_database: Database) -> None:
    manifests, upload = Manifests(each_database), begun(upload_size=50)
    await manifests.create(upload)
    # As documents are that were made when there were no attempts.
    await each_database.manifests.update_one({}, {"$unset": {"attempt": ""}})
    again = await manifests.begin_again(upload.id, 0, NOW + 1)
    assert again == replace(upload, attempt=1, upload_size=0, updated_at=NOW + 1)
    assert await manifests.begin_again(upload.id, 0, NOW + 2) is None
    assert await manifests.begin_again(upload.id, 1, NOW + 3) is not None
    assert await published(manifests, upload, 100) is None
    assert await manifests.touch(upload.id, now=NOW, expires_at=NOW, upload_size=9) is None
    found = await manifests.get(upload.id)
    assert found == replace(upload, attempt=2, upload_size=0, updated_at=NOW + 3)
    touched = await manifests.touch(upload.id, now=NOW, expires_at=NOW, upload_size=9, attempt=2)
    assert touched == replace(found, updated_at=NOW, upload_size=9)


@pytest.mark.parametrize("state", [State.READY, State.EXPIRED, State.DELETED])
async def test_only_an_open_upload_begins_again(each_database: Database, state: State) -> None:
    manifests, upload = Manifests(each_database), begun(state=state)
    await manifests.create(upload)
    assert await manifests.begin_again(upload.id, 0, NOW) is None
    assert await manifests.get(upload.id) == upload


@pytest.mark.parametrize("state", [State.READY, State.EXPIRED, State.DELETED])
async def test_only_an_open_upload_is_touched(each_database: Database, state: State) -> None:
    manifests, upload = Manifests(each_database), begun(state=state)
    await manifests.create(upload)
    assert await manifests.touch(upload.id, now=0, expires_at=0, upload_size=1) is None
    assert await manifests.touch(new_id(), now=0, expires_at=0, upload_size=1) is None
    assert await manifests.get(upload.id) == upload


# -- the end


async def published(manifests: Manifests, upload: Manifest, size: int) -> Manifest | None:
    return await manifests.finish(
        upload.id, now=NOW + 9, size=size, crc32c=7, sha256="1" * 64, mime="image/png"
    )


@pytest.mark.parametrize("known", [100, None])
async def test_publishing_makes_it_ready_once(each_database: Database, known: int | None) -> None:
    manifests, upload = Manifests(each_database), begun(size=known)
    await manifests.create(upload)
    ready = await published(manifests, upload, 100)
    assert ready == replace(
        upload,
        state=State.READY,
        upload_end=True,
        size=100,
        upload_size=100,
        crc32c=7,
        sha256="1" * 64,
        mime_type="image/png",
        updated_at=NOW + 9,
        expires_at=None,
    )
    assert await published(manifests, upload, 100) is None
    assert await manifests.get(upload.id) == ready


async def test_no_other_length_than_the_declared_one_is_published(each_database: Database) -> None:
    manifests, upload = Manifests(each_database), begun(size=100)
    await manifests.create(upload)
    assert await published(manifests, upload, 99) is None
    assert await manifests.get(upload.id) == upload


@pytest.mark.parametrize("becomes", [State.EXPIRED, State.DELETED])
async def test_a_tombstone_is_made_once_and_then_forgotten(
    each_database: Database, becomes: State
) -> None:
    manifests, upload = Manifests(each_database), begun()
    await manifests.create(upload)
    await manifests.delete(upload.id)
    assert await manifests.get(upload.id) == upload, "a live upload is never forgotten"

    only = (State.UPLOADING,)
    marked = await manifests.mark_deleted(
        upload.id, now=NOW + 1, becomes=becomes, until=NOW + 2, only=only
    )
    assert marked == replace(
        upload, state=becomes, updated_at=NOW + 1, expires_at=NOW + 2, todo=("empty",), todo_tries=1
    )
    again = await manifests.mark_deleted(upload.id, now=NOW, becomes=becomes, until=NOW, only=only)
    assert again is None
    assert await published(manifests, upload, 100) is None
    assert await manifests.get(upload.id) == marked
    await manifests.delete(upload.id)
    assert await manifests.get(upload.id) is None


async def test_a_finished_file_is_not_buried_as_an_upload(each_database: Database) -> None:
    manifests, upload = Manifests(each_database), begun()
    await manifests.create(upload)
    await published(manifests, upload, 100)
    marked = await manifests.mark_deleted(
        upload.id, now=NOW, becomes=State.EXPIRED, until=NOW, only=(State.UPLOADING,)
    )
    assert marked is None
    await manifests.delete(upload.id)
    assert await manifests.get(upload.id) is not None


async def test_noting_that_it_is_emptied_takes_the_step_out(each_database: Database) -> None:
    manifests, upload = Manifests(each_database), begun()
    await manifests.create(upload)
    dead = await manifests.mark_deleted(
        upload.id, now=NOW, becomes=State.DELETED, until=NOW, only=(State.UPLOADING,)
    )
    assert dead is not None
    assert (dead.todo, dead.emptied) == (("empty",), False)
    await manifests.note_emptied(upload.id)
    found = await manifests.get(upload.id)
    assert found is not None
    assert (found.todo, found.emptied) == ((), True)


# -- races and broken connections: on the real thing only


async def test_of_several_ends_at_once_one_wins(database: Database) -> None:
    manifests = Manifests(database)
    for _ in range(20):
        upload = begun(size=None)
        await manifests.create(upload)
        ends = await asyncio.gather(
            *(published(manifests, upload, size) for size in (10, 20, 30)),
            *(
                manifests.mark_deleted(
                    upload.id, now=NOW, becomes=becomes, until=NOW, only=(State.UPLOADING,)
                )
                for becomes in (State.EXPIRED, State.DELETED)
            ),
        )
        (winner,) = [end for end in ends if end is not None]
        assert await manifests.get(upload.id) == winner


async def test_a_broken_connection_neither_loses_nor_doubles(database: Database) -> None:
    breaking = break_manifests(database)
    manifests, upload = Manifests(database), begun()
    breaking.breaks = ["before", "after"]
    await manifests.create(upload)
    assert await manifests.get(upload.id) == upload
    assert await database.manifests.count_documents({}) == 1


@pytest.mark.parametrize("index", ["user", "due"])
async def test_lists_are_answered_from_an_index(database: Database, index: str) -> None:
    manifests = Manifests(database)
    for _ in range(3):
        await manifests.create(begun())
    query = {
        "user": {"user_id": "ann", "state": "uploading"},
        "due": {"state": "uploading", "emptied": False, "expires_at": {"$lt": None}},
    }[index]
    sort = {"user": "_id", "due": "expires_at"}[index]
    plan = await database.manifests.find(query).sort(sort, -1).explain()
    assert f"'indexName': '{index}'" in str(plan["queryPlanner"]["winningPlan"])
