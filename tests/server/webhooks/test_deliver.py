"""Deliveries: at least once, in order of each file, whatever fails or is killed in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from lading.protocol.webhooks import Event
from lading.storage.database import Database
from tests.server.webhooks.conftest import LIMITS, SECRET, Scene
from tests.support.clock import NOW
from tests.support.parts import Parts
from tests.support.receivers import OK, Got, Receiver, receiving, status, verify
from tests.support.servers import until
from tests.support.steps import Crash, Steps

HOUR = 3600.0
DAY = 24 * HOUR


def by_file(got: list[Got]) -> dict[str, list[str]]:
    """The events that each file's receiver took, without those that came again."""
    seen, found = set[str](), defaultdict[str, list[str]](list)
    for each in got:
        if each.id not in seen:
            seen.add(each.id)
            found[each.content["data"]["_id"]].append(each.event)
    return dict(found)


def has(receiver: Receiver, number: int) -> bool:
    return len(receiver.got) == number


async def test_a_receiver_that_fails_for_an_hour_gets_every_event_in_order(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Got] = []

    def answer(got: Got) -> bytes:
        if scene.clock() < NOW + HOUR:
            return status(503)
        taken.append(got)
        # What is in the body is what was signed, then.
        assert verify(SECRET, got, scene.clock(), monkeypatch) == got.content
        return OK

    living, dead = list[str](), list[str]()
    async with receiving(answer) as receiver:
        await scene.webhook(receiver)
        while scene.clock() < NOW + 4 * HOUR:
            if scene.clock() < NOW + HOUR and (scene.clock() - NOW) % 600 == 0:
                living.append(await scene.upload())
                dead.append(await scene.upload())
                await scene.work()
                await scene.delete(dead[-1])
            await scene.work()
            scene.clock.now += 60
    assert len(receiver.got) > len(taken) == 18
    both = [Event.FILE_READY, Event.FILE_DELETED]
    assert by_file(taken) == {
        **{file_id: [Event.FILE_READY] for file_id in living},
        **dict.fromkeys(dead, both),
    }
    assert (await scene.storage.deliveries.backlog(scene.clock())).left == 0


@pytest.mark.parametrize("deleted", [False, True], ids=["published", "deleted"])
async def test_after_a_crash_anywhere_another_process_delivers(
    scene: Scene, steps: Steps, deleted: bool
) -> None:
    """The process ends before any one of its operations on the database, the sending included."""
    number, crashed = 0, True
    async with receiving() as receiver:
        await scene.webhook(receiver)
        while crashed:
            number += 1
            file_id = await scene.upload(finish=deleted)
            dying = Scene(Parts(steps, scene.clock), holder=f"dying{number}")
            await dying.storage.webhooks.look()
            begun = steps.taken
            steps.crash_before(number)
            with suppress(Crash):
                act = dying.delete(file_id) if deleted else dying.upload_finish(file_id)
                await act
                await dying.work()
            crashed = steps.taken - begun >= number
            steps.recover()
            # The caller of a request that got no answer sends it again.
            if not deleted:
                await scene.upload_finish(file_id)
            elif (await scene.manifest(file_id)).state == "ready":
                await scene.delete(file_id)
            scene.clock.now += 2 * LIMITS.lease_seconds
            await scene.work()
            expected = [Event.FILE_READY, *([Event.FILE_DELETED] if deleted else [])]
            assert by_file(receiver.got)[file_id] == expected
    assert number > 8


async def test_what_was_sent_and_not_noted_is_sent_again(scene: Scene, steps: Steps) -> None:
    async with receiving() as receiver:
        await scene.webhook(receiver)
        file_id = await scene.upload()
        while await scene.parts.uploads.todo.once():
            pass
        dying = Scene(Parts(steps, scene.clock), holder="dying")

        def die(_got: Got) -> bytes:
            steps.crash_before(1)
            return OK

        receiver.answer = die
        await dying.deliverer.once()
        steps.recover()
        receiver.answer = lambda _got: OK
        assert not await scene.deliverer.once(), "the lease of the dead process still lasts"
        scene.clock.now += LIMITS.lease_seconds
        assert await scene.deliverer.once()
    first, second = receiver.got
    assert first.id == second.id
    assert first.body == second.body
    assert first.content["data"]["_id"] == file_id


async def test_one_of_several_processes_sends(scene: Scene, other: Scene) -> None:
    async with receiving() as receiver:
        await scene.webhook(receiver)
        assert await scene.deliverer.once()
        assert not await other.deliverer.once()
        running = asyncio.create_task(scene.deliverer.run())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await other.deliverer.once(), "a process that ends lets another begin at once"


