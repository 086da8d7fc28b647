"""The trash: what is in it is out of sight and paid for, comes back as it was, and ends in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import LadingError, NotFound, PreconditionFailed, Unavailable
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.protocol.webhooks import Event
from lading.server.access.principal import Principal
from lading.storage.collections.manifests import ANY_FILE
from lading.storage.database import Database
from tests.support.parts import ANN, BOB, TOMBSTONE_TTL, Parts, settings

DATA = b"some bytes"
SIZE = len(DATA)
DAYS_30 = 30 * 86_400.0


async def stored(parts: Parts, name: str = "a.txt", owner: Principal = ANN) -> str:
    """A finished file; its id."""
    spec = UploadSpec(name=name, directory="a/b", tags=("x",), size=SIZE)
    upload = await parts.uploads.create(owner, spec)
    await parts.uploads.write(upload, 0, DATA, crc32c(DATA))
    return (await parts.uploads.finish(owner, upload.manifest.id)).id


async def trashed(parts: Parts) -> str:
    file_id = await stored(parts)
    assert await parts.library.trash.put(ANN, file_id) is not None
    return file_id


async def there(parts: Parts) -> list[str]:
    return [each.id for each in await parts.library.trash.files(ANN)]


async def state(parts: Parts, file_id: str) -> State | None:
    found = await parts.manifests.get(file_id)
    return None if found is None else found.state


async def content(parts: Parts, file_id: str) -> bytes:
    manifest = await parts.uploads.get(ANN, file_id)
    return b"".join([each async for each in parts.uploads.read(manifest, 0, SIZE)])


async def test_it_is_out_of_sight_and_counts_until_it_is_restored_as_it_was(parts: Parts) -> None:
    file_id = await stored(parts)
    before = await parts.uploads.get(ANN, file_id)
    moved = await parts.library.trash.put(ANN, file_id)
    assert moved is not None
    assert (moved.state, moved.trashed_at) == (State.TRASHED, parts.clock())
    assert moved.expires_at == parts.clock() + DAYS_30
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, file_id)
    with pytest.raises(NotFound):
        await parts.library.change(ANN, file_id, name="other")
    with pytest.raises(NotFound):
        await parts.uploads.abort(ANN, file_id)
    assert await parts.library.files(ANN) == []
    assert await there(parts) == [file_id]
    assert await parts.library.trash.files(BOB) == []
    assert await parts.usage("ann") == (SIZE, 0)
    assert await parts.recount("ann") is None
    assert await parts.library.trash.put(ANN, file_id) == moved, "a repetition tells the same"
    parts.clock.now += 1
    back = await parts.library.trash.restore(ANN, file_id)
    assert back.revision > moved.revision > before.revision, "an earlier condition fails"
    assert (back.name, back.directory, back.tags) == ("a.txt", "a/b", ("x",))
    assert (back.state, back.expires_at, back.trashed_at) == (State.READY, None, None)
    assert await content(parts, file_id) == DATA
    assert await there(parts) == []
    assert await parts.library.trash.restore(ANN, file_id) == back, "and once more"
    assert await parts.audit() == []


async def test_the_janitor_deletes_what_is_past_its_time(parts: Parts) -> None:
    file_id = await trashed(parts)
    parts.clock.now += DAYS_30 - 1
    await parts.sweeper.sweep()
    assert await there(parts) == [file_id]
    parts.clock.now += 1
    report = await parts.sweeper.sweep()
    assert report.expired == 1
    assert await state(parts, file_id) is State.DELETED, "and so it stays not-found"
    assert (await parts.pieces(file_id), await parts.usage("ann")) == (0, (0, 0))
    with pytest.raises(NotFound):
        await parts.library.trash.restore(ANN, file_id)
    parts.clock.now += TOMBSTONE_TTL
    await parts.sweeper.sweep()
    assert await state(parts, file_id) is None
    assert await parts.audit() == []


async def test_a_janitor_that_dies_between_leaves_it_to_the_next(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await trashed(parts)
    parts.clock.now += DAYS_30

    async def down(*_: object) -> int:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(parts.sweeper), "empty", down)
        assert (await parts.sweeper.sweep()).failed == 1
    assert await parts.usage("ann") == (SIZE, 0)
    await parts.sweeper.sweep()
    assert (await parts.pieces(file_id), await parts.usage("ann")) == (0, (0, 0))
    assert await parts.audit() == []


async def test_a_file_that_ends_sooner_by_itself_ends_then_and_keeps_its_end(parts: Parts) -> None:
    file_id = await stored(parts)
    ends = parts.clock() + 100
    await parts.library.change(ANN, file_id, expires_at=ends)
    moved = await parts.library.trash.put(ANN, file_id)
    assert moved is not None
    assert moved.expires_at == ends
    assert (await parts.library.trash.restore(ANN, file_id)).expires_at == ends
    later = parts.clock() + 2 * DAYS_30
    await parts.library.change(ANN, file_id, expires_at=later)
    moved = await parts.library.trash.put(ANN, file_id)
    assert moved is not None
    assert moved.expires_at == parts.clock() + DAYS_30
    assert (await parts.library.trash.restore(ANN, file_id)).expires_at == later


async def test_deleting_one_and_all_for_good(parts: Parts) -> None:
    one, two, kept = await trashed(parts), await trashed(parts), await stored(parts, "kept")
    with pytest.raises(NotFound):
        await parts.uploads.delete(BOB, one)
    await parts.uploads.delete(ANN, one)
    assert await there(parts) == [two]
    assert await parts.usage("ann") == (2 * SIZE, 0)
    assert await parts.library.trash.empty(BOB) == 0
    assert await parts.library.trash.empty(ANN) == 1
    assert await there(parts) == []
    assert [each.id for each in await parts.library.files(ANN)] == [kept]
    assert await parts.usage("ann") == (SIZE, 0)


async def test_a_directory_goes_there_and_a_user_takes_it_along(parts: Parts) -> None:
    files = [await stored(parts, name) for name in ("1", "2")]
    assert await parts.library.remove_directory(ANN, "a", to_trash=True) == 2
    assert await there(parts) == files[::-1]
    done = await parts.users.remove("ann")
    assert done.files == 2
    assert await parts.manifests.trashed("ann", before=None, most=9) == []
    assert not (await parts.quotas.account("ann")).known


async def test_without_a_trash_and_for_an_upload_it_is_deletion(
    parts: Parts, database: Database
) -> None:
    upload = await parts.uploads.create(ANN, UploadSpec(name="u", size=SIZE))
    assert await parts.library.trash.put(ANN, upload.manifest.id) is None
    assert await state(parts, upload.manifest.id) is State.DELETED
    old = await trashed(parts)
    none = Parts(database, parts.clock, settings(trash_ttl=0))
    file_id = await stored(none)
    assert await none.library.trash.put(ANN, file_id) is None
    assert await state(none, file_id) is State.DELETED
    await none.library.trash.restore(ANN, old)
    assert await content(none, old) == DATA, "what was in the trash before stays restorable"


async def test_what_the_caller_does_not_expect_stays(parts: Parts) -> None:
    file_id = await stored(parts)

    def expected(_: Manifest) -> None:
        raise PreconditionFailed("It was changed since.")

    with pytest.raises(PreconditionFailed):
        await parts.library.trash.put(ANN, file_id, expected)
    assert await state(parts, file_id) is State.READY


async def test_requests_at_the_same_time_end_in_one_of_the_states(parts: Parts) -> None:
    async def tried(act: Any) -> None:
        with suppress(LadingError):
            await act

    for _ in range(5):
        file_id, trash = await stored(parts), parts.library.trash
        acts: list[Any] = [trash.put(ANN, file_id), trash.restore(ANN, file_id)]
        await asyncio.gather(*map(tried, acts), tried(parts.library.change(ANN, file_id, name="n")))
        assert await state(parts, file_id) in {State.READY, State.TRASHED}
        acts = [trash.restore(ANN, file_id), trash.empty(ANN), trash.put(ANN, file_id)]
        await asyncio.gather(*map(tried, acts), tried(parts.uploads.delete(ANN, file_id)))
    while left := await parts.library.trash.files(ANN):
        await parts.uploads.delete(ANN, left[0].id)
    for each in await parts.library.files(ANN):
        await parts.uploads.delete(ANN, each.id)
    assert await parts.recount("ann") is None
    assert await parts.usage("ann") == (0, 0)


async def test_a_file_in_the_trash_moves_home_like_others(
    parts: Parts, database: Database, tmp_path: Path
) -> None:
    file_id, target = await trashed(parts), f"file://{tmp_path}/home"
    there = Parts(database, parts.clock, settings(blobs=target))
    (seen,) = await there.storage.outbox.elsewhere(target, None, 9)
    until = parts.clock() + 30
    claim = await there.storage.outbox.begin_move(
        seen, target, now=parts.clock(), claimed_until=until
    )
    assert claim is not None
    assert await there.uploads.todo.work(claim)
    moved = await there.manifests.get(file_id)
    assert moved is not None
    assert (moved.blobs, moved.state, moved.todo) == (target, State.TRASHED, ())
    assert await there.audit() == []
    await there.library.trash.restore(ANN, file_id)
    assert await content(there, file_id) == DATA


async def test_a_renamed_tag_is_renamed_in_the_trash(parts: Parts) -> None:
    file_id = await trashed(parts)
    await parts.storage.tags.rename("ann", "x", "y", parts.clock())
    assert (await parts.library.trash.restore(ANN, file_id)).tags == ("y",)


async def test_events(parts: Parts) -> None:
    parts.storage.notices.wanted = frozenset(Event)
    file_id = await stored(parts)
    await parts.library.trash.put(ANN, file_id)
    await parts.library.trash.restore(ANN, file_id)
    await parts.library.trash.put(ANN, file_id)
    parts.clock.now += DAYS_30
    await parts.sweeper.sweep()
    found = await parts.manifests.get(file_id)
    assert found is not None
    told = [each.event for each in found.notices]
    assert told == ["file.ready", "file.trashed", "file.restored", "file.trashed", "file.deleted"]
    assert await parts.manifests.ready("ann", ANY_FILE, before=None, most=1) == []
