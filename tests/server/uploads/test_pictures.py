"""Pictures of files: made after publication or on demand, charged exactly, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lading.imaging.ladder import Variant
from lading.imaging.limits import USUAL_LIMITS
from lading.imaging.made import NotHere
from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    NotFound,
    NotReady,
    QuotaExceeded,
    StorageFull,
    Unavailable,
    UnprocessableImage,
)
from lading.protocol.kinds import Kind
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.server.uploads.derive import MOST_TRIES
from lading.server.uploads.rebuild import Rebuild
from lading.storage.blobs.base import LARGEST_PICTURE
from lading.storage.database import Database
from lading.storage.homes import MONGO, path_of
from tests.support.clock import Clock
from tests.support.maker import FakeMaker
from tests.support.parts import ANN, TOMBSTONE_TTL, Parts, settings
from tests.support.steps import Crash, Steps

LIMITS = UploadLimits(picture_wait=5.0, todo_poll_seconds=0.01)
LEASE = LIMITS.todo_lease_seconds
DATA = b"image of a ship".ljust(2000, b"~")
USUAL = {"1", "2", "3", "4", "5", "6"}
AVATAR = Kind(name="avatar", crop="square", sizes=(1, 3))


def lengths(*qualities: int) -> int:
    """The bytes of these pictures together, as the fake makes them of DATA."""
    made = FakeMaker()
    return sum(len(made.picture(DATA[:8], Variant(each)).data) for each in qualities)


ALL = lengths(1, 2, 3, 4, 5, 6)


def process(
    database: Database,
    maker: FakeMaker | None = None,
    clock: Clock | None = None,
    limits: UploadLimits = LIMITS,
    **chosen: Any,
) -> Parts:
    return Parts(database, clock or Clock(), settings(**chosen), limits, maker=maker)


@pytest.fixture(params=["mongo", "file"])
async def parts(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Parts]:
    """A process that makes pictures, with files in MongoDB or in a directory."""
    home = "mongo" if request.param == "mongo" else f"file://{tmp_path}/home"
    found = process(database, FakeMaker(), blobs=home, kinds=(AVATAR,))
    yield found
    await found.uploads.settle()
    await found.storage.blobs.close()


def maker_of(parts: Parts) -> FakeMaker:
    assert isinstance(parts.maker, FakeMaker)
    return parts.maker


async def file(parts: Parts, data: bytes = DATA, mime: str = "image/jpeg", **more: Any) -> Manifest:
    spec = UploadSpec(name="a.jpg", size=len(data), mime_type=mime, **more)
    opened = await parts.uploads.create(ANN, spec)
    for start in range(0, len(data), 1024):
        cut = data[start : start + 1024]
        await parts.uploads.write(opened, start, cut, crc32c(cut))
    return await parts.uploads.finish(ANN, opened.manifest.id)


async def now(parts: Parts, manifest: Manifest) -> Manifest:
    found = await parts.manifests.get(manifest.id)
    assert found is not None
    return found


async def derived(parts: Parts, **more: Any) -> Manifest:
    """A file whose pictures are made."""
    found = await file(parts, **more)
    assert await parts.uploads.pictures.todo.once() == 1
    return await now(parts, found)


async def read(parts: Parts, manifest: Manifest, name: str) -> bytes:
    copy, _ = await parts.uploads.pictures.read(manifest, name)
    return copy.data


async def check(parts: Parts, manifest: Manifest) -> None:
    """Usage is exact, nothing is reserved, nothing is wrong with what is stored."""
    current = await now(parts, manifest)
    assert await parts.usage("ann") == (current.charged, 0)
    assert current.picture_debt is None
    assert await parts.audit() == []


def test_no_picture_is_made_that_a_home_cannot_keep() -> None:
    assert USUAL_LIMITS.picture_bytes == LARGEST_PICTURE


# -- after publication


async def test_a_published_image_gets_six_pictures_and_its_facts(parts: Parts) -> None:
    manifest = await file(parts)
    assert manifest.todo[-1:] == ("derive",)
    assert await parts.uploads.pictures.todo.once() == 1
    current = await now(parts, manifest)
    assert set(current.pictures) == USUAL
    assert current.media is not None
    assert (current.media["width"], current.media["placeholder"]) == (4000, b"tiny")
    assert current.todo == ()
    assert (current.pictures["6"].width, current.pictures["6"].height) == (1080, 810)
    for name in USUAL:
        expected = maker_of(parts).picture(DATA[:8], Variant(int(name))).data
        assert await read(parts, current, name) == expected
    assert current.charged == len(DATA) + ALL
    await check(parts, manifest)
    assert await parts.uploads.pictures.todo.once() == 0
    assert maker_of(parts).calls == [tuple("123456")]


async def test_a_kind_says_which_pictures_and_how_they_are_cropped(parts: Parts) -> None:
    manifest = await derived(parts, kind="avatar")
    assert maker_of(parts).calls == [("1square", "3square")]
    assert set(manifest.pictures) == {"1", "3"}
    for crop in (None, "square"):
        _, name = await parts.uploads.pictures.find(manifest, 3, crop)
        assert name == "3"
    with pytest.raises(NotFound, match="have the qualities 1, 3"):
        await parts.uploads.pictures.find(manifest, 2)
    await check(parts, manifest)


@pytest.mark.parametrize("mime", ["text/plain", "application/pdf", "image/svg+xml"])
async def test_other_files_have_none(parts: Parts, mime: str) -> None:
    manifest = await file(parts, b"plain text", mime)
    assert "derive" not in manifest.todo
    with pytest.raises(NotFound, match="No images are made of"):
        await parts.uploads.pictures.find(manifest, 3)
    assert maker_of(parts).calls == []


@pytest.mark.parametrize(("data", "media"), [(b"text, no image", False), (b"mute sound", True)])
async def test_what_holds_no_picture_is_not_tried_again(
    parts: Parts, data: bytes, media: bool
) -> None:
    manifest = await derived(parts, data=data, mime="audio/x-unheard-of")
    assert (manifest.media is not None) is media
    for _ in range(2):
        with pytest.raises(NotFound, match="no picture in this file"):
            await parts.uploads.pictures.find(manifest, 3)
    assert len(maker_of(parts).calls) == 1
    await check(parts, manifest)


async def test_what_is_impossible_is_told_and_not_tried_again(parts: Parts) -> None:
    maker_of(parts).failures = [UnprocessableImage("It has 900 MP.")]
    manifest = await derived(parts)
    assert manifest.todo == ()
    for quality in (1, 6):
        with pytest.raises(UnprocessableImage, match="It has 900 MP"):
            await parts.uploads.pictures.find(manifest, quality)
    assert len(maker_of(parts).calls) == 1
    await check(parts, manifest)


async def test_what_failed_is_tried_again_and_in_the_end_given_up(parts: Parts) -> None:
    maker_of(parts).failures = [Unavailable("The child was killed.") for _ in range(50)]
    manifest = await file(parts)
    for _ in range(2 * MOST_TRIES):
        parts.clock.now += LIMITS.todo_longest_pause
        await parts.uploads.pictures.todo.once()
    assert len(maker_of(parts).calls) == MOST_TRIES
    current = await now(parts, manifest)
    assert current.todo == ()
    with pytest.raises(UnprocessableImage, match="took too long, or was killed each time"):
        await parts.uploads.pictures.find(current, 1)


async def test_bytes_that_cannot_be_read_now_are_no_fault_of_the_picture(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = await file(parts)

    async def broken(*_: object) -> None:
        raise Unavailable("The bucket does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(type(parts.storage.contents), "read", broken)
        for _ in range(2 * MOST_TRIES):
            parts.clock.now += LIMITS.todo_longest_pause
            await parts.uploads.pictures.todo.once()
    parts.clock.now += LIMITS.todo_longest_pause
    await parts.uploads.pictures.todo.once()
    assert set((await now(parts, manifest)).pictures) == USUAL


async def try_often(parts: Parts) -> None:
    """More often than a file is tried."""
    for _ in range(2 * MOST_TRIES):
        parts.clock.now += LIMITS.todo_longest_pause
        await parts.uploads.pictures.todo.once()


async def test_where_no_child_starts_no_file_is_given_up(parts: Parts) -> None:
    manifest = await file(parts)
    maker_of(parts).absent = True
    await try_often(parts)
    assert len(maker_of(parts).calls) > MOST_TRIES
    maker_of(parts).absent = False
    await try_often(parts)
    assert set((await now(parts, manifest)).pictures) == USUAL
    await check(parts, manifest)


async def test_where_its_decoder_is_absent_a_file_is_left_to_others(parts: Parts) -> None:
    maker_of(parts).failures = [NotHere("no films") for _ in range(2)]
    manifest = await derived(parts, mime="video/mp4")
    assert (manifest.todo, manifest.no_picture, manifest.picture_tries) == ((), None, 0)
    with pytest.raises(NotReady):
        await parts.uploads.pictures.find(manifest, 3)
    current, name = await parts.uploads.pictures.find(manifest, 3)
    assert name in current.pictures
    await check(parts, current)


async def test_pictures_that_cannot_be_stored_now_are_no_fault_of_the_file(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = await file(parts)

    async def full(*_: object) -> None:
        raise StorageFull("The disk is full.", free=0)

    with monkeypatch.context() as patch:
        patch.setattr(type(parts.blobs[manifest.blobs]), "put_picture", full)
        await try_often(parts)
    assert len(maker_of(parts).calls) > MOST_TRIES
    await try_often(parts)
    assert set((await now(parts, manifest)).pictures) == USUAL
    await check(parts, manifest)


async def test_a_server_that_is_stopped_again_and_again_gives_no_file_up(
    database: Database,
) -> None:
    clock = Clock()
    manifest = await file(process(database, None, clock, imaging=0))
    for _ in range(MOST_TRIES + 1):
        parts = process(database, FakeMaker(), clock)
        maker_of(parts).opened.clear()
        serving = asyncio.create_task(parts.uploads.pictures.todo.run())
        async with asyncio.timeout(10):
            await maker_of(parts).begun.wait()
        assert (await now(parts, manifest)).picture_tries == 1
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await parts.uploads.settle()
        assert (await now(parts, manifest)).picture_tries == 0
        clock.now += 2 * LEASE


async def _until_renewed(parts: Parts) -> None:
    """Look until the claim of all that is to be derived lasts for half of its time again."""
    while True:
        if not await parts.storage.outbox.with_todo(["derive"], parts.clock.now + LEASE / 2, 10):
            return
        await asyncio.sleep(0.005)


async def test_a_claim_is_renewed_while_a_picture_is_made(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lading.server.uploads.derive.CHECK_SECONDS", 0.01)
    manifest = await file(parts)
    maker_of(parts).opened.clear()
    working = asyncio.create_task(parts.uploads.pictures.todo.once())
    async with asyncio.timeout(10):
        await maker_of(parts).begun.wait()
        for _ in range(5):
            parts.clock.now += LEASE * 0.6
            await _until_renewed(parts)
        maker_of(parts).opened.set()
        assert await working == 1
    await check(parts, manifest)


# -- on demand


async def test_all_who_ask_at_once_wait_for_one_making(parts: Parts) -> None:
    manifest = await file(parts)
    found = await asyncio.gather(
        *(parts.uploads.pictures.find(manifest, quality) for quality in (3, 3, 6, 1, 3))
    )
    assert [name for _, name in found] == ["3", "3", "6", "1", "3"]
    assert maker_of(parts).calls == [tuple("123456")]
    assert await parts.uploads.pictures.todo.once() == 0
    await check(parts, manifest)


async def test_another_process_waits_for_it_too(database: Database) -> None:
    clock = Clock()
    first, second = (process(database, FakeMaker(), clock) for _ in range(2))
    manifest = await file(first)
    maker_of(first).opened.clear()
    asking = asyncio.create_task(first.uploads.pictures.find(manifest, 4))
    async with asyncio.timeout(10):
        await maker_of(first).begun.wait()
        other = asyncio.create_task(second.uploads.pictures.find(manifest, 4))
        await asyncio.sleep(0.05)
        maker_of(first).opened.set()
        for found, _ in await asyncio.gather(asking, other):
            assert set(found.pictures) == USUAL
    assert maker_of(second).calls == []
    for each in (first, second):
        await each.uploads.settle()


async def test_what_takes_long_is_to_be_asked_for_again(database: Database) -> None:
    parts = process(database, FakeMaker(), limits=replace(LIMITS, picture_wait=0.02))
    manifest = await file(parts)
    maker_of(parts).opened.clear()
    for _ in range(3):
        with pytest.raises(NotReady):
            await parts.uploads.pictures.find(manifest, 4)
    maker_of(parts).opened.set()
    async with asyncio.timeout(10):
        while True:
            with suppress(NotReady):
                await parts.uploads.pictures.find(await now(parts, manifest), 4)
                break
    assert len(maker_of(parts).calls) == 1
    await parts.uploads.settle()


async def test_a_square_is_made_only_when_it_is_asked_for(parts: Parts) -> None:
    manifest = await derived(parts)
    found, name = await parts.uploads.pictures.find(manifest, 4, "square")
    assert name == "4-square"
    assert set(found.pictures) == {*USUAL, "4-square"}
    assert (found.pictures[name].width, found.pictures[name].height) == (320, 320)
    assert maker_of(parts).calls == [tuple("123456"), ("4square",)]
    await check(parts, manifest)


async def test_an_old_file_without_a_step_gets_its_pictures_when_asked(parts: Parts) -> None:
    manifest = await file(parts)
    fields = ("todo", "media", "pictures", "no_picture", "picture_tries", "picture_debt")
    await parts.database.manifests.update_one({}, {"$unset": dict.fromkeys(fields, "")})
    manifest = await now(parts, manifest)
    assert manifest.todo == ()
    found, _ = await parts.uploads.pictures.find(manifest, 2)
    assert set(found.pictures) == USUAL
    await check(parts, manifest)


async def test_damaged_and_lost_pictures_are_made_again(parts: Parts) -> None:
    manifest = await derived(parts)
    await parts.blobs[manifest.blobs].put_picture(manifest.id, "5", b"something else")
    assert [each.kind for each in await parts.audit()] == ["damaged"]
    expected = maker_of(parts).picture(DATA[:8], Variant(5)).data
    answers = await asyncio.gather(*(read(parts, manifest, "5") for _ in range(3)))
    assert answers == [expected] * 3
    assert maker_of(parts).calls[1:] == [("5",)]
    await check(parts, manifest)


async def test_all_who_are_sent_a_picture_at_once_share_one_copy(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = await derived(parts)
    driver = parts.blobs[manifest.blobs]
    picture, times = driver.picture, 0

    async def counted(upload_id: str, name: str) -> bytes | None:
        nonlocal times
        times += 1
        return await picture(upload_id, name)

    monkeypatch.setattr(driver, "picture", counted)
    read = parts.uploads.pictures.read
    found = await asyncio.gather(*(read(manifest, "6") for _ in range(20)))
    assert len({id(copy) for copy, _ in found}) == times == 1
    del found
    await asyncio.sleep(0)  # this task held what it has waited for
    await read(manifest, "6")
    assert times == 2, "it is kept no longer than it is sent"


async def test_a_process_that_makes_none_leaves_it_to_others(
    parts: Parts, database: Database
) -> None:
    chosen: dict[str, Any] = {"blobs": parts.chosen.blobs, "imaging": 0}
    hasty, without = (
        process(database, None, parts.clock, replace(LIMITS, picture_wait=seconds), **chosen)
        for seconds in (0.01, 60.0)
    )
    manifest = await file(without)
    assert manifest.todo[-1:] == ("derive",)
    with pytest.raises(NotReady):
        await hasty.uploads.pictures.find(manifest, 3)
    assert await without.uploads.todo.once() == 0, "its other workers are not in the way"
    asking = asyncio.create_task(without.uploads.pictures.find(manifest, 3))
    assert await parts.uploads.pictures.todo.once() == 1
    found, name = await asking
    assert await read(without, found, name)
    with pytest.raises(NotFound, match="makes no images"):
        await without.uploads.pictures.find(found, 3, "square")


async def test_other_steps_are_not_held_up_by_files_that_wait_for_their_pictures(
    database: Database,
) -> None:
    without = process(database, None, imaging=0)
    for _ in range(30):
        await file(without)
    upload = (await without.uploads.create(ANN, UploadSpec(name="b", size=10))).manifest
    await without.manifests.mark_deleted(
        upload.id,
        now=without.clock(),
        becomes=State.DELETED,
        until=without.clock() + TOMBSTONE_TTL,
        only=(State.UPLOADING,),
    )
    assert await without.uploads.todo.once() == 1


@pytest.mark.parametrize("read", [True, False])
async def test_pictures_do_not_hide_that_their_file_is_gone(parts: Parts, read: bool) -> None:
    manifest = await derived(parts)
    if manifest.blobs == MONGO:
        await parts.chunks.strip(manifest.id, 10)
    else:
        folder = Path(path_of(manifest.blobs), "private", manifest.id[-2:], manifest.id)
        folder.joinpath("0").unlink()
    found = [each async for each in parts.janitor.auditor().findings(read=read)]
    assert [(each.kind, each.id) for each in found] == [("missing", manifest.id)]


# -- the quota


@pytest.mark.parametrize("room", [0, 9, 40, 400, ALL - 1, ALL])
async def test_what_does_not_fit_the_quota_is_not_made(parts: Parts, room: int) -> None:
    manifest = await file(parts)
    await parts.quotas.set_quota("ann", len(DATA) + room)
    await parts.uploads.pictures.todo.once()
    current = await now(parts, manifest)
    fitting = [each for each in range(1, 7) if lengths(*range(1, each + 1)) <= room]
    assert set(current.pictures) == {str(each) for each in fitting}
    assert current.media is not None
    await check(parts, manifest)
    if room < ALL:
        with pytest.raises(QuotaExceeded) as told:
            await parts.uploads.pictures.find(current, 6)
        assert told.value.extra == {}, "who asks need not be the owner"
        await check(parts, manifest)
        await parts.quotas.set_quota("ann", None)
        found, _ = await parts.uploads.pictures.find(current, 6)
        assert set(found.pictures) == USUAL
        await check(parts, manifest)


async def test_deleting_a_file_frees_what_its_pictures_took(parts: Parts) -> None:
    manifest = await derived(parts)
    await parts.uploads.delete(ANN, manifest.id)
    assert await parts.usage("ann") == (0, 0)
    assert await parts.blobs[manifest.blobs].picture(manifest.id, "3") is None
    assert await parts.audit() == []


async def test_a_file_that_dies_while_its_pictures_are_made_leaves_nothing(parts: Parts) -> None:
    manifest = await file(parts)
    maker_of(parts).opened.clear()
    working = asyncio.create_task(parts.uploads.pictures.todo.once())
    async with asyncio.timeout(10):
        await maker_of(parts).begun.wait()
    await parts.uploads.delete(ANN, manifest.id)
    maker_of(parts).opened.set()
    await working
    await parts.recount("ann")
    assert await parts.usage("ann") == (0, 0)
    parts.clock.now += TOMBSTONE_TTL
    await parts.sweeper.sweep()
    assert await parts.audit() == []
    assert await parts.blobs[manifest.blobs].picture(manifest.id, "3") is None


# -- crashes


async def test_after_a_crash_anywhere_pictures_are_made_and_charged_exactly(
    database: Database, steps: Steps
) -> None:
    number, crashed = 0, True
    parts = process(database, FakeMaker(), kinds=(AVATAR,))
    while crashed:
        number += 1
        manifest = await file(parts, kind="avatar")
        crashing = process(steps, FakeMaker(), parts.clock, kinds=(AVATAR,))
        steps.crash_before(number)
        with suppress(Crash):
            await crashing.uploads.pictures.todo.once()
        steps.recover()
        crashed = (await now(parts, manifest)).todo != ()
        for _ in range(3):
            parts.clock.now += LIMITS.todo_longest_pause
            await parts.uploads.pictures.todo.once()
        current = await now(parts, manifest)
        assert (set(current.pictures), current.todo) == ({"1", "3"}, ())
        await check(parts, manifest)
        await parts.uploads.delete(ANN, manifest.id)
        assert await parts.usage("ann") == (0, 0)
    assert number > 10


async def test_after_a_crash_anywhere_a_deletion_frees_all(
    database: Database, steps: Steps
) -> None:
    """The file is deleted before anybody repeats the step."""
    number, crashed = 0, True
    parts = process(database, FakeMaker(), kinds=(AVATAR,))
    while crashed:
        number += 1
        manifest = await file(parts, kind="avatar")
        crashing = process(steps, FakeMaker(), parts.clock, kinds=(AVATAR,))
        steps.crash_before(number)
        with suppress(Crash):
            await crashing.uploads.pictures.todo.once()
        steps.recover()
        crashed = (await now(parts, manifest)).todo != ()
        assert await parts.recount("ann") is None
        await parts.uploads.delete(ANN, manifest.id)
        assert await parts.usage("ann") == (0, 0)
        assert await parts.audit() == []
    assert number > 10


async def test_answers_that_are_lost_change_nothing(steps: Steps) -> None:
    parts = process(steps, FakeMaker(), kinds=(AVATAR,))
    manifest = await file(parts, kind="avatar")
    claim = await parts.storage.outbox.claim(
        manifest.id, now=parts.clock(), until=parts.clock() + LEASE
    )
    assert claim is not None
    steps.lose_every_write()
    assert await parts.uploads.pictures.todo.work(claim)
    steps.recover()
    assert set((await now(parts, manifest)).pictures) == {"1", "3"}
    await check(parts, manifest)


async def test_who_was_paused_past_its_claim_changes_nothing(
    database: Database, steps: Steps
) -> None:
    """Another process makes the pictures between any two operations of the first."""
    number, stepped = 0, True
    parts = process(database, FakeMaker(), kinds=(AVATAR,))
    while stepped:
        number += 1
        manifest = await file(parts, kind="avatar")
        slow = process(steps, FakeMaker(), parts.clock, kinds=(AVATAR,))
        stepped = False

        async def overtake() -> None:
            nonlocal stepped
            stepped = True
            parts.clock.now += 2 * LEASE
            await parts.uploads.pictures.todo.once()

        steps.before(number, overtake)
        await slow.uploads.pictures.todo.once()
        steps.recover()
        parts.clock.now += LIMITS.todo_longest_pause
        await parts.uploads.pictures.todo.once()
        await parts.recount("ann")
        current = await now(parts, manifest)
        assert (set(current.pictures), current.todo) == ({"1", "3"}, ())
        await check(parts, manifest)
        await parts.uploads.delete(ANN, manifest.id)
        assert await parts.usage("ann") == (0, 0)
    assert number > 10


async def test_a_deletion_between_any_two_operations_frees_all(
    database: Database, steps: Steps
) -> None:
    number, stepped = 0, True
    parts = process(database, FakeMaker(), kinds=(AVATAR,))
    while stepped:
        number += 1
        manifest = await file(parts, kind="avatar")
        slow = process(steps, FakeMaker(), parts.clock, kinds=(AVATAR,))
        stepped = False

        async def delete(manifest: Manifest = manifest) -> None:
            nonlocal stepped
            stepped = True
            await parts.uploads.delete(ANN, manifest.id)

        steps.before(number, delete)
        await slow.uploads.pictures.todo.once()
        steps.recover()
        if not stepped:
            await parts.uploads.delete(ANN, manifest.id)
        await parts.recount("ann")
        assert await parts.usage("ann") == (0, 0)
        parts.clock.now += TOMBSTONE_TTL
        await parts.sweeper.sweep()
        assert await parts.audit() == []
    assert number > 10


# -- from home to home


async def test_a_move_takes_pictures_along_and_makes_lost_ones_again(
    database: Database, tmp_path: Path
) -> None:
    here = process(database, FakeMaker())
    manifest = await derived(here)
    await here.uploads.pictures.find(manifest, 4, "square")
    home = f"file://{tmp_path}/home"
    there = process(database, FakeMaker(), here.clock, blobs=home)
    for lost, parts in ((None, there), ("5", here)):
        if lost is not None:
            (tmp_path / "home" / "private" / manifest.id[-2:] / manifest.id / lost).unlink()
        seen = await now(parts, manifest)
        target = parts.chosen.blobs
        claim = await parts.storage.outbox.begin_move(
            seen, target, now=parts.clock(), claimed_until=parts.clock() + LEASE
        )
        assert claim is not None
        assert await parts.uploads.todo.work(claim)
        moved = await now(parts, manifest)
        assert (moved.blobs, set(moved.pictures)) == (target, {*USUAL, "4-square"})
        assert await parts.blobs[seen.blobs].picture(manifest.id, "3") is None
        for name in moved.pictures:
            assert await read(parts, moved, name)
        assert maker_of(parts).calls[-1:] == ([("5",)] if lost else [])
        await check(parts, manifest)
    await there.storage.blobs.close()


# -- made again


class Nobody:
    """Watches nothing."""

    def begun(self, files: int) -> None: ...

    def ended(self, manifest: Manifest, *, made: bool) -> None: ...


def rebuild(parts: Parts, *, missing: bool) -> Rebuild:
    todo = parts.uploads.rebuilding(maker_of(parts), afresh=not missing)
    kinds = parts.uploads.kinds
    return Rebuild(parts.storage, kinds, todo, parts.limits, Nobody(), missing=missing, at_once=2)


async def test_rebuilding_makes_all_pictures_again(parts: Parts) -> None:
    manifest, other = await derived(parts), await derived(parts, data=b"other image")
    await parts.uploads.pictures.find(manifest, 4, "square")
    await file(parts, b"plain", "text/plain")
    for version in (b"a longer version", b"v3"):
        maker_of(parts).version = version
        done = await rebuild(parts, missing=False).run()
        assert (done.files, done.failed, done.absent) == (2, [], [])
        for each, head in ((manifest, DATA[:8]), (other, b"other im")):
            current = await now(parts, each)
            expected = maker_of(parts).picture(head, Variant(3)).data
            assert await read(parts, current, "3") == expected
            assert current.todo == ()
        assert set((await now(parts, manifest)).pictures) == {*USUAL, "4-square"}
        assert await parts.audit() == []
        both = [await now(parts, each) for each in (manifest, other)]
        assert await parts.usage("ann") == (sum(each.charged for each in both) + 5, 0)


async def test_only_what_is_missing_is_made(parts: Parts) -> None:
    whole, lacks = await derived(parts), await file(parts)
    broken = await file(parts, b"broken image")
    await parts.database.manifests.update_many({"todo": "derive"}, {"$set": {"todo": []}})
    maker_of(parts).failures = [UnprocessableImage("broken")]
    done = await rebuild(parts, missing=False).run([broken.id])
    assert (done.files, done.unprocessable) == (1, [broken.id])
    maker_of(parts).calls.clear()
    dry = await rebuild(parts, missing=True).run(dry_run=True)
    assert dry.files == 1
    done = await rebuild(parts, missing=True).run()
    assert (done.files, done.unprocessable) == (1, [])
    assert maker_of(parts).calls == [tuple("123456")]
    assert set((await now(parts, lacks)).pictures) == USUAL
    again = await rebuild(parts, missing=False).run([broken.id, whole.id, "0" * 24])
    assert (again.files, again.absent) == (2, ["0" * 24])
    assert set((await now(parts, broken)).pictures) == USUAL, "it can be read by now"
