"""Approval before publication: who is asked, what the answer does, and what a crash leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import NotFound, Rejected, Unavailable
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.server.uploads.approval import Undecided
from lading.storage.database import Database
from tests.support.clock import Clock
from tests.support.parts import ANN, CELL, Parts, settings
from tests.support.receivers import Got, receiving, status
from tests.support.steps import Crash, Steps

PIECE = b"x" * CELL
OTHER = b"y" * CELL
DAY = 86_400.0
LIMITS = UploadLimits(approve_wait=0.0)


@dataclass
class Site:
    """The parts of a process, and what it is answered."""

    database: Database
    port: int
    got: list[Got]
    answers: dict[str, int] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    def process(self, database: Database | None = None, **more: Any) -> Parts:
        """Another process."""
        url = f"http://127.0.0.1:{self.port}/check"
        chosen = settings(**({"approve_url": url} | more))
        return Parts(database or self.database, self.clock, chosen, LIMITS)


@pytest.fixture
async def site(database: Database) -> Any:
    async with receiving() as receiver:
        found = Site(database, receiver.port, receiver.got)

        def answer(got: Got) -> bytes:
            return status(found.answers.get(got.content["data"]["name"], 503))

        receiver.answer = answer
        yield found


async def upload(parts: Parts, name: str = "a.bin", data: bytes = PIECE, **more: Any) -> str:
    opened = await parts.uploads.create(ANN, UploadSpec(name=name, size=len(data), **more))
    await parts.uploads.write(opened, 0, data, crc32c(data))
    return opened.manifest.id


async def finish(parts: Parts, upload_id: str) -> Manifest:
    return await parts.uploads.finish(ANN, upload_id)


async def manifest(parts: Parts, upload_id: str) -> Manifest:
    found = await parts.manifests.get(upload_id)
    assert found is not None
    return found


async def work(parts: Parts) -> None:
    """Ask for what is due, and do what follows."""
    while await parts.uploads.approving.once():
        pass
    while await parts.uploads.todo.once():
        pass


async def test_a_file_is_published_when_it_is_approved(site: Site) -> None:
    parts = site.process()
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    waiting = await manifest(parts, upload_id)
    assert (waiting.state, waiting.approving) == (State.UPLOADING, True)
    await work(parts)
    assert (await manifest(parts, upload_id)).approving, "503 decides nothing"
    site.answers["a.bin"] = 200
    site.clock.now += 60
    await work(parts)
    ready = await finish(parts, upload_id)
    assert (ready.state, ready.todo) == (State.READY, ())
    assert await parts.usage("ann") == (CELL, 0)
    assert await parts.audit() == []
    first, second = site.got
    assert first.content["type"] == "upload.approve"
    said = first.content["data"]
    assert (said["_id"], said["state"], said["size"]) == (upload_id, "approving", CELL)
    assert second.content["data"]["token"] == said["token"], "it has one for a while"


async def test_a_file_is_deleted_when_it_is_rejected(site: Site) -> None:
    parts = site.process()
    site.answers["a.bin"] = 403
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    await work(parts)
    for call in (finish(parts, upload_id), parts.uploads.resume(ANN, upload_id)):
        with pytest.raises(Rejected):
            await call
    assert await parts.pieces(upload_id) == 0
    assert await parts.usage("ann") == (0, 0)
    assert await parts.audit() == []


async def test_finish_waits_for_the_decision_of_any_process(site: Site) -> None:
    parts, elsewhere = site.process(), site.process()
    site.answers["a.bin"] = 200
    upload_id = await upload(parts)
    told = asyncio.Event()
    finishing = asyncio.create_task(
        parts.uploads.finish(
            ANN, upload_id, patience=60.0, progress=lambda _done, _total: told.set()
        )
    )
    await told.wait()
    await work(elsewhere)
    assert (await finishing).state is State.READY


@pytest.mark.parametrize("otherwise", ["publish", "reject"])
async def test_the_time_limit_decides_by_setting(site: Site, otherwise: str) -> None:
    parts = site.process(approve_timeout=3 * DAY, approve_otherwise=otherwise)
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    while site.clock.now < Clock().now + 3 * DAY:
        await work(parts)
        await parts.sweeper.sweep()
        assert (await manifest(parts, upload_id)).approving, "it does not expire meanwhile"
        site.clock.now += DAY / 2
    await work(parts)
    if otherwise == "publish":
        assert (await finish(parts, upload_id)).state is State.READY
    else:
        with pytest.raises(Rejected):
            await finish(parts, upload_id)


async def test_other_bytes_are_asked_for_anew(site: Site) -> None:
    """What was approved is not what is there now."""
    parts = site.process()
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    opened, _ = await parts.uploads.resume(ANN, upload_id)
    await parts.uploads.begin_again(opened)
    site.answers["a.bin"] = 200
    await work(parts)
    assert (await manifest(parts, upload_id)).state is State.UPLOADING
    assert site.got == []
    await parts.uploads.write(opened, 0, OTHER, crc32c(OTHER))
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    await work(parts)
    ready = await finish(parts, upload_id)
    assert ready.crc32c == crc32c(OTHER)
    assert len(site.got) == 1


async def test_a_deletion_is_possible_meanwhile(site: Site) -> None:
    parts = site.process()
    site.answers["a.bin"] = 200
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    await parts.uploads.abort(ANN, upload_id, unfinished_only=True)
    await work(parts)
    with pytest.raises(NotFound):
        await finish(parts, upload_id)
    assert site.got == []
    assert await parts.audit() == []


@pytest.mark.parametrize("verdict", [200, 403])
async def test_after_a_crash_anywhere_another_process_decides(
    site: Site, steps: Steps, verdict: int
) -> None:
    number, crashed = 0, True
    site.answers["a.bin"] = verdict
    parts = site.process()
    while crashed:
        number += 1
        upload_id = await upload(parts)
        dying = site.process(steps)
        begun = steps.taken
        steps.crash_before(number)
        with suppress(Crash, Undecided):
            with suppress(Undecided):
                await finish(dying, upload_id)
            await work(dying)
        crashed = steps.taken - begun >= number
        steps.recover()
        with suppress(Undecided, Rejected):
            await finish(parts, upload_id)
        site.clock.now += 2 * LIMITS.todo_lease_seconds
        await work(parts)
        if verdict == 200:
            assert (await finish(parts, upload_id)).state is State.READY
        else:
            with pytest.raises(Rejected):
                await finish(parts, upload_id)
            assert await parts.pieces(upload_id) == 0
        assert await parts.audit() == []
    assert number > 8


async def test_without_the_setting_what_waited_is_published(site: Site) -> None:
    parts = site.process()
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    plain = site.process(approve_url=None)
    ready = await finish(plain, upload_id)
    assert (ready.state, "approve" in ready.todo) == (State.READY, False)


async def test_nobody_reads_before(site: Site) -> None:
    parts = site.process()
    upload_id = await upload(parts)
    with pytest.raises(Undecided):
        parts.uploads.approvals.check_readable(await manifest(parts, upload_id))
    with pytest.raises(Undecided):
        await finish(parts, upload_id)
    plain = site.process(approve_url=None)
    with pytest.raises(Undecided):
        plain.uploads.approvals.check_readable(await manifest(parts, upload_id))


async def test_an_older_code_says_that_it_is_to_be_tried_again() -> None:
    """Clients that know no approval try again what is `unavailable`."""
    problem = Undecided("The file waits.").problem()
    assert (problem["code"], problem["retryable"]) == (Unavailable.code, True)
