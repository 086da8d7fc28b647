"""The sweep: what is due is done, once, whatever crashes; what is alive is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lading.janitor.sweep import DELETED_AT_ONCE, Lost, Report
from lading.protocol.errors import Unavailable
from lading.protocol.manifest import Manifest, State
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.pictures import Pictures
from lading.storage.database import Database, connect
from tests.support.janitor import CELL, TOMBSTONE_TTL, TTL, Scene
from tests.support.steps import Crash, Steps

GONE = "expired and emptied"
DELETED = "deleted and emptied"


# -- what becomes of uploads


async def test_what_stood_still_for_too_long_expires(scene: Scene) -> None:
    stalled = await scene.begin(cells=3, stored=2)
    scene.clock.now += TTL - 0.01
    assert await scene.sweeper().sweep() == Report()
    assert await scene.states() == {stalled.id: "uploading"}

    scene.clock.now += 0.01
    assert await scene.sweeper().sweep() == Report(expired=1, emptied=1, pieces=2)
    assert await scene.states() == {stalled.id: GONE}
    assert await scene.pieces(stalled) == 0
    assert await scene.usage() == (0, 0)


async def test_a_file_is_deleted_when_its_time_is_over(scene: Scene) -> None:
    stays, ends = await scene.finished(), await scene.finished(cells=3)
    until = scene.clock() + 1000 * TTL
    changed = await scene.manifests.change(ends.id, expires_at=until, now=scene.clock())
    assert changed is not None
    scene.clock.now = until - 0.01
    assert await scene.sweeper().sweep() == Report()
    scene.clock.now = until
    assert await scene.sweeper(settled=lambda: False).sweep() == Report()
    assert await scene.sweeper().sweep(dry_run=True) == Report(expired=1, emptied=1)
    assert await scene.sweeper().sweep() == Report(expired=1, emptied=1, pieces=3)
    assert await scene.states() == {stays.id: "ready", ends.id: GONE}
    assert await scene.usage() == (2 * CELL, 0)
    assert await scene.audit() == []
    scene.clock.now += TOMBSTONE_TTL
    assert await scene.sweeper().sweep() == Report(purged=1)


async def test_a_file_that_got_more_time_meanwhile_stays(scene: Scene) -> None:
    file = await scene.finished()
    ends = await scene.manifests.change(file.id, expires_at=scene.clock() + 1, now=scene.clock())
    assert ends is not None
    scene.clock.now += 1
    await scene.manifests.change(file.id, expires_at=None, now=scene.clock())
    now = scene.clock()
    assert await scene.manifests.expire(ends, now=now, until=now + 1) is None
    assert await scene.sweeper().sweep() == Report()


async def test_a_tombstone_is_remembered_and_then_forgotten(scene: Scene) -> None:
    stalled = await scene.begin()
    scene.clock.now += TTL
    await scene.sweeper().sweep()
    scene.clock.now += TOMBSTONE_TTL - 0.01
    assert await scene.sweeper().sweep() == Report()
    found = await scene.manifests.get(stalled.id)
    assert found is not None
    assert found.state is State.EXPIRED
    scene.clock.now += 0.01
    assert await scene.sweeper().sweep() == Report(purged=1)
    assert await scene.states() == {}
    assert await scene.sweeper().sweep() == Report()


async def test_while_the_clock_cannot_be_trusted_nothing_is_done_for_its_age(scene: Scene) -> None:
    expired = await scene.begin()
    scene.clock.now += TTL
    await scene.sweeper().sweep()
    stalled, deleted = await scene.begin(), await scene.begin()
    scene.clock.now += TTL
    await scene.mark_deleted(deleted)
    unsettled = scene.sweeper(settled=lambda: False)
    assert await unsettled.sweep(dry_run=True) == Report(emptied=1)
    assert await unsettled.sweep() == Report(emptied=1, pieces=2)
    assert await scene.states() == {expired.id: GONE, stalled.id: "uploading", deleted.id: DELETED}
    assert await scene.sweeper().sweep() == Report(expired=1, emptied=1, purged=1, pieces=2)


async def test_a_piece_that_came_late_goes_with_the_tombstone(scene: Scene) -> None:
    stalled = await scene.begin(cells=3, stored=1)
    scene.clock.now += TTL
    await scene.sweeper().sweep()
    await scene.store(stalled, 2)
    assert await scene.sweeper().sweep() == Report()
    assert await scene.pieces(stalled) == 1
    scene.clock.now += TOMBSTONE_TTL
    assert await scene.sweeper().sweep() == Report(purged=1, pieces=1)
    assert await scene.pieces(stalled) == 0
    assert await scene.usage() == (0, 0)


async def test_without_remembrance_two_sweeps_leave_nothing(scene: Scene) -> None:
    await scene.begin()
    scene.clock.now += TTL
    sweeper = scene.sweeper(tombstone_ttl=0)
    await sweeper.sweep()
    await sweeper.sweep()
    assert await scene.states() == {}
    assert [upload async for upload in scene.chunks.uploads()] == []


@pytest.mark.parametrize("was_finished", [False, True])
@pytest.mark.parametrize("was_kept", [False, True])
async def test_a_deletion_that_was_cut_short_is_gone_on_with(
    scene: Scene, was_finished: bool, was_kept: bool
) -> None:
    upload, other = await scene.begin(), await scene.finished(cells=1)
    if was_finished:
        upload = await scene.publish(upload)
        if was_kept:
            await scene.quotas.keep(upload.user_id, upload.id, 2 * CELL)
    await scene.mark_deleted(upload)
    assert await scene.sweeper().sweep() == Report(emptied=1, pieces=2)
    assert await scene.states() == {upload.id: DELETED, other.id: "ready"}
    assert await scene.usage() == (CELL, 0)
    scene.clock.now += TOMBSTONE_TTL
    assert await scene.sweeper().sweep() == Report(purged=1)
    assert await scene.usage() == (CELL, 0)


async def test_files_and_moving_uploads_are_left_alone(scene: Scene) -> None:
    file, moving, endless = (
        await scene.finished(),
        await scene.begin(),
        await scene.begin(expires_at=None),
    )
    scene.clock.now += TTL - 1
    await scene.touch(moving)
    scene.clock.now += TTL - 1
    before = await scene.everything()
    assert await scene.sweeper().sweep() == Report()
    assert await scene.everything() == before
    assert set(await scene.states()) == {file.id, moving.id, endless.id}


async def test_an_upload_of_unknown_length_gives_back_what_it_grew_to(scene: Scene) -> None:
    endless = await scene.begin(cells=0, size=None)
    await scene.quotas.grow("ann", endless.id, 5 * CELL)
    scene.clock.now += TTL
    await scene.sweeper().sweep()
    assert await scene.usage() == (0, 0)


async def test_all_pages_of_what_is_due_are_looked_at(scene: Scene) -> None:
    for _ in range(5):
        await scene.begin(cells=1)
    scene.clock.now += TTL
    sweeper = scene.sweeper(looked_at_once=2)
    assert await sweeper.sweep() == Report(expired=5, emptied=5, pieces=5)
    assert set((await scene.states()).values()) == {GONE}


async def test_what_is_due_is_found_by_an_index(scene: Scene) -> None:
    for _ in range(5):
        await scene.begin(cells=0)
        await scene.mark_deleted(await scene.finished(cells=0))
    await scene.sweeper().sweep()
    for _ in range(5):
        await scene.finished(cells=0)
    commands: list[Any] = []
    profile = scene.database.client.get_default_database()
    await profile.command("profile", 2)
    await scene.sweeper().sweep()
    await profile.command("profile", 0)
    async for each in profile["system.profile"].find({"ns": {"$regex": "manifests$"}}):
        commands.append(each)
    (find,) = commands
    assert (find["docsExamined"], find["nreturned"]) == (0, 0)


# -- what happens between the look and the deed


async def came_back(scene: Scene, manifest: Manifest) -> None:
    assert await scene.touch(manifest) is not None


async def was_finished(scene: Scene, manifest: Manifest) -> None:
    await scene.publish(manifest)
    await scene.quotas.keep(manifest.user_id, manifest.id, manifest.size or 0)


async def was_deleted(scene: Scene, manifest: Manifest) -> None:
    await scene.sweeper().empty(await scene.mark_deleted(manifest))


@pytest.mark.parametrize(
    ("happens", "becomes", "usage"),
    [
        (came_back, "uploading", (0, 2 * CELL)),
        (was_finished, "ready", (2 * CELL, 0)),
        (was_deleted, DELETED, (0, 0)),
    ],
)
async def test_what_moved_since_it_was_looked_at_does_not_expire(
    scene: Scene,
    happens: Callable[[Scene, Manifest], Awaitable[None]],
    becomes: str,
    usage: tuple[int, int],
) -> None:
    upload = await scene.begin()
    scene.clock.now += TTL

    async def just_before() -> None:
        await happens(scene, upload)

    assert await scene.sweeper().sweep(check=just_before) == Report()
    assert await scene.states() == {upload.id: becomes}
    assert await scene.pieces(upload) == (0 if becomes == DELETED else 2)
    assert await scene.usage() == usage


async def test_expiring_and_touching_at_once_has_one_outcome(scene: Scene) -> None:
    for _ in range(20):
        upload = await scene.begin(cells=1)
        scene.clock.now += TTL
        _, touched = await asyncio.gather(scene.sweeper().sweep(), scene.touch(upload))
        state = (await scene.states())[upload.id]
        assert (touched is None, state) in ((True, GONE), (False, "uploading"))
        assert await scene.pieces(upload) == (state == "uploading")
        await scene.database.manifests.delete_many({})
        await scene.database.quotas.delete_many({})


async def test_several_sweeps_at_once_do_it_once(scene: Scene, database_url: str) -> None:
    other = Scene(Database(connect(database_url)), scene.clock)
    for _ in range(3):
        await scene.begin()
        await scene.mark_deleted(await scene.finished())
        await scene.mark_deleted(await scene.begin())
    kept = await scene.finished()
    scene.clock.now += TTL - 1
    alive = await scene.begin(cells=1)
    scene.clock.now += 1
    reports = await asyncio.gather(*((scene, other)[n % 2].sweeper().sweep() for n in range(6)))
    assert sum(report.expired for report in reports) == 3
    states = await scene.states()
    assert (states.pop(kept.id), states.pop(alive.id)) == ("ready", "uploading")
    scene.clock.now += TOMBSTONE_TTL
    await asyncio.gather(*((scene, other)[n % 2].sweeper().sweep() for n in range(6)))
    assert await scene.states() == {kept.id: "ready", alive.id: "uploading"}
    assert await scene.usage() == (2 * CELL, CELL)
    assert await scene.audit() == []
    await other.database.close()


# -- crashes


async def in_every_state(scene: Scene) -> None:
    """Something to do for every branch of the sweep, and beside it what must stay."""
    due = [await scene.finished(cells=1), await scene.begin(cells=2), await scene.finished()]
    for each in due:
        await scene.mark_deleted(each)
    await scene.sweeper().sweep()
    await scene.store(due[1], 1)
    # The process ended between the last two steps of this one: its mark is still there.
    mark = {f"leaving.{due[2].id}": True}
    await scene.database.quotas.update_one({"_id": "ann"}, {"$set": mark})
    scene.clock.now += TTL - 1
    stalled = await scene.begin(cells=3, stored=2)
    moving = await scene.begin(stored=1)
    endless = await scene.begin(cells=0, size=None, user_id="bob")
    await scene.quotas.grow("bob", endless.id, CELL)
    await scene.store(endless, 0)
    await scene.finished(cells=1)
    scene.clock.now += TTL - 1
    await scene.touch(moving)
    await scene.mark_deleted(await scene.publish(await scene.begin(cells=1)))  # not charged yet
    await scene.mark_deleted(await scene.finished(cells=1))
    await scene.mark_deleted(await scene.begin(cells=1))
    scene.clock.now += 1
    assert stalled.expires_at == scene.clock()


async def put_back(scene: Scene, everything: dict[str, Any]) -> None:
    for name in ("manifests", "chunks", "quotas"):
        collection = getattr(scene.database, name)
        await collection.delete_many({})
        await collection.insert_many(everything[name])


def but_for(everything: dict[str, Any], *fields: str) -> dict[str, Any]:
    """All documents, those of accounts without these fields."""
    unknown = dict.fromkeys(fields)
    return {**everything, "quotas": [account | unknown for account in everything["quotas"]]}


async def outcome(scene: Scene) -> tuple[dict[str, Any], dict[str, Any]]:
    """What there is now, and what there is when the tombstones' time is over, too."""
    # The mark of a file that left may stay until its tombstone goes; it counts for nothing.
    now = but_for(await scene.everything(), "version", "leaving")
    scene.clock.now += TOMBSTONE_TTL
    await scene.sweeper().sweep()
    scene.clock.now -= TOMBSTONE_TTL
    return now, but_for(await scene.everything(), "version")


