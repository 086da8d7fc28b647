"""The audit: each kind of damage is found and named, and nothing else; the recount sets accounts
right, and lets those alone on which something happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId

from lading.janitor.verify import YOUNG_SECONDS, Finding, recount
from lading.protocol.digests import crc32c
from lading.protocol.errors import Unavailable
from lading.protocol.manifest import Manifest, Piece
from lading.storage.blobs.base import verify
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.collections.chunks import object_id
from lading.storage.collections.manifests import new_id
from lading.storage.collections.pictures import Pictures
from lading.storage.contents import Contents
from lading.storage.database import Database
from tests.support.blobs import Idle
from tests.support.clock import NOW
from tests.support.janitor import CELL, TOMBSTONE_TTL, TTL, Scene
from tests.support.steps import Crash, Steps


async def change_piece(scene: Scene, manifest: Manifest, cell: int, **fields: Any) -> None:
    key = {"_id": object_id(manifest.id, cell * CELL)}
    result = await scene.database.chunks.update_one(key, {"$set": fields})
    assert result.modified_count == 1


async def delete_piece(scene: Scene, manifest: Manifest, cell: int) -> None:
    await scene.database.chunks.delete_one({"_id": object_id(manifest.id, cell * CELL)})


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.id) for finding in findings]


# -- the audit


async def test_all_that_is_right_is_passed_over(scene: Scene) -> None:
    await scene.finished(cells=3)
    await scene.begin(cells=3, stored=1)
    await scene.begin(cells=0, size=None)
    await scene.mark_deleted(await scene.finished(cells=2))
    await scene.mark_deleted(await scene.begin(cells=2))
    expired = await scene.begin(cells=2)
    await scene.manifests.expire(expired, now=NOW + TTL, until=NOW + 2 * TTL)
    auditor = scene.auditor()
    before = await scene.everything()
    assert [finding async for finding in auditor.findings()] == []
    assert (auditor.pieces, auditor.size) == (4, 4 * CELL)
    assert await scene.everything() == before


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    "data", [b"\x01" * (CELL - 1) + b"\x03", b"\x01" * (CELL - 1), b"", b"\x01" * (CELL + 1)]
)
async def test_bytes_that_are_not_what_was_sent(scene: Scene, finished: bool, data: bytes) -> None:
    manifest = await (scene.finished(cells=3) if finished else scene.begin(cells=3))
    await change_piece(scene, manifest, 1, data=data)
    (finding,) = await scene.audit()
    assert (finding.kind, finding.id) == ("damaged", manifest.id)
    assert f"at {CELL}" in finding.detail
    assert await scene.audit(read=False) == []


class Broken(Idle):
    """A store that lists an upload, and does not return its first piece."""

    def __init__(self, upload_id: str) -> None:
        super().__init__()
        self.failures = [Unavailable("The bucket answers 500.")]
        self._listed = upload_id

    async def uploads(self) -> AsyncIterator[str]:
        yield self._listed


async def test_bytes_that_their_store_does_not_return_are_not_called_damaged(scene: Scene) -> None:
    manifest = await scene.finished(cells=2)
    scene.blobs = {manifest.blobs: Broken(manifest.id)}
    (finding,) = await scene.audit()
    assert finding == Finding(
        "unreadable", manifest.id, f"{CELL} bytes at 0: The bucket answers 500."
    )


async def test_a_wrong_checksum_of_a_piece(scene: Scene) -> None:
    manifest = await scene.finished()
    await change_piece(scene, manifest, 1, crc32c=7)
    assert kinds(await scene.audit()) == [("checksum", manifest.id), ("damaged", manifest.id)]


async def test_a_wrong_checksum_of_a_file(scene: Scene) -> None:
    manifest = await scene.finished()
    key = {"_id": ObjectId(manifest.id)}
    await scene.database.manifests.update_one(key, {"$set": {"crc32c": 7}})
    (finding,) = await scene.audit(read=False)
    assert finding == Finding("checksum", manifest.id, f"{manifest.crc32c}, not 7")


async def test_a_file_that_lacks_a_piece(scene: Scene) -> None:
    manifest = await scene.finished(cells=3)
    await delete_piece(scene, manifest, 1)
    (finding,) = await scene.audit(read=False)
    assert (finding.kind, finding.id) == ("incomplete", manifest.id)
    assert f"{CELL} bytes" in finding.detail


@pytest.mark.parametrize("size", [CELL - 1, CELL + 1])
async def test_a_piece_of_another_length(scene: Scene, size: int) -> None:
    manifest = await scene.finished(cells=3)
    await change_piece(scene, manifest, 1, size=size)
    assert kinds(await scene.audit()) == [("incomplete", manifest.id), ("damaged", manifest.id)]


async def test_an_upload_may_lack_pieces(scene: Scene) -> None:
    manifest = await scene.begin(cells=3)
    await delete_piece(scene, manifest, 1)
    assert await scene.audit() == []


async def test_pieces_that_belong_to_nothing(scene: Scene) -> None:
    manifest = await scene.begin(cells=2)
    await scene.database.manifests.delete_many({})
    await scene.quotas.release("ann", manifest.id)
    assert kinds(await scene.audit()) == [("orphan", manifest.id)]


async def test_a_piece_past_the_end_of_a_file(scene: Scene) -> None:
    manifest = await scene.finished(cells=2)
    await scene.store(manifest, 2)
    (finding,) = await scene.audit()
    assert finding == Finding("orphan", manifest.id, f"{CELL} bytes past the file's end")


async def test_pieces_of_bytes_that_were_replaced(scene: Scene) -> None:
    manifest = await scene.begin(cells=2)
    begun = await scene.manifests.begin_again(manifest.id, 0, scene.clock())
    assert begun is not None
    assert await scene.audit() == [], "they go with the upload, or when it is finished"
    data = b"x" * CELL
    for cell in range(2):
        piece = Piece(cell * CELL, CELL, crc32c(data))
        await Contents(scene.chunks, scene.blobs).write(begun, piece, data)
    checksum = crc32c(2 * data)
    await scene.manifests.finish(
        manifest.id, now=0, size=2 * CELL, crc32c=checksum, sha256=None, mime="a/b", attempt=1
    )
    await scene.quotas.keep("ann", manifest.id, 2 * CELL)
    finding = Finding("orphan", manifest.id, f"{CELL} bytes that were replaced")
    assert await scene.audit() == [finding] * 2
    await Contents(scene.chunks, scene.blobs).forget(begun)
    assert await scene.audit() == []


async def test_what_is_purged_between_two_looks_is_no_orphan(scene: Scene, steps: Steps) -> None:
    stalled = await scene.begin(cells=2)
    scene.clock.now += TTL
    await scene.sweeper().sweep()
    await scene.store(stalled, 0)
    scene.clock.now += TOMBSTONE_TTL
    stepping = Scene(steps, scene.clock)
    assert await stepping.audit() == []
    for number in range(1, steps.taken + 1):
        steps.before(number, scene.sweeper().sweep)
        assert await stepping.audit() == []


async def test_what_dies_while_it_is_read_is_not_damaged(scene: Scene, steps: Steps) -> None:
    file = await scene.finished(cells=3)
    stepping = Scene(steps, scene.clock)

    async def delete() -> None:
        await scene.sweeper().empty(await scene.mark_deleted(file))

    steps.before(4, delete)
    assert await stepping.audit() == []
    assert await scene.pieces(file) == 0


@pytest.mark.parametrize("finished", [True, False])
async def test_what_is_deleted_at_any_moment_of_the_audit_lacks_nothing(
    scene: Scene, steps: Steps, finished: bool
) -> None:
    stepping = Scene(steps, scene.clock)
    begin = scene.finished if finished else scene.begin
    await begin(cells=3)
    await stepping.audit()
    for number in range(1, steps.taken + 1):
        upload = await begin(cells=3)

        async def delete(upload: Manifest = upload) -> None:
            await scene.sweeper().empty(await scene.mark_deleted(upload))

        steps.before(number, delete)
        assert await stepping.audit() == [], f"before operation {number}"
        await scene.database.manifests.delete_one({"_id": ObjectId(upload.id)})


async def test_a_piece_that_is_not_the_one_in_the_index(scene: Scene) -> None:
    manifest = await scene.finished(cells=1)

    class Confused(MongoBlobs):
        async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
            verify(upload_id, pieces, b"x")
            return b"x"

    scene.blobs = {"mongo": Confused(scene.chunks, Pictures(scene.database))}
    assert kinds(await scene.audit()) == [("damaged", manifest.id)]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (
            {"$inc": {"charged": 5}},
            "used 8197, recounted 8192; reserved 4096, recounted 4096",
        ),
        (
            {"$inc": {"charged": -5, "reserved": -5}},
            "used 8192, recounted 8192; reserved 4091, recounted 4096",
        ),
    ],
)
async def test_an_account_that_is_wrong_is_found_and_left(
    scene: Scene, change: dict[str, Any], detail: str
) -> None:
    await scene.finished(cells=2)
    await scene.begin(cells=1)
    await scene.finished(cells=2, user_id="bob")
    await scene.database.quotas.update_one({"_id": "ann"}, change)
    before = await scene.everything()
    assert await scene.audit() == [Finding("drift", "ann", detail)]
    assert await scene.everything() == before


async def test_a_reservation_without_an_upload_is_found_when_it_is_old(scene: Scene) -> None:
    await scene.quotas.reserve("ann", new_id(NOW), CELL)
    scene.clock.now += YOUNG_SECONDS
    assert await scene.audit() == [], "it may be about to get its manifest"
    scene.clock.now += 1
    before = await scene.everything()
    assert kinds(await scene.audit()) == [("drift", "ann")]
    assert await scene.everything() == before


# -- the recount


async def put_right(scene: Scene, user_id: str = "ann") -> Finding | None:
    now = scene.clock()
    return await recount(scene.manifests, scene.quotas, user_id, now=now, correct=True)


async def test_a_wrong_account_is_set_right(scene: Scene) -> None:
    await scene.finished(cells=2)
    await scene.begin(cells=1)
    wrong = {"$set": {"charged": 1, "reserved": 77}}
    await scene.database.quotas.update_one({"_id": "ann"}, wrong)
    found = await put_right(scene)
    assert found is not None
    assert found.kind == "drift"
    assert await scene.usage() == (2 * CELL, CELL)
    assert await put_right(scene) is None
    assert await scene.audit() == []


async def test_who_has_nothing_is_right(scene: Scene) -> None:
    assert await put_right(scene) is None
    assert await scene.quotas.users() == []


async def begin(scene: Scene) -> None:
    await scene.begin(cells=1)


async def finish(scene: Scene) -> None:
    await scene.finished(cells=1)


async def finish_of_unknown_length(scene: Scene) -> None:
    manifest = await scene.begin(cells=0, size=None)
    for cell in range(2):
        await scene.quotas.grow("ann", manifest.id, (cell + 1) * CELL)
        await scene.store(manifest, cell)
    await scene.publish(replace(manifest, size=2 * CELL))
    await scene.quotas.keep("ann", manifest.id, 2 * CELL)


async def abort(scene: Scene) -> None:
    await scene.sweeper().empty(await scene.mark_deleted(await scene.begin(cells=1)))


async def delete(scene: Scene) -> None:
    await scene.sweeper().empty(await scene.mark_deleted(await scene.finished(cells=1)))


async def expire(scene: Scene) -> None:
    manifest = await scene.begin(cells=1)
    scene.clock.now += TTL
    await scene.sweeper().sweep()
    scene.clock.now += TOMBSTONE_TTL
    await scene.sweeper().sweep()
    assert await scene.pieces(manifest) == 0


LIVES = [begin, finish, finish_of_unknown_length, abort, delete, expire]
Life = Callable[[Scene], Awaitable[None]]


async def empty(scene: Scene) -> None:
    for name in ("manifests", "chunks", "quotas"):
        await getattr(scene.database, name).delete_many({})


@pytest.mark.parametrize("life", LIVES)
async def test_after_a_crash_anywhere_the_recount_is_right(
    scene: Scene, steps: Steps, life: Life
) -> None:
    number, crashed = 0, True
    while crashed:
        number += 1
        await empty(scene)
        scene.clock.now = NOW
        kept = await scene.finished(cells=3)
        steps.crash_before(number)
        try:
            await life(Scene(steps, scene.clock))
            crashed = False
        except Crash:
            steps.recover()
        scene.clock.now += YOUNG_SECONDS + 1
        await scene.sweeper().sweep()
        await put_right(scene)
        states = await scene.states()
        account = await scene.quotas.account("ann")
        files = [each async for each in scene.manifests.every() if each.state == "ready"]
        assert kept in files
        assert account.used == sum(file.size or 0 for file in files), f"operation {number}"
        alive = {each for each, state in states.items() if state == "uploading"}
        assert set(account.open) == alive, f"operation {number}"
        assert await scene.audit(read=False) == []
    assert number > 3  # the shortest, `begin`, writes to the database and reads from it three times


@pytest.mark.parametrize("life", LIVES)
async def test_what_happens_meanwhile_is_not_taken_for_drift(
    scene: Scene, steps: Steps, life: Life
) -> None:
    stepping = Scene(steps, scene.clock)
    for correct in (False, True):
        number, taken = 0, 1
        while number < taken:
            await empty(scene)
            scene.clock.now = NOW
            await scene.finished(cells=3)
            await scene.begin(cells=1)
            number += 1
            before = steps.taken
            steps.before(number, lambda: life(scene))
            found = await recount(
                stepping.manifests, stepping.quotas, "ann", now=NOW, correct=correct
            )
            taken = steps.taken - before
            assert found is None, f"operation {number}"
            assert await put_right(scene) is None, f"operation {number}"


@pytest.mark.parametrize("life", LIVES)
async def test_a_recount_anywhere_in_a_life_changes_nothing(
    scene: Scene, steps: Steps, life: Life
) -> None:
    stepping = Scene(steps, scene.clock)
    await life(stepping)
    expected = await scene.usage()
    taken = steps.taken
    for number in range(1, taken + 1):
        await empty(scene)
        scene.clock.now = NOW

        async def look() -> None:
            assert await put_right(scene) is None

        steps.before(number, look)
        await life(stepping)
        assert await scene.usage() == expected, f"operation {number}"
        assert await put_right(scene) is None


async def test_traffic_is_not_taken_for_drift(scene: Scene, database: Database) -> None:
    await scene.finished(cells=3)
    ended = asyncio.Event()

    async def live(mine: Scene) -> None:
        for _ in range(5):
            for life in (begin, finish, finish_of_unknown_length, abort, delete):
                await life(mine)

    async def recounts() -> int:
        count = 0
        while not ended.is_set():
            count += 1
            assert await put_right(scene) is None
        return count

    counting = [asyncio.create_task(recounts()) for _ in range(2)]
    await asyncio.gather(*(live(Scene(database, scene.clock)) for _ in range(3)))
    ended.set()
    assert all(count > 1 for count in await asyncio.gather(*counting))
    assert await scene.usage() == (3 * CELL + 15 * 3 * CELL, 15 * CELL)
    assert await put_right(scene) is None
