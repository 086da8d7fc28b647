"""Replacing the bytes of a file: everyone has the old ones or the new ones, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    Incomplete,
    LadingError,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    Unavailable,
)
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.protocol.webhooks import Event
from lading.server.access.principal import Principal
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.replacements import Replacements
from lading.storage.database import Database
from tests.support.parts import ANN, BOB, CELL, TOMBSTONE_TTL, Parts, settings

OLD = b"o" * (3 * CELL)
NEW = b"n" * (5 * CELL + 7)


async def begun(parts: Parts, data: bytes, owner: Principal = ANN, **spec: Any) -> str:
    """An upload with all of its bytes; its id."""
    revision = spec.pop("revision", None)
    asked = UploadSpec(**{"name": "a.bin", "size": len(data), **spec})
    upload = await parts.uploads.create(owner, asked, revision=revision)
    for start in range(0, len(data), CELL):
        piece = data[start : start + CELL]
        await parts.uploads.write(upload, start, piece, crc32c(piece))
    return upload.manifest.id


async def stored(parts: Parts, data: bytes = OLD, **spec: Any) -> str:
    return (await parts.uploads.finish(ANN, await begun(parts, data, **spec))).id


async def content(parts: Parts, file_id: str) -> bytes:
    return await read(parts, await parts.uploads.get(ANN, file_id))


async def read(parts: Parts, manifest: Manifest) -> bytes:
    assert manifest.size is not None
    return b"".join([each async for each in parts.uploads.read(manifest, 0, manifest.size)])


async def steps(parts: Parts) -> None:
    """All that is due, also what crashed processes hold."""
    parts.clock.now += 31
    while await parts.uploads.todo.once():
        pass


async def end(parts: Parts) -> None:
    """Let the time of readers pass, and that of tombstones, and clear up."""
    await steps(parts)
    parts.clock.now += 3600
    await parts.sweeper.sweep()
    await steps(parts)
    parts.clock.now += TOMBSTONE_TTL
    await parts.sweeper.sweep()


async def test_the_file_stays_and_its_bytes_change(parts: Parts) -> None:
    parts.storage.notices.wanted = frozenset(Event)
    file_id = await stored(parts, name="x.txt", directory="d", tags=("t",))
    await parts.library.change(ANN, file_id, expires_at=parts.clock() + 10**6)
    before = await parts.uploads.get(ANN, file_id)
    upload_id = await begun(parts, NEW, name="other", directory="e", replaces=file_id)
    assert await content(parts, file_id) == OLD
    assert await parts.usage("ann") == (len(OLD), len(NEW))
    after = await parts.uploads.finish(ANN, upload_id)
    assert (after.id, after.size, after.state) == (file_id, len(NEW), State.READY)
    assert (after.name, after.directory, after.tags) == ("x.txt", "d", ("t",))
    assert (after.created_at, after.expires_at) == (before.created_at, before.expires_at)
    assert after.revision > before.revision
    assert await content(parts, file_id) == NEW
    assert [each.id for each in await parts.library.files(ANN)] == [file_id]
    assert await parts.uploads.unfinished(ANN) == []
    told = await parts.manifests.get(file_id)
    assert told is not None
    assert [each.event for each in told.notices][-1] == "file.replaced"
    again = await parts.uploads.finish(ANN, upload_id)
    assert again.id == file_id, "a repeated FINISH finds the file"
    opened, coverage = await parts.uploads.resume(ANN, upload_id)
    assert (opened.manifest.id, coverage.missing) == (file_id, [])
    with pytest.raises(NotFound):
        await parts.uploads.abort(ANN, upload_id)
    assert await parts.audit() == []
    await end(parts)
    assert await parts.manifests.get(upload_id) is None
    assert await content(parts, file_id) == NEW
    assert await parts.usage("ann") == (len(NEW), 0)
    assert await parts.recount("ann") is None
    assert await parts.audit() == []


async def test_readers_of_the_old_bytes_end(parts: Parts) -> None:
    file_id = await stored(parts)
    old = await parts.uploads.get(ANN, file_id)
    reading = parts.uploads.read(old, 0, len(OLD))
    got = await anext(reading)
    await parts.uploads.finish(ANN, await begun(parts, NEW, replaces=file_id))
    await parts.sweeper.sweep()
    await steps(parts)
    got += b"".join([each async for each in reading])
    assert got == OLD
    assert await read(parts, old) == OLD
    assert await parts.usage("ann") == (len(OLD) + len(NEW), 0), "what is there is charged"
    parts.clock.now += 3600
    await parts.sweeper.sweep()
    with pytest.raises(LadingError):
        await read(parts, old)
    assert await parts.usage("ann") == (len(NEW), 0)


async def test_time_and_again(parts: Parts) -> None:
    file_id = await stored(parts)
    for number in range(4):
        data = bytes([number]) * (CELL * number + 1)
        await parts.uploads.finish(ANN, await begun(parts, data, replaces=file_id))
        assert await content(parts, file_id) == data
    assert await parts.audit() == []
    await end(parts)
    assert await content(parts, file_id) == data
    assert await parts.usage("ann") == (len(data), 0)
    assert await parts.audit() == []
    await parts.uploads.delete(ANN, file_id)
    await end(parts)
    assert await parts.manifests.get(file_id) is None
    assert await parts.audit() == []
    assert await parts.usage("ann") == (0, 0)


async def test_into_the_trash_and_back(parts: Parts) -> None:
    file_id = await stored(parts)
    late = await begun(parts, OLD, replaces=file_id)
    await parts.uploads.finish(ANN, await begun(parts, NEW, replaces=file_id))
    await parts.library.trash.put(ANN, file_id)
    with pytest.raises(NotFound, match="cannot be replaced"):
        await parts.uploads.finish(ANN, late)
    await end(parts)
    assert await parts.audit() == []
    await parts.library.trash.restore(ANN, file_id)
    assert await content(parts, file_id) == NEW
    assert await parts.usage("ann") == (len(NEW), 0)


async def test_who_may_replace_what(parts: Parts, database: Database) -> None:
    file_id = await stored(parts)
    with pytest.raises(NotFound):
        await begun(parts, NEW, BOB, replaces=file_id)
    with pytest.raises(NotFound):
        await begun(parts, NEW, replaces="0" * 24)
    unfinished = await begun(parts, NEW)
    with pytest.raises(Incomplete):
        await begun(parts, NEW, replaces=unfinished)
    by_admin = await begun(parts, NEW, Principal("root", admin=True), replaces=file_id)
    upload = await parts.uploads.get(ANN, by_admin)
    assert upload.user_id == "ann", "the owner pays"
    narrow = Parts(database, parts.clock, settings(default_quota=3 * len(NEW)))
    with pytest.raises(QuotaExceeded):
        await begun(narrow, NEW, replaces=file_id)


@pytest.mark.parametrize("change", ["name", "bytes", "trash"])
async def test_a_file_that_changed_since_is_left_alone(parts: Parts, change: str) -> None:
    file_id = await stored(parts)
    seen = await parts.uploads.get(ANN, file_id)
    upload_id = await begun(parts, NEW, replaces=file_id, revision=seen.revision)
    data = OLD
    wanted: type[LadingError] = PreconditionFailed
    if change == "name":
        await parts.library.change(ANN, file_id, name="other")
    elif change == "bytes":
        data = b"between"
        await parts.uploads.finish(ANN, await begun(parts, data, replaces=file_id))
    else:
        await parts.library.trash.put(ANN, file_id)
        wanted = NotFound
    with pytest.raises(wanted):
        await parts.uploads.finish(ANN, upload_id)
    if change == "trash":
        await parts.library.trash.restore(ANN, file_id)
    assert await content(parts, file_id) == data
    await end(parts)
    assert await parts.usage("ann") == (len(data), 0)
    assert await parts.audit() == []


async def test_two_at_the_same_time_have_an_order(parts: Parts, elsewhere: Parts) -> None:
    for _ in range(3):
        file_id = await stored(parts)
        one, two = b"1" * (CELL + 1), b"2" * (2 * CELL + 2)
        first = await begun(parts, one, replaces=file_id)
        second = await begun(elsewhere, two, replaces=file_id)
        both = [parts.uploads.finish(ANN, first), elsewhere.uploads.finish(ANN, second)]
        found = await asyncio.gather(*both)
        assert {each.id for each in found} == {file_id}
        assert await content(parts, file_id) in {one, two}
        assert await parts.audit() == []
        await end(parts)
        assert await content(parts, file_id) in {one, two}
        assert await parts.audit() == []
        await parts.uploads.delete(ANN, file_id)
    await end(parts)
    assert await parts.usage("ann") == (0, 0)
    assert await parts.recount("ann") is None


CRASHES: dict[str, tuple[type, str, bool]] = {
    "before taking over": (Replacements, "take_over", False),
    "after taking over": (Replacements, "take_over", True),
    "before handing over": (Replacements, "hand_over", False),
    "after handing over": (Replacements, "hand_over", True),
    "after concluding": (Manifests, "conclude", True),
}


class Crash(BaseException):
    """A process ends here."""


def crash(patch: pytest.MonkeyPatch, owner: type, name: str, *, done: bool) -> None:
    """Let one call end its process, before or after it has done its work."""
    usual = getattr(owner, name)

    async def ending(*args: Any, **kwargs: Any) -> None:
        if done:
            await usual(*args, **kwargs)
        raise Crash

    patch.setattr(owner, name, ending)


@pytest.mark.parametrize("then", ["goes on", "another replaces", "deleted", "trashed"])
@pytest.mark.parametrize("where", CRASHES)
async def test_a_crash_leaves_the_old_or_the_new(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch, where: str, then: str
) -> None:
    file_id = await stored(parts)
    upload_id = await begun(parts, NEW, replaces=file_id)
    owner, name, done = CRASHES[where]
    with monkeypatch.context() as patch:
        crash(patch, owner, name, done=done)
        with pytest.raises(Crash):
            await parts.uploads.finish(ANN, upload_id)
    data = OLD if where == "before taking over" else NEW
    assert await content(elsewhere, file_id) == data
    assert await elsewhere.recount("ann") is None
    assert await elsewhere.audit() == []
    last: bytes | None = NEW
    if then == "another replaces":
        last = b"third"
        third = await begun(elsewhere, last, replaces=file_id)
        await elsewhere.uploads.finish(ANN, third)
        assert await content(elsewhere, file_id) == last, "and not what the crash left, later"
    elif then == "deleted":
        last = None
        await elsewhere.uploads.delete(ANN, file_id)
    elif then == "trashed":
        await elsewhere.library.trash.put(ANN, file_id)
        last = data
    await end(elsewhere)
    if then == "trashed":
        await elsewhere.library.trash.restore(ANN, file_id)
    if last is not None:
        assert await content(elsewhere, file_id) == last
    await end(elsewhere)
    assert await elsewhere.recount("ann") is None
    assert await elsewhere.usage("ann") == (len(last or b""), 0)
    assert await elsewhere.audit() == []
    states = [each.state async for each in elsewhere.manifests.every()]
    assert states == ([] if last is None else [State.READY])


async def test_a_process_that_was_paused_does_nothing_again(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stored(parts)
    upload_id = await begun(parts, NEW, replaces=file_id)
    take_over = Replacements.take_over

    async def paused(*args: Any, **kwargs: Any) -> Manifest | None:
        monkeypatch.setattr(Replacements, "take_over", take_over)
        await steps(elsewhere)  # its claim ends, and another process does it
        third = await begun(elsewhere, b"third", replaces=file_id)
        await elsewhere.uploads.finish(ANN, third)
        return await take_over(*args, **kwargs)

    monkeypatch.setattr(Replacements, "take_over", paused)
    await parts.uploads.finish(ANN, upload_id)
    assert await content(parts, file_id) == b"third"
    await end(parts)
    assert await content(parts, file_id) == b"third"
    assert await parts.usage("ann") == (len(b"third"), 0)
    assert await parts.audit() == []


async def test_a_recount_between_finds_no_drift(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stored(parts)
    upload_id = await begun(parts, NEW, replaces=file_id)
    found: list[Any] = []
    hand_over = Replacements.hand_over

    async def counted(*args: Any, **kwargs: Any) -> None:
        found.append(await parts.recount("ann"))
        await hand_over(*args, **kwargs)
        found.append(await parts.recount("ann"))

    monkeypatch.setattr(Replacements, "hand_over", counted)
    await parts.uploads.finish(ANN, upload_id)
    found.append(await parts.recount("ann"))
    assert found == [None] * 3
    assert await parts.usage("ann") == (len(OLD) + len(NEW), 0)


async def test_a_recount_that_reads_the_upload_before_and_the_file_after_finds_no_drift(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB reads documents in the order of an index, and others change meanwhile."""
    file_id = await stored(parts)
    upload_id = await begun(parts, NEW, replaces=file_id)
    found: list[Any] = []
    hand_over = Replacements.hand_over

    async def counted(*args: Any, **kwargs: Any) -> None:
        before = await parts.manifests.get(upload_id)

        async def charged(_self: Manifests, _user_id: str) -> AsyncIterator[Manifest]:
            assert before is not None
            yield before
            await hand_over(*args, **kwargs)
            await parts.manifests.conclude(file_id, upload_id)
            yield await parts.uploads.get(ANN, file_id)

        with monkeypatch.context() as patch:
            patch.setattr(Manifests, "charged", charged)
            found.append(await parts.recount("ann"))
        await hand_over(*args, **kwargs)  # a recount that gave up has not come so far

    monkeypatch.setattr(Replacements, "hand_over", counted)
    await parts.uploads.finish(ANN, upload_id)
    assert found == [None]
    assert await parts.usage("ann") == (len(OLD) + len(NEW), 0)


