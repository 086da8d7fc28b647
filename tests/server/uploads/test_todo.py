"""The outbox: what must follow a death is done, by any server, again after any crash."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from bson import ObjectId

from lading.janitor.sweep import Lost
from lading.protocol.digests import crc32c
from lading.protocol.errors import NotFound, Unavailable
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.server.hooks import Hooks
from lading.server.limits import UploadLimits
from lading.server.uploads.todo import Step, Todo
from lading.storage.blobs.base import Check
from lading.storage.database import Database
from tests.support.parts import ANN, CELL, TOMBSTONE_TTL, TTL, Parts
from tests.support.servers import until
from tests.support.steps import Crash, Steps

LIMITS = UploadLimits()
LEASE = LIMITS.todo_lease_seconds
PIECE = b"x" * CELL


async def upload(parts: Parts, cells: int = 2, *, finish: bool = False) -> str:
    opened = await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=cells * CELL))
    for cell in range(cells):
        await parts.uploads.write(opened, cell * CELL, PIECE, crc32c(PIECE))
    if finish:
        await parts.uploads.finish(ANN, opened.manifest.id)
    return opened.manifest.id


async def dead(parts: Parts, cells: int = 2) -> str:
    """An upload that died, and whose process ended before it could do anything more."""
    upload_id = await upload(parts, cells)
    now = parts.clock()
    await parts.manifests.mark_deleted(
        upload_id,
        now=now,
        becomes=State.DELETED,
        until=now + TOMBSTONE_TTL,
        only=(State.UPLOADING,),
        claimed_until=now + LEASE,
    )
    return upload_id


def todo(parts: Parts, step: Step) -> Todo:
    """A worker with one step of the test's own."""
    return Todo(parts.manifests, parts.storage.outbox, {"empty": step}, parts.clock, LIMITS)


async def words(parts: Parts, upload_id: str) -> tuple[str, ...]:
    manifest = await parts.manifests.get(upload_id)
    assert manifest is not None
    return manifest.todo


async def eventually_done(parts: Parts, upload_id: str) -> None:
    """Look until nothing is left to do."""
    async with asyncio.timeout(10):
        while True:
            if not await words(parts, upload_id):
                return
            await asyncio.sleep(0.001)


# -- the first user: emptying


@pytest.mark.parametrize("finish", [False, True], ids=["upload", "file"])
async def test_what_was_deleted_has_nothing_left_to_do(parts: Parts, finish: bool) -> None:
    upload_id = await upload(parts, finish=finish)
    await parts.uploads.delete(ANN, upload_id)
    assert await words(parts, upload_id) == ()
    assert await parts.pieces(upload_id) == 0


async def test_what_expired_has_nothing_left_to_do(parts: Parts) -> None:
    upload_id = await upload(parts)
    parts.clock.now += TTL
    await parts.sweeper.sweep()
    assert await words(parts, upload_id) == ()


@pytest.mark.parametrize("finish", [False, True], ids=["upload", "file"])
async def test_after_a_crash_anywhere_another_server_empties_it(
    parts: Parts, steps: Steps, finish: bool
) -> None:
    """No janitor takes part."""
    number, crashed = 0, True
    while crashed:
        number += 1
        upload_id = await upload(parts, finish=finish)
        crashing = Parts(steps, parts.clock)
        steps.crash_before(number)
        try:
            await crashing.uploads.delete(ANN, upload_id)
        except Crash:
            pass
        else:
            crashed = False
        steps.recover()
        manifest = await parts.manifests.get(upload_id)
        assert manifest is not None
        if manifest.state not in ("deleted", "expired"):
            await parts.uploads.delete(ANN, upload_id)
        parts.clock.now += LEASE
        await parts.uploads.todo.once()
        assert await words(parts, upload_id) == ()
        assert await parts.pieces(upload_id) == 0
        assert await parts.usage("ann") == (0, 0)
        assert await parts.audit() == []
    assert number > 5


async def test_another_server_waits_until_the_claim_is_over(parts: Parts, elsewhere: Parts) -> None:
    upload_id = await dead(parts)
    assert await elsewhere.uploads.todo.once() == 0
    parts.clock.now += LEASE - 0.001
    assert await elsewhere.uploads.todo.once() == 0
    parts.clock.now += 0.001
    assert await elsewhere.uploads.todo.once() == 1
    assert await elsewhere.uploads.todo.once() == 0
    assert await parts.pieces(upload_id) == 0


async def test_the_task_of_a_server_works_it_off(database: Database, parts: Parts) -> None:
    upload_id = await dead(parts)
    parts.clock.now += LEASE
    quick = Parts(database, parts.clock, limits=UploadLimits(todo_poll_seconds=0.001))
    running = asyncio.create_task(quick.uploads.todo.run())
    await eventually_done(parts, upload_id)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await parts.pieces(upload_id) == 0


async def test_what_a_version_without_todo_left_is_swept(parts: Parts) -> None:
    upload_id = await dead(parts)
    unset = {"$unset": {"todo": "", "todo_at": "", "todo_tries": ""}}
    await parts.database.manifests.update_one({}, unset)
    assert await words(parts, upload_id) == ()
    parts.clock.now += LEASE
    assert await parts.uploads.todo.once() == 0
    await parts.sweeper.sweep()
    assert await parts.pieces(upload_id) == 0
    assert await parts.usage("ann") == (0, 0)


