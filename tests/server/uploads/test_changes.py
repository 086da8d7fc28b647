"""Streams of changes: what they tell, to whom, after what, and what a slow reader costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.protocol.errors import ShuttingDown, TooManyConnections
from lading.protocol.events import Event
from lading.protocol.manifest import State
from lading.server.limits import EventLimits
from lading.server.uploads.changes import Change, Changes, Stream
from lading.storage.collections.manifests import new_id
from tests.support import manifests as made_up
from tests.support.parts import TOMBSTONE_TTL, Parts

LIMITS = EventLimits(streams=4, streams_of_user=2, backlog=3, resumed=4, window=40)


def changes_of(parts: Parts, limits: EventLimits = LIMITS) -> Changes:
    return Changes(parts.storage.changes, parts.clock, limits, TOMBSTONE_TTL)


async def begun(parts: Parts, user_id: str = "ann", name: str = "a") -> str:
    """A new upload."""
    made = made_up.begun(
        size=0, id=new_id(parts.clock()), user_id=user_id, name=name, created_at=parts.clock()
    )
    await parts.manifests.create(made)
    return made.id


async def finished(parts: Parts, upload_id: str) -> None:
    await parts.manifests.finish(
        upload_id, now=parts.clock(), size=0, crc32c=0, sha256=None, mime="text/plain"
    )


async def died(parts: Parts, upload_id: str) -> None:
    now = parts.clock()
    await parts.manifests.mark_deleted(
        upload_id,
        now=now,
        becomes=State.DELETED,
        until=now + TOMBSTONE_TTL,
        only=(State.UPLOADING, State.READY),
    )


async def told(stream: Stream) -> list[tuple[str, str | None]]:
    """What waits for a reader: events with the ids that they are about."""
    return [brief(each) for each in await stream.take(0)]


def brief(change: Change) -> tuple[str, str | None]:
    return str(change.event), None if change.manifest is None else change.manifest.id


async def test_a_reader_hears_of_its_own_and_an_admin_of_all(parts: Parts) -> None:
    changes = changes_of(parts)
    before = await begun(parts)
    with changes.open("ann", "ann") as ann, changes.open(None, "root") as root:
        assert await changes.begin(ann, None) == []
        assert await changes.begin(root, None) == []
        parts.clock.now += 1
        mine, others = await begun(parts), await begun(parts, "bob")
        await finished(parts, before)
        await changes.once()
        assert set(await told(ann)) == {
            (Event.UPLOAD_CHANGED, mine),
            (Event.FILE_CHANGED, before),
        }
        assert {about for _, about in await told(root)} == {before, mine, others}
        await changes.once()
        assert await told(ann) == await told(root) == [], "each change is told once"


async def test_the_life_of_a_file_is_told(parts: Parts, elsewhere: Parts) -> None:
    changes = changes_of(parts)
    with changes.open("ann", "ann") as stream:
        await changes.begin(stream, None)

        async def next_of(upload_id: str) -> str:
            parts.clock.now += 1
            await changes.once()
            ((event, about),) = await told(stream)
            assert about == upload_id
            return event

        # Another process makes the changes.
        file, upload = await begun(elsewhere), None
        assert await next_of(file) == Event.UPLOAD_CHANGED
        await finished(elsewhere, file)
        assert await next_of(file) == Event.FILE_CHANGED
        await elsewhere.manifests.change(file, name="b", now=parts.clock())
        assert await next_of(file) == Event.FILE_CHANGED
        await elsewhere.storage.tags.create("ann", "t", parts.clock())
        await elsewhere.manifests.change(file, tags=("t",), now=parts.clock())
        assert await next_of(file) == Event.FILE_CHANGED
        await elsewhere.storage.tags.rename("ann", "t", "u", parts.clock())
        assert await next_of(file) == Event.FILE_CHANGED
        seen = await elsewhere.manifests.get(file)
        assert seen is not None
        await elsewhere.storage.derivatives.note(seen, media={"kind": "image"}, now=parts.clock())
        assert await next_of(file) == Event.FILE_CHANGED
        await died(elsewhere, file)
        assert await next_of(file) == Event.FILE_DELETED
        upload = await begun(elsewhere)
        assert await next_of(upload) == Event.UPLOAD_CHANGED
        await elsewhere.manifests.touch(upload, now=parts.clock(), expires_at=None, upload_size=5)
        await changes.once()
        assert await told(stream) == [], "bytes that arrive are no change"
        await died(elsewhere, upload)
        assert await next_of(upload) == Event.UPLOAD_ENDED


async def test_a_change_that_becomes_visible_late_is_told(parts: Parts) -> None:
    changes, early = changes_of(parts), parts.clock()
    with changes.open("ann", "ann") as stream:
        await changes.begin(stream, None)
        parts.clock.now += LIMITS.late_seconds - 1
        await changes.once()
        late = made_up.begun(id=new_id(early), user_id="ann", created_at=early)
        await parts.manifests.create(late)
        await changes.once()
        assert await told(stream) == [(Event.UPLOAD_CHANGED, late.id)]


async def test_whoever_comes_back_gets_what_it_missed(parts: Parts) -> None:
    changes = changes_of(parts)
    with changes.open("ann", "ann") as stream:
        await changes.begin(stream, None)
        position = stream.position
    await changes.once()  # nobody is there: it stops to look
    await begun(parts, "bob")
    missed = [await begun(parts) for _ in range(LIMITS.resumed)]
    with changes.open("ann", "ann") as stream:
        assert [brief(each)[1] for each in await changes.begin(stream, position)] == missed
        await begun(parts)
        assert [str(each.event) for each in await changes.begin(stream, position)] == ["resync"]


@pytest.mark.parametrize("after", [0.0, float("nan"), float("inf"), -1e300])
async def test_an_unknown_position_is_one_that_missed_everything(
    parts: Parts, after: float
) -> None:
    changes = changes_of(parts)
    with changes.open("ann", "ann") as stream:
        assert [str(each.event) for each in await changes.begin(stream, after)] == ["resync"]


async def test_whoever_was_away_for_too_long_reads_its_lists_again(parts: Parts) -> None:
    changes, position = changes_of(parts), parts.clock()
    with changes.open("ann", "ann") as stream:
        parts.clock.now += LIMITS.resume_seconds
        assert await changes.begin(stream, position) == []
        parts.clock.now += 1
        assert [str(each.event) for each in await changes.begin(stream, position)] == ["resync"]


async def test_a_slow_reader_costs_no_memory(parts: Parts) -> None:
    changes = changes_of(parts)
    with changes.open("ann", "ann") as slow:
        await changes.begin(slow, None)
        for _ in range(LIMITS.backlog):
            await begun(parts)
        await changes.once()
        assert len(await slow.take(0)) == LIMITS.backlog
        for _ in range(LIMITS.backlog + 1):
            await begun(parts)
            parts.clock.now += 1
            await changes.once()
        last = await begun(parts)
        await changes.once()
        assert await told(slow) == [(Event.RESYNC, None), (Event.UPLOAD_CHANGED, last)]


async def test_too_much_at_once_is_not_read(parts: Parts) -> None:
    changes = changes_of(parts, replace(LIMITS, window=2, backlog=100))
    with changes.open("ann", "ann") as stream:
        await changes.begin(stream, None)
        for _ in range(3):
            await begun(parts)
        await changes.once()
        assert await told(stream) == [(Event.RESYNC, None)]


async def test_streams_are_bounded(parts: Parts) -> None:
    changes = changes_of(parts)
    with changes.open("ann", "ann"), changes.open("ann", "ann"):
        with pytest.raises(TooManyConnections), changes.open("ann", "ann"):
            pass
        with (
            changes.open("bob", "bob"),
            changes.open("eve", "eve"),
            pytest.raises(TooManyConnections),
            changes.open("zoe", "zoe"),
        ):
            pass
        with changes.open("zoe", "zoe"):
            assert len(changes) == 3
    assert len(changes) == 0


async def test_the_end_of_the_server_ends_them(parts: Parts) -> None:
    changes = changes_of(parts)
    with changes.open("ann", "ann") as stream:
        changes.stop()
        assert stream.ended
        assert await stream.take(60) == []
        with pytest.raises(ShuttingDown), changes.open("bob", "bob"):
            pass


async def test_the_look_is_answered_by_an_index(parts: Parts) -> None:
    await begun(parts)
    await parts.database.prepare()
    for query in ({"changed_at": {"$gte": 0}}, {"changed_at": {"$gte": 0}, "user_id": "ann"}):
        shown = {"_id": 1, "changed_at": 1}
        found = parts.database.manifests.find(query, shown).sort("changed_at", 1).limit(5)
        plan = str((await found.explain())["queryPlanner"]["winningPlan"])
        assert "'changed'" in plan
        assert "COLLSCAN" not in plan
        assert "FETCH" not in plan