async def test_a_slow_receiver_holds_up_no_other(scene: Scene) -> None:
    async with receiving(lambda _got: None) as slow, receiving() as fast:
        await scene.webhook(slow)
        await scene.webhook(fast)
        running = asyncio.create_task(scene.deliverer.run())
        working = asyncio.create_task(scene.parts.uploads.todo.run())
        try:
            for number in range(1, 9):
                await scene.upload()
                await until(partial(has, fast, number))
        finally:
            for task in (running, working):
                task.cancel()
            await asyncio.gather(running, working, return_exceptions=True)
    assert 1 <= len(slow.got) <= LIMITS.sent_at_once


async def test_files_of_one_webhook_do_not_wait_for_each_other(scene: Scene) -> None:
    bad: set[str] = set()

    def answer(got: Got) -> bytes:
        return status(500) if got.content["data"]["_id"] in bad else OK

    async with receiving(answer) as receiver:
        await scene.webhook(receiver)
        bad.add(await scene.upload())
        good = await scene.upload()
        await scene.work()
        await scene.delete(next(iter(bad)))
        await scene.work()
    took = [each for each in receiver.got if each.content["data"]["_id"] not in bad]
    assert by_file(took) == {good: [Event.FILE_READY]}
    # The second event of the first file was not even tried.
    assert {each.event for each in receiver.got} == {Event.FILE_READY}


async def test_it_reads_a_few_at_a_time_and_sends_all_in_order(scene: Scene) -> None:
    few = Scene(scene.parts, replace(LIMITS, read_at_once=2))
    fails = True
    async with receiving(lambda _got: status(500) if fails else OK) as receiver:
        await few.webhook(receiver)
        files = [await few.upload() for _ in range(5)]
        await few.work()
        for file_id in files:
            await few.delete(file_id)
        await few.work()
        fails = False
        few.clock.now += HOUR
        await few.work()
    both = [Event.FILE_READY, Event.FILE_DELETED]
    assert by_file(receiver.got[5:]) == dict.fromkeys(files, both)


async def test_the_pauses_grow_up_to_three_days_then_the_webhook_is_disabled(
    scene: Scene,
) -> None:
    async with receiving(lambda _got: status(500)) as receiver:
        webhook = await scene.webhook(receiver)
        file_id = await scene.upload()
        await scene.work()
        await scene.delete(file_id)
        times = [scene.clock() - NOW]
        while await scene.storage.webhooks.look():
            *_, first = await scene.log(webhook)
            scene.clock.now = first.due_at
            await scene.work()
            times.append(scene.clock() - NOW)
    assert len(receiver.got) == len(times)
    assert times[:4] == [0, 5, 305, 2105]
    assert times[-1] == 3 * DAY
    found = await scene.storage.webhooks.get(webhook.id)
    assert found is not None
    assert found.disabled_because == ("It took no event for 3 days. The answer has the status 500.")
    assert scene.tries[-1] == (Event.FILE_READY, "failed")
    assert (await scene.storage.deliveries.backlog(scene.clock())).left == 0


async def test_a_receiver_that_is_gone_is_disabled_at_once(scene: Scene) -> None:
    async with receiving(lambda _got: status(410)) as receiver:
        webhook = await scene.webhook(receiver)
        await scene.upload()
        await scene.work()
        await scene.upload()
        await scene.work()
    found = await scene.storage.webhooks.get(webhook.id)
    assert found is not None
    assert found.disabled_because is not None
    assert "410" in found.disabled_because
    assert len(receiver.got) == 1
    assert await scene.storage.webhooks.look() == []


async def test_what_was_stored_for_a_webhook_that_was_removed_is_deleted(scene: Scene) -> None:
    async with receiving() as receiver, receiving() as lasting:
        await scene.webhook(lasting, [Event.FILE_DELETED])
        webhook = await scene.webhook(receiver)
        await scene.upload()
        while await scene.parts.uploads.todo.once():
            pass
        await scene.storage.webhooks.delete(webhook.id)
        scene.clock.now += LIMITS.lost_seconds + 1
        await scene.deliverer.once()
    assert await scene.log(webhook) == []
    assert receiver.got == []


async def test_a_log_entry_goes_after_its_time(scene: Scene, database: Database) -> None:
    """An index of MongoDB deletes it; pending ones have no such time."""
    fails = True
    async with receiving(lambda _got: status(500) if fails else OK) as receiver:
        await scene.webhook(receiver)
        await scene.upload()
        await scene.work()
        (pending,) = await database.deliveries.find({}).to_list(None)
        assert "kept_until" not in pending
        fails = False
        scene.clock.now += HOUR
        await scene.work()
        (delivered,) = await database.deliveries.find({}).to_list(None)
    kept = delivered["kept_until"].timestamp()
    assert kept == pytest.approx(scene.clock() + LIMITS.log_seconds, abs=1)
    indexes = await database.deliveries.index_information()
    assert indexes["kept_until"]["expireAfterSeconds"] == 0


async def test_without_webhooks_nothing_is_asked_for(scene: Scene, steps: Steps) -> None:
    idle = Scene(Parts(steps, scene.clock))
    begun = steps.taken
    assert not await idle.deliverer.once()
    assert steps.taken == begun + 1  # whether there are any
