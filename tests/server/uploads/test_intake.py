"""Bodies of any size and in any parts become pieces; the first byte too much is refused."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    ChecksumMismatch,
    Gone,
    OutOfBounds,
    RequestTimeout,
    TooLarge,
)
from lading.protocol.spec import UploadSpec
from lading.server.net.byte_budget import COPIES, ByteBudget
from lading.server.uploads import OpenUpload
from lading.server.uploads.intake import Intake
from tests.support.parts import ANN, CELL, TTL, Parts, body

DATA = random.Random(1).randbytes(3 * CELL + 100)
SIZE = len(DATA)


async def create(parts: Parts, size: int | None = SIZE) -> OpenUpload:
    return await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=size))


@pytest.fixture
def budget() -> ByteBudget:
    return ByteBudget(2**20)


def intake(parts: Parts, upload: OpenUpload, budget: ByteBudget) -> Intake:
    return Intake(parts.uploads, upload, budget)


async def keep(
    parts: Parts, upload: OpenUpload, budget: ByteBudget, body: AsyncIterator[bytes], start: int = 0
) -> None:
    """Store all that comes from an offset on, as transports do whose clients know the offset."""
    taking = intake(parts, upload, budget)
    async with taking.share(), aclosing(taking.pieces(body, start, keep_rest=True)) as pieces:
        async for place, data in pieces:
            await parts.uploads.write(upload, place, data, crc32c(data), whole_cells=False)


async def stored(parts: Parts, upload: OpenUpload) -> list[tuple[int, int]]:
    manifest = await parts.uploads.get(ANN, upload.manifest.id)
    return [(piece.slice_start, piece.size) async for piece in parts.uploads.pieces(manifest)]


@pytest.mark.parametrize("part", [1, 7, CELL - 1, CELL, CELL + 1, 2 * CELL, SIZE])
@pytest.mark.parametrize("size", [SIZE, None])
async def test_a_body_is_cut_into_cells_however_it_comes(
    parts: Parts, budget: ByteBudget, part: int, size: int | None
) -> None:
    upload = await create(parts, size)
    taken = await intake(parts, upload, budget).store(body(DATA, part))
    assert taken[:3] == (SIZE, hashlib.sha256(DATA).hexdigest(), DATA[:CELL])
    assert taken.proven == (0, SIZE, crc32c(DATA))
    assert await stored(parts, upload) == [
        (0, CELL),
        (CELL, CELL),
        (2 * CELL, CELL),
        (3 * CELL, 100),
    ]
    file = await parts.uploads.finish(ANN, upload.manifest.id, taken.size, taken.sha256)
    assert b"".join([each async for each in parts.uploads.read(file, 0, SIZE)]) == DATA
    assert budget.free == budget.total


async def test_an_empty_body_stores_nothing(parts: Parts, budget: ByteBudget) -> None:
    upload = await create(parts, 0)
    taken = await intake(parts, upload, budget).store(body(b""))
    assert taken == (0, hashlib.sha256().hexdigest(), b"", (0, 0, 0))
    assert await stored(parts, upload) == []


async def test_at_the_first_byte_too_much_no_more_is_read(parts: Parts, budget: ByteBudget) -> None:
    upload, read = await create(parts, CELL + 50), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 100
            yield b"x" * 100

    with pytest.raises(TooLarge) as caught:
        await intake(parts, upload, budget).store(endless())
    assert caught.value.extra == {"limit": CELL + 50}
    assert CELL + 50 < read <= CELL + 150
    assert budget.free == budget.total


async def test_a_grant_bounds_an_upload_of_unknown_size(parts: Parts, budget: ByteBudget) -> None:
    upload = await create(parts, None)
    upload.manifest = replace(upload.manifest, max_size=150)
    with pytest.raises(TooLarge, match="may have at most 150") as caught:
        await intake(parts, upload, budget).store(body(DATA[:151]))
    assert caught.value.extra == {"limit": 150}
    assert await stored(parts, upload) == []


async def test_of_a_body_that_breaks_off_whole_cells_are_kept(
    parts: Parts, budget: ByteBudget
) -> None:
    upload = await create(parts)
    with pytest.raises(RequestTimeout):
        await intake(parts, upload, budget).store(body(DATA[: CELL + 500], breaks=True))
    assert await stored(parts, upload) == [(0, CELL)]
    assert budget.free == budget.total


@pytest.mark.parametrize("cut", [1, 500, CELL - 1, CELL, CELL + 1, 2 * CELL + 500])
@pytest.mark.parametrize("breaks", [False, True])
async def test_from_any_offset_all_that_came_is_kept(
    parts: Parts, budget: ByteBudget, cut: int, breaks: bool
) -> None:
    """As a transport resumes that sends bytes and not pieces."""
    upload = await create(parts)
    first = keep(parts, upload, budget, body(DATA[:cut], breaks=breaks))
    if breaks:
        with pytest.raises(RequestTimeout):
            await first
    else:
        await first
    _, coverage = await parts.uploads.resume(ANN, upload.manifest.id)
    assert coverage.missing == [(cut, SIZE)]
    await keep(parts, upload, budget, body(DATA[cut:]), cut)
    sha256 = hashlib.sha256(DATA).hexdigest()
    assert (await parts.uploads.finish(ANN, upload.manifest.id, SIZE, sha256)).size == SIZE


async def test_a_body_that_begins_in_the_middle_may_not_pass_the_end(
    parts: Parts, budget: ByteBudget
) -> None:
    upload = await create(parts)
    await keep(parts, upload, budget, body(DATA[:500]))
    with pytest.raises(TooLarge):
        await keep(parts, upload, budget, body(DATA[500:] + b"x"), 500)


async def test_it_keeps_its_upload_alive(parts: Parts, budget: ByteBudget) -> None:
    upload = await create(parts)

    async def slow() -> AsyncIterator[bytes]:
        for place in range(10):
            parts.clock.now += TTL * 0.9
            await parts.sweeper.sweep()
            yield DATA[place : place + 1]

    await keep(parts, upload, budget, slow())
    assert await stored(parts, upload) == [(0, 10)]


async def test_it_stops_when_its_upload_ends(parts: Parts, budget: ByteBudget) -> None:
    upload = await create(parts)

    async def too_slow() -> AsyncIterator[bytes]:
        yield DATA[:1]
        parts.clock.now += TTL + 1
        await parts.sweeper.sweep()
        yield DATA[1:]

    with pytest.raises(Gone):
        await intake(parts, upload, budget).store(too_slow())
    assert budget.free == budget.total


async def test_a_body_waits_for_its_share_and_returns_it(parts: Parts) -> None:
    budget = ByteBudget(CELL * COPIES)
    upload, held = await create(parts), await budget.acquire(CELL, "bob")
    storing = asyncio.create_task(intake(parts, upload, budget).store(body(DATA)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not storing.done()
    held.release()
    assert (await storing).size == SIZE
    assert budget.free == budget.total


# -- one piece


async def test_a_body_that_is_one_piece(parts: Parts, budget: ByteBudget) -> None:
    upload = await create(parts)
    piece, one = DATA[CELL : 2 * CELL], intake(parts, upload, budget)
    for _ in range(2):
        written = await one.store_piece(body(piece), CELL, crc32c(piece), CELL)
        assert written == (CELL, CELL)
    assert await stored(parts, upload) == [(CELL, CELL)]
    assert budget.free == budget.total


async def test_a_piece_that_is_refused_stores_nothing(parts: Parts, budget: ByteBudget) -> None:
    upload = await create(parts)
    one = intake(parts, upload, budget)
    with pytest.raises(TooLarge, match=f"at most {CELL} bytes"):
        await one.store_piece(body(DATA), 0)
    with pytest.raises(TooLarge):
        await one.store_piece(body(b""), 0, None, CELL + 1)
    with pytest.raises(ChecksumMismatch):
        await one.store_piece(body(DATA[:CELL]), 0, 1)
    with pytest.raises(OutOfBounds, match="crosses"):
        await one.store_piece(body(DATA[:CELL]), 1)
    with pytest.raises(RequestTimeout):
        await one.store_piece(body(DATA[:CELL], breaks=True), 0)
    assert await stored(parts, upload) == []
    assert budget.free == budget.total
