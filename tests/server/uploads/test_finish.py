"""Uploads that ended while somebody still had them open: nothing is stored that nobody will clear,
nothing is answered that is not so, and no quota is lost on the way.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from lading.janitor.verify import YOUNG_SECONDS
from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    Gone,
    LadingError,
    NotFound,
    StorageFull,
    Unavailable,
)
from lading.protocol.manifest import State
from lading.protocol.spec import UploadSpec
from lading.server.uploads import OpenUpload
from lading.storage.collections.inserts import Inserts
from lading.storage.collections.manifests import Manifests
from lading.storage.database import Database
from tests.support.parts import ANN, CELL, TOMBSTONE_TTL, TTL, Parts
from tests.support.steps import Steps

PIECE = bytes(range(256)) * (CELL // 256)


async def create(parts: Parts, cells: int | None = 2) -> OpenUpload:
    size = None if cells is None else cells * CELL
    return await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=size))


async def write(parts: Parts, upload: OpenUpload, cell: int) -> int:
    """Write a piece; gives how much is stored in all, as the client is told."""
    written = await parts.uploads.write(upload, cell * CELL, PIECE, crc32c(PIECE))
    return written.upload_size


async def finished(parts: Parts, cells: int = 2) -> OpenUpload:
    upload = await create(parts, cells)
    for cell in range(cells):
        await write(parts, upload, cell)
    await parts.uploads.finish(ANN, upload.manifest.id)
    return upload


# -- a piece that comes after the end


@pytest.mark.parametrize("cells", [2, None])
async def test_of_an_upload_that_is_forgotten_no_piece_is_stored(
    parts: Parts, elsewhere: Parts, cells: int | None
) -> None:
    upload = await create(parts, cells)
    parts.clock.now += TTL
    await elsewhere.sweeper.sweep()
    with pytest.raises(Gone):
        await write(parts, upload, 0)
    parts.clock.now += TOMBSTONE_TTL
    await elsewhere.sweeper.sweep()
    for cell in (0, 1):
        with pytest.raises(NotFound):
            await write(parts, upload, cell)
    assert await parts.pieces(upload.manifest.id) == 0
    assert await parts.audit() == []
    assert await parts.usage("ann") == (0, 0)


@pytest.mark.parametrize("cells", [2, None])
async def test_who_deletes_is_heard_by_all_of_the_process_at_once(
    parts: Parts, cells: int | None
) -> None:
    upload = await create(parts, cells)
    await parts.uploads.delete(ANN, upload.manifest.id)
    with pytest.raises(NotFound):
        await write(parts, upload, 0)
    assert await parts.pieces(upload.manifest.id) == 0


async def test_who_deletes_elsewhere_is_heard_within_a_second(
    parts: Parts, elsewhere: Parts
) -> None:
    upload = await create(parts)
    await elsewhere.uploads.delete(ANN, upload.manifest.id)
    assert await write(parts, upload, 0) == CELL
    parts.clock.now += 1
    for _ in range(2):
        with pytest.raises(NotFound):
            await write(parts, upload, 1)
    assert await parts.pieces(upload.manifest.id) == 1
    parts.clock.now += TOMBSTONE_TTL
    await parts.sweeper.sweep()
    assert await parts.audit() == []


async def test_of_unknown_length_it_is_heard_at_once(parts: Parts, elsewhere: Parts) -> None:
    upload = await create(parts, None)
    await elsewhere.uploads.delete(ANN, upload.manifest.id)
    with pytest.raises(NotFound):
        await write(parts, upload, 0)
    assert await parts.usage("ann") == (0, 0)


async def test_who_finishes_elsewhere_is_heard(parts: Parts, elsewhere: Parts) -> None:
    upload = await create(parts, None)
    await write(parts, upload, 0)
    await elsewhere.uploads.finish(ANN, upload.manifest.id, CELL)
    with pytest.raises(AlreadyComplete):
        await write(parts, upload, 1)
    assert await write(parts, upload, 0) == CELL, "what is stored may be sent again"
    assert await parts.usage("ann") == (CELL, 0)


# -- activity


async def test_every_second_of_writing_keeps_it_alive(parts: Parts, elsewhere: Parts) -> None:
    upload = await create(parts, 50)
    for cell in range(50):
        parts.clock.now += TTL * 0.9
        await write(parts, upload, cell)
        await elsewhere.sweeper.sweep()
    assert (await parts.uploads.finish(ANN, upload.manifest.id)).state is State.READY


async def test_what_stood_still_may_go_on_as_long_as_no_janitor_came(
    parts: Parts, elsewhere: Parts
) -> None:
    upload = await create(parts)
    parts.clock.now += 2 * TTL
    await elsewhere.uploads.resume(ANN, upload.manifest.id)
    await elsewhere.sweeper.sweep()
    await write(parts, upload, 0)
    assert await parts.pieces(upload.manifest.id) == 1


async def test_the_manifest_is_written_at_most_once_a_second(
    database: Database, steps: Steps
) -> None:
    parts = Parts(steps)
    upload = await create(parts, 20)
    before = steps.taken
    for cell in range(20):
        parts.clock.now += 0.2
        await write(parts, upload, cell)
    assert steps.taken - before in range(20 + 3, 20 + 5)


async def test_a_clock_that_is_set_back_does_not_stop_that(parts: Parts) -> None:
    upload = await create(parts, 3)
    parts.clock.now -= TTL
    await write(parts, upload, 0)
    parts.clock.now += 2
    await write(parts, upload, 1)
    found = await parts.manifests.get(upload.manifest.id)
    assert found is not None
    assert (found.updated_at, found.upload_size) == (parts.clock.now, CELL)


async def test_after_a_failed_look_the_next_piece_looks_again(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await create(parts)
    await elsewhere.uploads.delete(ANN, upload.manifest.id)
    parts.clock.now += 1

    async def down(*_: Any, **__: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(Manifests, "touch", down)
        with pytest.raises(Unavailable):
            await write(parts, upload, 0)
    with pytest.raises(NotFound):
        await write(parts, upload, 0)
    assert await parts.pieces(upload.manifest.id) == 0


# -- answers that were lost, steps that failed


@pytest.mark.parametrize(
    ("is_file", "how"), [(True, "delete"), (False, "delete"), (False, "abort")]
)
async def test_a_deletion_whose_answer_was_lost_is_done(
    parts: Parts, steps: Steps, is_file: bool, how: str
) -> None:
    upload = await (finished(parts) if is_file else create(parts))
    steps.lose(2)
    await getattr(Parts(steps, parts.clock).uploads, how)(ANN, upload.manifest.id)
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, upload.manifest.id)
    await parts.sweeper.sweep()
    assert await parts.usage("ann") == (0, 0)
    assert await parts.pieces(upload.manifest.id) == 0


async def test_any_lost_answer_of_a_life_changes_nothing(parts: Parts, steps: Steps) -> None:
    steps.lose_every_write()
    lossy = Parts(steps, parts.clock)
    upload = await create(lossy, None)
    for cell in range(2):
        await write(lossy, upload, cell)
    file = await lossy.uploads.finish(ANN, upload.manifest.id, 2 * CELL)
    assert (file.state, file.size) == (State.READY, 2 * CELL)
    assert await parts.usage("ann") == (2 * CELL, 0)
    other = await create(lossy, 3)
    assert await parts.usage("ann") == (2 * CELL, 3 * CELL)
    for each in (upload, other):
        await lossy.uploads.delete(ANN, each.manifest.id)
    await parts.sweeper.sweep()
    assert await parts.usage("ann") == (0, 0)
    assert await parts.audit() == []


class Failing:
    """A collection of manifests that cannot be inserted into, or says so."""

    def __init__(self, collection: Any, error: Exception, *, applied: bool) -> None:
        self._collection = collection
        self._error = error
        self._applied = applied

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def insert_one(self, document: dict[str, Any]) -> None:
        if self._applied:
            await self._collection.insert_one(document)
        raise self._error


async def fail_to_create(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, error: Exception, *, applied: bool
) -> LadingError:
    collection = Failing(parts.database.manifests, error, applied=applied)
    with monkeypatch.context() as patch:
        # Without its patience: the second try would only meet the same.
        patch.setattr("lading.storage.database._may_pass", lambda _error: False)
        patch.setattr(parts.manifests, "_inserts", Inserts(collection))
        with pytest.raises(LadingError) as caught:
            await create(parts)
    return caught.value


async def test_what_cannot_be_kept_reserves_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OperationFailure("no room", 14031)
    error = await fail_to_create(parts, monkeypatch, full, applied=False)
    assert isinstance(error, StorageFull)
    assert await parts.usage("ann") == (0, 0)


@pytest.mark.parametrize("applied", [True, False])
async def test_what_may_have_been_kept_stays_reserved_until_that_is_known(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    error = await fail_to_create(parts, monkeypatch, AutoReconnect(), applied=applied)
    assert isinstance(error, Unavailable)
    assert await parts.usage("ann") == (0, 2 * CELL)
    parts.clock.now += YOUNG_SECONDS + 1
    await parts.recount("ann")
    assert await parts.usage("ann") == (0, 2 * CELL if applied else 0)


# -- once more


async def test_a_repeated_finish_has_its_digest_verified(parts: Parts) -> None:
    upload = await finished(parts)
    upload_id = upload.manifest.id
    right = hashlib.sha256(2 * PIECE).hexdigest()
    for _ in range(2):
        assert (await parts.uploads.finish(ANN, upload_id, 2 * CELL, right)).id == upload_id
        with pytest.raises(ChecksumMismatch):
            await parts.uploads.finish(ANN, upload_id, 2 * CELL, "0" * 64)
    assert await parts.usage("ann") == (2 * CELL, 0)


async def test_no_more_is_counted_than_there_is(parts: Parts, elsewhere: Parts) -> None:
    upload = await create(parts, 4)
    other, _ = await elsewhere.uploads.resume(ANN, upload.manifest.id)
    told = [await write((parts, elsewhere)[cell % 2], (upload, other)[cell % 2], cell)
            for cell in range(4)]  # fmt: skip
    assert max(told) <= 4 * CELL
    _, stored = await parts.uploads.resume(ANN, upload.manifest.id)
    assert stored.upload_size == 4 * CELL
    assert await write(parts, upload, 0) == 4 * CELL