async def test_a_crash_between_any_two_operations_changes_nothing_in_the_end(
    scene: Scene, steps: Steps
) -> None:
    await in_every_state(scene)
    begin = await scene.everything()
    stepping = Scene(steps, scene.clock)
    report = await stepping.sweeper().sweep()
    assert report == Report(expired=2, emptied=5, purged=3, pieces=7)
    operations = steps.taken
    assert operations > 40
    assert await scene.usage() == (CELL, 2 * CELL)
    assert await scene.usage("bob") == (0, 0)
    assert await scene.audit(read=False) == []
    end = await outcome(scene)

    for number in range(1, operations + 1):
        await put_back(scene, begin)
        steps.crash_before(number)
        with pytest.raises(Crash):
            await stepping.sweeper().sweep()
        steps.recover()
        await scene.sweeper().sweep()
        assert await outcome(scene) == end, f"operation {number}"


async def test_a_lost_answer_to_any_operation_changes_nothing_in_the_end(
    scene: Scene, steps: Steps
) -> None:
    await in_every_state(scene)
    begin = await scene.everything()
    await scene.sweeper().sweep()
    end = await outcome(scene)
    await put_back(scene, begin)
    steps.lose_every_write()
    await Scene(steps, scene.clock).sweeper().sweep()
    await scene.sweeper().sweep()
    assert await outcome(scene) == end