async def test_of_many_servers_one_does_it(parts: Parts) -> None:
    ids = [await dead(parts) for _ in range(5)]
    parts.clock.now += LEASE
    others = [Parts(parts.database, parts.clock) for _ in range(4)]
    claimed = await asyncio.gather(*(each.uploads.todo.once() for each in others))
    assert sum(claimed) == len(ids)
    assert await parts.usage("ann") == (0, 0)


# -- steps that fail, last, or are unknown


async def test_a_step_that_fails_is_tried_again_later_and_later(parts: Parts) -> None:
    upload_id = await dead(parts)
    parts.clock.now += LEASE
    tries: list[float] = []

    async def fail(_manifest: Manifest, _check: Check) -> None:
        tries.append(parts.clock())
        if len(tries) < 14:
            raise Unavailable if len(tries) % 2 else ValueError("a fault")

    worker = todo(parts, fail)
    while await words(parts, upload_id):
        await worker.once()
        parts.clock.now += 1
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[0] < LEASE < pauses[-1] == LIMITS.todo_longest_pause


async def test_a_long_step_keeps_its_claim(parts: Parts, elsewhere: Parts) -> None:
    upload_id = await dead(parts)
    parts.clock.now += LEASE

    async def last(_manifest: Manifest, check: Check) -> None:
        for _ in range(10):
            parts.clock.now += LEASE * 0.6
            await check()
            assert await elsewhere.uploads.todo.once() == 0

    assert await todo(parts, last).once() == 1
    assert await words(parts, upload_id) == ()


async def test_who_was_paused_past_its_claim_stops(parts: Parts, elsewhere: Parts) -> None:
    upload_id = await dead(parts)
    parts.clock.now += LEASE
    stopped: list[bool] = []

    async def paused(_manifest: Manifest, check: Check) -> None:
        parts.clock.now += 2 * LEASE
        assert await elsewhere.uploads.todo.once() == 1
        try:
            await check()
        except Lost:
            stopped.append(True)
            raise

    assert await todo(parts, paused).once() == 1
    assert stopped == [True]
    assert await words(parts, upload_id) == ()


async def test_a_word_of_a_newer_version_is_left_to_it(parts: Parts) -> None:
    upload_id = await dead(parts)
    await parts.database.manifests.update_one({}, {"$set": {"todo": ["unheard-of", "empty"]}})
    parts.clock.now += LEASE
    assert await parts.uploads.todo.once() == 1
    assert await words(parts, upload_id) == ("unheard-of", "empty"), "steps keep their order"
    assert await parts.uploads.todo.once() == 0, "it is not asked for all the time"


async def test_a_server_that_ends_leaves_the_rest(parts: Parts) -> None:
    upload_id = await dead(parts)
    begun = asyncio.Event()

    async def endless(_manifest: Manifest, _check: Check) -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = todo(parts, endless)
    parts.clock.now += LEASE
    claim = await parts.storage.outbox.claim(
        upload_id, now=parts.clock(), until=parts.clock() + LEASE
    )
    assert claim is not None
    worker.begin(claim)
    await until(begun.is_set)
    async with asyncio.timeout(5):
        await worker.stop()
    assert await words(parts, upload_id) == ("empty",)
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, upload_id)


# -- its index


async def test_looking_for_work_costs_nothing_where_there_is_none(parts: Parts) -> None:
    for _ in range(20):
        await parts.uploads.delete(ANN, await upload(parts, 1))
    # Files that wait for another kind of worker, as where no process makes pictures.
    for _ in range(20):
        waiting = await upload(parts, 1, finish=True)
        left = {"$set": {"todo": ["derive"], "todo_at": 0.0}}
        await parts.database.manifests.update_one({"_id": ObjectId(waiting)}, left)
    words = {"$in": ["empty", "move", "place"]}
    query = {"todo.0": {"$exists": True}, "todo": words, "todo_at": {"$lte": parts.clock()}}
    plan = await parts.database.manifests.find(query, {"_id": 1}).sort("todo_at", 1).explain()
    assert plan["executionStats"]["totalKeysExamined"] == 0
    assert plan["executionStats"]["totalDocsExamined"] == 0


async def test_each_step_that_was_tried_is_reported(parts: Parts) -> None:
    heard: list[tuple[str, str]] = []
    failures = [Unavailable("not now")]

    async def step(_manifest: Manifest, _check: Check) -> None:
        if failures:
            raise failures.pop()

    worker = Todo(
        parts.manifests,
        parts.storage.outbox,
        {"empty": step},
        parts.clock,
        LIMITS,
        hooks=Hooks(
            began=lambda word: heard.append((word, "began")),
            step=lambda word, outcome, _seconds: heard.append((word, outcome)),
        ),
    )
    await dead(parts)
    backlog = await parts.storage.outbox.backlog(parts.clock())
    assert backlog.left == 1
    parts.clock.now += LEASE
    await worker.once()
    aged = await parts.storage.outbox.backlog(parts.clock())
    assert aged.age == pytest.approx(backlog.age + LEASE, abs=0.01)
    parts.clock.now += LEASE
    await worker.once()
    assert heard == [
        ("empty", "began"), ("empty", "failed"), ("empty", "began"), ("empty", "ok")
    ]  # fmt: skip
    assert await parts.storage.outbox.backlog(parts.clock()) == (0, 0.0)
