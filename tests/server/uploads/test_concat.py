"""A final upload is a step of the outbox: it goes on where it stands, whoever does it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from lading.protocol.errors import Forbidden, InvalidArgument, NotFound, QuotaExceeded
from lading.protocol.kinds import Kind
from lading.protocol.manifest import Coverage, Manifest, State
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.storage.collections.manifests import ANY_FILE
from lading.storage.database import Database
from tests.server.uploads.test_append import append, content, create
from tests.support.parts import ANN, BOB, CELL, PLENTY, Parts, body, settings

PIECES = [random.Random(seed).randbytes(size) for seed, size in enumerate((CELL + 7, 3, 2 * CELL))]
WHOLE = b"".join(PIECES)


async def part(parts: Parts, data: bytes) -> str:
    spec = UploadSpec(name="part", size=len(data), concat="partial")
    upload_id = (await parts.uploads.create(ANN, spec)).manifest.id
    await append(parts, upload_id, body(data))
    return upload_id


async def final(parts: Parts, *ids: str) -> Manifest:
    """A final upload that nobody has begun to make."""
    total = 0
    for each in ids:
        total += (await parts.uploads.get(ANN, each)).size or 0
    concat = "final;" + " ".join(f"/v1/tus/{each}" for each in ids)
    spec = UploadSpec(name="whole", size=total, concat=concat)
    return (await parts.uploads.create(ANN, spec, todo=("concat",), paid=total)).manifest


async def test_what_was_copied_before_a_crash_is_not_copied_again(
    parts: Parts, elsewhere: Parts
) -> None:
    made = await final(parts, *[await part(parts, each) for each in PIECES])
    async with parts.appends.take(ANN, made.id, final=True) as turn:
        await parts.appends.store(turn, body(WHOLE[: CELL + 500]), PLENTY)
    before = [piece async for piece in parts.uploads.pieces(made)]
    assert await elsewhere.uploads.todo.once() == 1
    file = await parts.uploads.get(ANN, made.id)
    assert (file.state, file.todo) == (State.READY, ())
    assert [piece async for piece in parts.uploads.pieces(file)][: len(before)] == before
    assert await content(parts, made.id, len(WHOLE)) == WHOLE
    assert await parts.usage("ann") == (len(WHOLE), 0)
    assert await parts.audit() == []


async def test_parts_are_deleted_after_a_crash_behind_the_publication(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await final(parts, *[await part(parts, each) for each in PIECES])

    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(parts.uploads, "abort", crash)
    await parts.uploads.todo.once()
    assert (await parts.uploads.get(ANN, made.id)).state is State.READY
    assert await parts.usage("ann") == (len(WHOLE), len(WHOLE))
    parts.clock.now += parts.limits.todo_lease_seconds + 1
    assert await elsewhere.uploads.todo.once() == 1
    assert await parts.usage("ann") == (len(WHOLE), 0)
    assert (await parts.uploads.get(ANN, made.id)).todo == ()
    assert await parts.audit() == []


def joining(*ids: str) -> UploadSpec:
    return UploadSpec(name="whole", concat="final;" + " ".join(f"/v1/tus/{each}" for each in ids))


async def test_who_did_not_hear_the_answer_gets_the_same_file(
    parts: Parts, elsewhere: Parts
) -> None:
    ids = [await part(parts, each) for each in PIECES]
    making = asyncio.create_task(parts.concatenation.create(ANN, joining(*ids), ids))
    while not await parts.uploads.todo.once():
        pass
    made = await making
    assert made.state is State.READY
    for each in ids:
        with pytest.raises(NotFound):
            await parts.uploads.get(ANN, each)
    made = await parts.uploads.get(ANN, made.id)  # the step is over by now
    for process in (parts, elsewhere):
        assert await process.concatenation.create(ANN, joining(*ids), ids) == made
    with pytest.raises(NotFound):  # it was made of these, and of no others
        await parts.concatenation.create(ANN, joining(*ids[:2]), ids[:2])
    with pytest.raises(NotFound):
        await parts.concatenation.create(BOB, joining(*ids), ids)
    assert await parts.usage("ann") == (len(WHOLE), 0)
    await parts.uploads.delete(ANN, made.id)
    with pytest.raises(NotFound):
        await parts.concatenation.create(ANN, joining(*ids), ids)


async def test_who_asks_again_while_parts_are_arriving_gets_the_same_upload(
    parts: Parts, elsewhere: Parts
) -> None:
    spec = UploadSpec(name="part", size=10, concat="partial")
    slow = (await parts.uploads.create(ANN, spec)).manifest.id
    first = await parts.concatenation.create(ANN, joining(slow, slow), [slow, slow])
    again = await elsewhere.concatenation.create(ANN, joining(slow, slow), [slow, slow])
    other = await parts.concatenation.create(ANN, joining(slow), [slow])
    assert again.id == first.id != other.id


@pytest.mark.parametrize("asked_again", [True, False])
async def test_of_two_that_a_crash_left_one_is_made(parts: Parts, asked_again: bool) -> None:
    ids = [await part(parts, each) for each in PIECES]
    made = [await final(parts, *ids)]
    if asked_again:  # the first was stored, but its process ended before it said so
        asking = asyncio.create_task(parts.concatenation.create(ANN, joining(*ids), ids))
        while len(await parts.uploads.unfinished(ANN)) < len(ids) + 2:
            pass
        await parts.uploads.todo.once()
        answer = await asking
        assert answer.state is State.READY
        assert await content(parts, answer.id, len(WHOLE)) == WHOLE
    else:
        made.append(await final(parts, *ids))
        await parts.uploads.todo.once()
    (file,) = await parts.manifests.ready("ann", ANY_FILE, before=None, most=9)
    assert await content(parts, file.id, len(WHOLE)) == WHOLE
    assert await parts.uploads.unfinished(ANN) == []
    assert await parts.usage("ann") == (len(WHOLE), 0)
    assert await parts.audit() == []


async def test_it_waits_for_parts_that_are_arriving(parts: Parts) -> None:
    spec = UploadSpec(name="part", size=10, concat="partial")
    slow = (await parts.uploads.create(ANN, spec)).manifest.id
    made = await final(parts, await part(parts, b"hello"), slow)
    await parts.uploads.todo.once()
    assert (await parts.uploads.get(ANN, made.id)).state is State.UPLOADING
    await append(parts, slow, body(bytes(10)))
    parts.clock.now += parts.limits.todo_poll_seconds + 1
    await parts.uploads.todo.once()
    assert await content(parts, made.id, 15) == b"hello" + bytes(10)


async def test_to_wait_for_a_part_costs_little(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = UploadSpec(name="part", size=10, concat="partial")
    slow = (await parts.uploads.create(ANN, spec)).manifest.id
    small = await part(parts, b"hello")
    made = await final(parts, *[slow, small] * 50)
    looked_at: list[str] = []
    coverage = parts.uploads.coverage

    async def look(manifest: Manifest) -> Coverage:
        looked_at.append(manifest.id)
        return await coverage(manifest)

    monkeypatch.setattr(parts.uploads, "coverage", look)
    for tries in range(1, 4):
        assert await parts.uploads.todo.once() == 1
        assert looked_at == [slow] * tries  # not the others, and each no more than once
        parts.clock.now += parts.limits.todo_poll_seconds * 2 ** (tries - 1) - 1
        assert await parts.uploads.todo.once() == 0  # each pause is longer than the one before
        parts.clock.now += 2
    assert (await parts.uploads.get(ANN, made.id)).turn == 0  # nothing was written for it


async def test_nobody_else_appends_to_it(parts: Parts) -> None:
    made = await final(parts, await part(parts, b"hello"))
    with pytest.raises(Forbidden):
        await append(parts, made.id, body(b"hello"))


async def test_a_quota_that_holds_the_parts_holds_the_file(parts: Parts) -> None:
    await parts.quotas.set_quota("ann", len(WHOLE))
    made = await final(parts, *[await part(parts, each) for each in PIECES])
    await parts.uploads.todo.once()
    assert await content(parts, made.id, len(WHOLE)) == WHOLE
    assert await parts.usage("ann") == (len(WHOLE), 0)
    with pytest.raises(QuotaExceeded):
        await create(parts, 1)


async def test_a_part_that_is_named_several_times_is_paid_for_each_time(parts: Parts) -> None:
    one, small = await part(parts, bytes(CELL)), await part(parts, b"x")
    await parts.quotas.set_quota("ann", 2 * CELL + 1)
    with pytest.raises(QuotaExceeded):
        await parts.concatenation.create(ANN, joining(one, one, one), [one, one, one])
    assert await parts.usage("ann") == (0, CELL + 1)
    making = asyncio.create_task(
        parts.concatenation.create(ANN, joining(one, one, small), [one, one, small])
    )
    while not await parts.uploads.todo.once():
        pass
    assert (await making).size == 2 * CELL + 1
    assert await parts.usage("ann") == (2 * CELL + 1, 0)
    assert await parts.audit() == []


async def test_parts_whose_length_follows_are_paid_for_when_it_is_known(parts: Parts) -> None:
    spec = UploadSpec(name="part", concat="partial")
    late = (await parts.uploads.create(ANN, spec)).manifest.id
    made = await parts.concatenation.create(ANN, joining(late, late), [late, late])
    await parts.quotas.set_quota("ann", 2 * CELL - 1)
    async with parts.appends.take(ANN, late) as turn:
        await parts.appends.declare(turn, CELL)
        await parts.appends.store(turn, body(bytes(CELL)), PLENTY)
    await parts.uploads.todo.once()
    assert (await parts.manifests.ready("ann", ANY_FILE, before=None, most=9)) == []
    assert await parts.usage("ann") == (0, CELL)
    assert await parts.pieces(made.id) == 0


async def test_no_transport_stores_bytes_that_nobody_pays_for(parts: Parts) -> None:
    spec = UploadSpec(name="part", size=CELL, concat="partial")
    empty = (await parts.uploads.create(ANN, spec)).manifest.id
    made = await parts.concatenation.create(ANN, joining(empty), [empty])
    with pytest.raises(Forbidden):
        await parts.uploads.join(ANN, made.id)  # PUT
    with pytest.raises(Forbidden):
        await parts.uploads.resume(ANN, made.id)  # WebSocket


async def test_what_is_refused_is_not_tried_for_ever(database: Database) -> None:
    kinds = (Kind(name="image", mime_types=("image/*",)),)
    parts = Parts(database, chosen=settings().model_copy(update={"kinds": kinds}))
    one = await part(parts, b"%PDF-1.7\n" + bytes(CELL))
    concat = f"final;{one}"
    spec = UploadSpec(name="whole", kind="image", concat=concat)
    made = (await parts.uploads.create(ANN, spec, todo=("concat",))).manifest
    await parts.uploads.todo.once()
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, made.id)
    # Who waits for the answer is told.
    making = asyncio.create_task(parts.concatenation.create(ANN, spec, [one]))
    while not await parts.uploads.todo.once():
        pass
    with pytest.raises(InvalidArgument, match="its type"):
        await making
    assert (await parts.uploads.get(ANN, one)).state is State.UPLOADING
    assert await parts.usage("ann") == (0, CELL + 9)


async def test_nobody_finishes_it_before_its_parts_are_there(parts: Parts) -> None:
    spec = UploadSpec(name="part", concat="partial")
    late = (await parts.uploads.create(ANN, spec)).manifest.id
    made = await parts.concatenation.create(ANN, joining(late), [late])
    with pytest.raises(InvalidArgument):
        await parts.uploads.finish(ANN, made.id, 0)
    assert (await parts.uploads.get(ANN, late)).state is State.UPLOADING


async def test_a_part_is_never_published(parts: Parts) -> None:
    with pytest.raises(InvalidArgument):
        await parts.uploads.finish(ANN, await part(parts, b"hello"))


async def test_only_parts_are_joined(database: Database) -> None:
    parts = Parts(database, limits=UploadLimits(concat_wait_seconds=0.01))
    spec = UploadSpec(name="whole", concat="final;x")
    with pytest.raises(InvalidArgument):
        await parts.concatenation.create(ANN, spec, [await create(parts)])
    found = await parts.concatenation.create(
        ANN, replace(spec, concat=f"final;{(one := await part(parts, b''))}"), [one]
    )
    assert found.size == 0