async def test_one_that_cannot_be_dealt_with_does_not_hold_up_the_others(scene: Scene) -> None:
    elsewhere, broken = await scene.begin(cells=0, blobs="tape"), await scene.begin(cells=1)
    other = await scene.begin(cells=1)
    scene.clock.now += TTL

    class Broken(MongoBlobs):
        async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
            if manifest.id == broken.id:
                raise Unavailable
            return await super().delete(manifest, most, before)

    scene.blobs = {"mongo": Broken(Chunks(scene.database), Pictures(scene.database))}
    sweeper = scene.sweeper()
    assert await sweeper.sweep() == Report(expired=1, emptied=1, pieces=1, failed=2)
    assert await scene.states() == {elsewhere.id: "expired", broken.id: "expired", other.id: GONE}
    scene.blobs = {"mongo": MongoBlobs(Chunks(scene.database), Pictures(scene.database))}
    assert await scene.sweeper().sweep() == Report(emptied=1, pieces=1, failed=1)


# -- how it goes about it


async def test_pieces_go_in_paced_batches(scene: Scene) -> None:
    total = 2 * DELETED_AT_ONCE + 5
    large = await scene.begin(cells=total)
    scene.clock.now += TTL
    done: list[str] = []

    async def pause(seconds: float) -> None:
        done.append(f"{await scene.pieces(large)} left, a pause of {seconds}")

    async def check() -> None:
        done.append("may I")

    report = await scene.sweeper(pace=0.25, pause=pause).sweep(check=check)
    assert report.pieces == total
    assert done == [
        "may I",
        f"{DELETED_AT_ONCE + 5} left, a pause of 0.25",
        "may I",
        "5 left, a pause of 0.25",
        "may I",
    ]


async def test_who_lost_the_lease_stops_in_the_middle_and_another_goes_on(scene: Scene) -> None:
    large = await scene.begin(cells=2 * DELETED_AT_ONCE)
    scene.clock.now += TTL
    asked = 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Lost

    with pytest.raises(Lost):
        await scene.sweeper().sweep(check=check)
    assert await scene.pieces(large) == DELETED_AT_ONCE
    assert await scene.states() == {large.id: "expired"}
    assert await scene.sweeper().sweep() == Report(emptied=1, pieces=DELETED_AT_ONCE)


async def test_a_dry_run_tells_and_does_nothing(scene: Scene) -> None:
    await in_every_state(scene)
    before = await scene.everything()
    told = await scene.sweeper().sweep(dry_run=True)
    assert await scene.everything() == before
    done = await scene.sweeper().sweep()
    assert (told.expired, told.emptied, told.purged) == (done.expired, done.emptied, done.purged)
    assert (told.pieces, told.failed) == (0, 0)