async def test_pieces_that_come_again_do_no_harm(parts: Parts, elsewhere: Parts) -> None:
    file_id = await stored(parts)
    upload_id = await begun(parts, NEW, replaces=file_id)
    open_elsewhere = await elsewhere.uploads.join(ANN, upload_id)
    await parts.uploads.finish(ANN, upload_id)
    elsewhere.clock.now += 10
    piece = NEW[:CELL]
    await elsewhere.uploads.write(open_elsewhere, 0, piece, crc32c(piece))
    open_elsewhere.manifest = await begun_manifest(parts, upload_id, open_elsewhere.manifest)
    await parts.library.trash.put(ANN, file_id)
    with suppress(LadingError):
        await elsewhere.uploads.write(open_elsewhere, 0, piece, crc32c(piece))
    await parts.library.trash.restore(ANN, file_id)
    assert await content(parts, file_id) == NEW
    assert await parts.audit() == []


async def begun_manifest(parts: Parts, upload_id: str, now: Manifest) -> Manifest:
    """An upload as a process knows it that has not looked since."""
    found = await parts.manifests.get(upload_id)
    assert found is not None
    assert now.id != upload_id
    return replace(
        now, id=upload_id, kept_as=None, state=State.UPLOADING, replaces=now.id, upload_end=False
    )


async def test_a_step_that_cannot_reach_the_database_is_tried_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await stored(parts)
    upload_id = await begun(parts, NEW, replaces=file_id)

    async def down(*_: object, **__: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(Replacements, "take_over", down)
        with pytest.raises(Unavailable):
            await parts.uploads.finish(ANN, upload_id)
    with pytest.raises(Unavailable):
        await parts.uploads.get(ANN, upload_id)
    assert await content(parts, file_id) == OLD
    assert (await parts.uploads.finish(ANN, upload_id)).id == file_id
    assert await content(parts, file_id) == NEW
