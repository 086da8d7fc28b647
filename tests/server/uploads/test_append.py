"""Requests that append: one at a time, the newest wins, and what came is kept."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    ChunkConflict,
    Gone,
    InvalidArgument,
    NotFound,
    OutOfBounds,
    QuotaExceeded,
    RequestTimeout,
    StorageFull,
    TooLarge,
)
from lading.protocol.manifest import LONG_CHAIN, Manifest, Piece, split
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.server.net.byte_budget import COPIES, ByteBudget
from lading.server.net.record import set_current
from lading.server.uploads.append import Appends
from lading.storage import contents
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from tests.support.parts import ANN, BOB, CELL, PLENTY, TTL, Parts, body, settings
from tests.support.steps import Crash, Steps, stepped

DATA = random.Random(4).randbytes(3 * CELL + 100)
SIZE = len(DATA)


class Hanging:
    """A body that sends some bytes and then nothing more. `reached` is set when they were taken."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.reached = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._data:
            yield self._data
        self.reached.set()
        await asyncio.Event().wait()


async def create(parts: Parts, size: int | None = SIZE) -> str:
    upload = await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=size))
    return upload.manifest.id


async def append(parts: Parts, upload_id: str, data: AsyncIterator[bytes]) -> int:
    """One request; returns the offset after it."""
    async with parts.appends.take(ANN, upload_id) as turn:
        await parts.appends.store(turn, data, PLENTY)
        return turn.offset


async def offset(parts: Parts, upload_id: str) -> int:
    async with parts.appends.take(ANN, upload_id) as turn:
        return turn.offset


async def content(parts: Parts, upload_id: str, size: int) -> bytes:
    manifest = await parts.uploads.get(ANN, upload_id)
    return b"".join([each async for each in parts.uploads.read(manifest, 0, size)])


async def stored(parts: Parts, upload_id: str) -> list[tuple[int, int]]:
    manifest = await parts.uploads.get(ANN, upload_id)
    return [(piece.slice_start, piece.size) async for piece in parts.uploads.pieces(manifest)]


async def hang(parts: Parts, upload_id: str, data: bytes) -> asyncio.Task[int]:
    """A request that hangs after its first bytes."""
    hanging = Hanging(data)
    task = asyncio.create_task(append(parts, upload_id, aiter(hanging)))
    await hanging.reached.wait()
    return task


async def test_an_upload_goes_on_where_it_stands(parts: Parts, elsewhere: Parts) -> None:
    upload_id = await create(parts)
    assert await offset(parts, upload_id) == 0
    assert await append(parts, upload_id, body(DATA[:700])) == 700
    assert await append(elsewhere, upload_id, body(DATA[700:2500])) == 2500
    assert await offset(parts, upload_id) == 2500
    assert await append(parts, upload_id, body(DATA[2500:])) == SIZE
    file = await parts.uploads.finish(ANN, upload_id)
    assert file.crc32c == crc32c(DATA)
    assert await content(parts, upload_id, SIZE) == DATA


async def test_what_came_of_a_request_that_breaks_off_is_kept(parts: Parts) -> None:
    upload_id = await create(parts)
    with pytest.raises(RequestTimeout):
        await append(parts, upload_id, body(DATA[:1500], breaks=True))
    assert await offset(parts, upload_id) == 1500
    assert await content(parts, upload_id, 1500) == DATA[:1500]


async def test_a_request_that_came_before_does_not_take_the_turn(parts: Parts) -> None:
    """It may get there later: its credential took longer to check, or its connection is dead."""
    upload_id, order = await create(parts), asyncio.Event()

    async def older() -> int:
        set_current("older")
        await order.wait()
        return await append(parts, upload_id, body(DATA))

    async def newer() -> int:
        set_current("newer")
        async with parts.appends.take(ANN, upload_id) as turn:
            order.set()
            with pytest.raises(RequestTimeout, match="A newer request"):
                await first
            assert not turn.turn.ended
            await parts.appends.store(turn, body(DATA), PLENTY)
            return turn.offset

    first = asyncio.create_task(older())
    await asyncio.sleep(0)
    assert await asyncio.create_task(newer()) == SIZE
    assert await offset(parts, upload_id) == SIZE


async def test_a_newer_request_ends_the_older_one_which_keeps_what_came(parts: Parts) -> None:
    upload_id = await create(parts)
    older = await hang(parts, upload_id, DATA[:1300])
    assert await offset(parts, upload_id) == 1300
    with pytest.raises(RequestTimeout):
        await older
    assert await append(parts, upload_id, body(DATA[1300:])) == SIZE


async def test_of_many_requests_that_hang_the_newest_has_the_turn(parts: Parts) -> None:
    upload_id = await create(parts)
    hanging = [await hang(parts, upload_id, DATA[n * 10 : n * 10 + 10]) for n in range(20)]
    for task in hanging[:-1]:
        with pytest.raises(RequestTimeout):
            await task
    assert await offset(parts, upload_id) == 200
    with pytest.raises(RequestTimeout):
        await hanging[-1]


async def test_requests_that_come_together_take_turns(parts: Parts) -> None:
    upload_id = await create(parts)
    older = await hang(parts, upload_id, DATA[:10])
    together = [asyncio.create_task(offset(parts, upload_id)) for _ in range(10)]
    found = await asyncio.gather(*together, return_exceptions=True)
    # Which of them is the newest is for the database to say.
    assert 10 in found
    assert all(each == 10 or isinstance(each, RequestTimeout) for each in found)
    with pytest.raises(RequestTimeout):
        await older


async def test_a_request_that_waits_for_memory_gives_way(parts: Parts) -> None:
    upload_id, waiting = await create(parts), asyncio.Event()

    class Empty:
        async def acquire(self, _size: int, _owner: str, /) -> None:
            waiting.set()
            await asyncio.Event().wait()

    async def poor() -> None:
        async with parts.appends.take(ANN, upload_id) as turn:
            await parts.appends.store(turn, body(DATA), Empty())  # type: ignore[arg-type]  # never gives a share

    older = asyncio.create_task(poor())
    await waiting.wait()
    assert await append(parts, upload_id, body(DATA[:10])) == 10
    with pytest.raises(RequestTimeout):
        await older


async def test_a_request_that_sends_nothing_keeps_no_memory(parts: Parts) -> None:
    upload_id, budget, seen = await create(parts), ByteBudget(COPIES * CELL), list[int]()

    async def slow() -> AsyncIterator[bytes]:
        """An empty part says that nothing came for a while."""
        for start, end in ((0, 700), (700, 700), (700, 700), (700, CELL + 10), (0, 0)):
            yield DATA[start:end]
        seen.append(budget.free)
        seen.append((await stored(parts, upload_id))[-1][0])
        yield DATA[CELL + 10 :]

    async with parts.appends.take(ANN, upload_id) as turn:
        storing = asyncio.create_task(parts.appends.store(turn, slow(), budget))
        while (share := await budget.acquire(CELL, "ann")) is None or not turn.offset:
            share.release()
            await asyncio.sleep(0)
        assert await stored(parts, upload_id) == [(0, 700)]
        assert not storing.done(), "it waits until there is memory again"
        share.release()
        await storing
    assert seen == [budget.total, CELL]
    assert await stored(parts, upload_id) == [
        (0, 700),
        (700, CELL - 700),
        (CELL, 10),
        (CELL + 10, CELL - 10),
        (2 * CELL, CELL),
        (3 * CELL, 100),
    ]
    assert await content(parts, upload_id, SIZE) == DATA
    assert budget.free == budget.total


async def test_pieces_of_a_slow_request_are_joined(parts: Parts) -> None:
    upload_id = await create(parts)

    async def slow() -> AsyncIterator[bytes]:
        for start in range(0, CELL, 4):
            yield DATA[start : start + 4]
            yield b""

    assert await append(parts, upload_id, slow()) == CELL
    assert await parts.pieces(upload_id) < LONG_CHAIN
    assert await content(parts, upload_id, CELL) == DATA[:CELL]


async def test_a_request_that_is_cancelled_is_not_taken_for_an_older_one(parts: Parts) -> None:
    upload_id = await create(parts)
    task = await hang(parts, upload_id, DATA[:10])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await append(parts, upload_id, body(DATA)) == SIZE


async def test_a_request_in_another_process_stores_nothing_more(database: Database) -> None:
    limits = UploadLimits(turn_poll_seconds=0.01)
    here = Parts(database, limits=limits)
    there = Parts(database, here.clock, limits=limits)
    upload_id = await create(here)
    watching = asyncio.create_task(here.appends.watch())
    older = await hang(here, upload_id, DATA[:700])
    assert await append(there, upload_id, body(DATA[:50])) == 50
    with pytest.raises(RequestTimeout):
        await older
    assert await offset(there, upload_id) == 50
    assert await stored(there, upload_id) == [(0, 50)]
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_an_older_request_that_does_not_end_is_not_waited_for(database: Database) -> None:
    parts = Parts(database, limits=UploadLimits(turn_patience_seconds=0.05))
    upload_id, inside, leave = await create(parts), asyncio.Event(), asyncio.Event()

    async def stuck() -> None:
        async with parts.appends.take(ANN, upload_id):
            inside.set()
            await leave.wait()

    older = asyncio.create_task(stuck())
    await inside.wait()
    assert await append(parts, upload_id, body(DATA[:10])) == 10
    leave.set()
    await older


# -- beside other transports


async def write(parts: Parts, upload_id: str, start: int, data: bytes) -> None:
    """A piece by another transport."""
    upload = await parts.uploads.join(ANN, upload_id)
    await parts.uploads.write(upload, start, data, crc32c(data))


async def test_cells_that_came_before_are_passed_over(parts: Parts) -> None:
    upload_id = await create(parts)
    await write(parts, upload_id, CELL, DATA[CELL : 2 * CELL])
    assert await offset(parts, upload_id) == 0
    assert await append(parts, upload_id, body(DATA[:CELL])) == 2 * CELL
    assert await append(parts, upload_id, body(DATA[2 * CELL :])) == SIZE
    assert await content(parts, upload_id, SIZE) == DATA


@pytest.mark.parametrize("size", [CELL - 100, CELL, CELL + 1, CELL + 700, 2 * CELL, SIZE])
async def test_bytes_that_are_there_already_are_compared(parts: Parts, size: int) -> None:
    upload_id = await create(parts)
    await write(parts, upload_id, CELL, DATA[CELL : 2 * CELL])
    reached = await append(parts, upload_id, body(DATA[:size]))
    assert reached == (size if size < CELL else max(size, 2 * CELL))
    assert await append(parts, upload_id, body(DATA[reached:])) == SIZE
    assert await content(parts, upload_id, SIZE) == DATA


@pytest.mark.parametrize("size", [CELL + 1, 2 * CELL])
async def test_other_bytes_than_those_are_a_conflict(parts: Parts, size: int) -> None:
    upload_id = await create(parts)
    await write(parts, upload_id, CELL, bytes(CELL))
    with pytest.raises(ChunkConflict):
        await append(parts, upload_id, body(DATA[:size]))
    assert await offset(parts, upload_id) == 2 * CELL


async def test_bytes_in_several_pieces_are_compared_piece_by_piece(parts: Parts) -> None:
    upload_id = await create(parts, None)
    for start, end in ((CELL, CELL + 300), (CELL + 300, CELL + 500)):
        await write(parts, upload_id, start, DATA[start:end])
    assert await append(parts, upload_id, body(DATA[: 2 * CELL])) == 2 * CELL
    assert await content(parts, upload_id, 2 * CELL) == DATA[: 2 * CELL]


async def test_another_transport_goes_on_in_the_middle_of_a_cell(parts: Parts) -> None:
    upload_id = await create(parts)
    await append(parts, upload_id, body(DATA[:700]))
    await write(parts, upload_id, 700, DATA[700:CELL])
    assert await offset(parts, upload_id) == CELL


# -- sizes


async def test_the_first_byte_too_much_is_refused(parts: Parts) -> None:
    upload_id = await create(parts, 100)
    with pytest.raises(TooLarge):
        await append(parts, upload_id, body(DATA[:101], 60))
    assert await offset(parts, upload_id) <= 100


async def test_the_size_may_follow_later(parts: Parts) -> None:
    upload_id = await create(parts, None)
    await append(parts, upload_id, body(DATA[:2000]))
    async with parts.appends.take(ANN, upload_id) as turn:
        with pytest.raises(InvalidArgument):
            await parts.appends.declare(turn, 1999)
        await parts.appends.declare(turn, SIZE)
        await parts.appends.declare(turn, SIZE)
        with pytest.raises(InvalidArgument):
            await parts.appends.declare(turn, SIZE + 1)
        await parts.appends.store(turn, body(DATA[2000:]), PLENTY)
        assert turn.full
    assert (await parts.quotas.account("ann")).reserved == SIZE
    assert (await parts.uploads.finish(ANN, upload_id)).size == SIZE


async def test_a_size_beyond_the_quota_is_refused(parts: Parts) -> None:
    await parts.quotas.set_quota("ann", 1000)
    upload_id = await create(parts, None)
    async with parts.appends.take(ANN, upload_id) as turn:
        with pytest.raises(QuotaExceeded):
            await parts.appends.declare(turn, 1001)
        await parts.appends.declare(turn, 1000)


# -- what is no upload any more


async def test_a_finished_upload_has_no_turns(parts: Parts) -> None:
    upload_id = await create(parts, 0)
    await parts.uploads.finish(ANN, upload_id)
    async with parts.appends.take(ANN, upload_id) as turn:
        assert turn.finished
        assert turn.offset == 0


async def test_an_upload_that_is_gone_is_not_taken(parts: Parts) -> None:
    upload_id = await create(parts)
    with pytest.raises(NotFound):
        async with parts.appends.take(BOB, upload_id):
            pass
    parts.clock.now += TTL + 1
    await parts.sweeper.sweep()
    with pytest.raises(Gone):
        await offset(parts, upload_id)


async def test_an_append_keeps_the_upload_alive(parts: Parts) -> None:
    upload_id = await create(parts)
    parts.clock.now += TTL - 1
    assert await offset(parts, upload_id) == 0
    parts.clock.now += TTL - 1
    await parts.sweeper.sweep()
    assert await append(parts, upload_id, body(DATA)) == SIZE


async def test_bytes_that_are_given_up_do_not_count(parts: Parts) -> None:
    upload_id = await create(parts)
    await append(parts, upload_id, body(bytes(700)))
    await parts.uploads.begin_again(await parts.uploads.join(ANN, upload_id))
    assert await offset(parts, upload_id) == 0
    assert await append(parts, upload_id, body(DATA)) == SIZE


# -- many small requests


async def test_small_pieces_are_joined(parts: Parts, elsewhere: Parts) -> None:
    upload_id, position = await create(parts), 0
    while position < CELL + 200:
        here = (parts, elsewhere)[position // 300 % 2]
        position = await append(here, upload_id, body(DATA[position : position + 6]))
    pieces = await stored(parts, upload_id)
    assert len(pieces) < LONG_CHAIN
    assert await append(parts, upload_id, body(DATA[position:])) == SIZE
    assert await content(parts, upload_id, SIZE) == DATA
    assert (await parts.uploads.finish(ANN, upload_id)).crc32c == crc32c(DATA)
    assert await content(elsewhere, upload_id, SIZE) == DATA
    assert await parts.audit() == []


async def test_a_reader_does_not_notice_that_pieces_are_joined(parts: Parts) -> None:
    upload_id = await create(parts)
    for position in range(0, 900, 9):
        await append(parts, upload_id, body(DATA[position : position + 9]))
    manifest = await parts.uploads.get(ANN, upload_id)
    blocks = parts.uploads.read(manifest, 100, 900)
    found = [await anext(blocks)]
    chain = await parts.storage.contents.chain(manifest, 0, CELL)
    assert await parts.storage.contents.join(manifest, chain)
    found += [block async for block in blocks]
    assert b"".join(found) == DATA[100:900]


@pytest.mark.parametrize("home", ["mongo", "file"])
@pytest.mark.parametrize("crashes", [False, True])
async def test_a_reader_gets_the_same_bytes_whenever_pieces_are_joined(
    database: Database,
    *,
    database_url: str,
    steps: Steps,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: str,
    crashes: bool,
) -> None:
    """Before any operation of its, each with few pieces: between listing and reading, and between
    the pages of a list. Where who joins crashes, the pieces that were joined are still there."""
    monkeypatch.setattr(contents, "READ_AT_ONCE", 3 if home == "mongo" else 2)
    chosen = settings(blobs=home if home == "mongo" else f"file://{tmp_path}")
    parts, joining = Parts(database, chosen=chosen), stepped(database_url)
    reading = Parts(steps, parts.clock, chosen=chosen)
    joiner = Parts(joining, parts.clock, chosen=chosen)
    number, joined = 0, True
    while joined:
        number += 1
        upload = await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=SIZE))
        for cell, end in split(0, SIZE, CELL):
            for start in range(cell, end, 200):
                data = DATA[start : min(start + 200, end)]
                await parts.uploads.write(upload, start, data, crc32c(data), whole_cells=False)
        joined = False

        async def join(manifest: Manifest = upload.manifest) -> None:
            nonlocal joined
            joined = True
            for cell, end in split(0, SIZE, CELL):
                chain = await parts.storage.contents.chain(manifest, cell, end)
                if crashes:
                    joining.crash_before(3 if home == "mongo" else 2)
                with suppress(Crash):
                    await joiner.storage.contents.join(manifest, chain)
                joining.recover()

        steps.before(number, join)
        assert await content(reading, upload.manifest.id, SIZE) == DATA
        if joined:
            assert [start for start, _ in await stored(parts, upload.manifest.id)] == [
                cell for cell, _ in split(0, SIZE, CELL)
            ]
        steps.recover()
    assert number > 10
    await joining.close()


async def test_a_crash_while_pieces_are_joined_loses_nothing(parts: Parts) -> None:
    upload_id = await create(parts)
    for position in range(0, 1000, 100):
        await append(parts, upload_id, body(DATA[position : position + 100]))
    manifest = await parts.uploads.get(ANN, upload_id)
    chain = await parts.storage.contents.chain(manifest, 0, CELL)
    void = await parts.chunks.data(upload_id, chain)
    assert await parts.storage.contents.join(manifest, chain)
    for piece, data in list(zip(chain, void, strict=True))[3:6]:
        await parts.chunks.write(upload_id, piece, data)  # as if it were not deleted yet
    assert await stored(parts, upload_id) == [(0, 1000)]
    assert (await parts.uploads.coverage(manifest)).upload_size == 1000
    assert await parts.storage.contents.run_end(manifest, 0, SIZE) == 1000
    assert await parts.storage.contents.run_end(manifest, 450, SIZE) == 1000
    assert await append(parts, upload_id, body(DATA[1000:])) == SIZE
    assert (await parts.uploads.finish(ANN, upload_id)).crc32c == crc32c(DATA)
    assert await content(parts, upload_id, SIZE) == DATA
    assert await parts.audit() == []


async def test_a_chain_that_changed_is_not_joined(parts: Parts) -> None:
    upload_id = await create(parts)
    for position in range(0, 300, 100):
        await append(parts, upload_id, body(DATA[position : position + 100]))
    manifest = await parts.uploads.get(ANN, upload_id)
    chain = await parts.storage.contents.chain(manifest, 0, CELL)
    other = [replace_size(chain[0], 99), *chain[1:]]
    assert not await parts.storage.contents.join(manifest, other)
    assert len(await stored(parts, upload_id)) == 3


def replace_size(piece: Piece, size: int) -> Piece:
    return piece._replace(size=size)


async def test_a_late_piece_inside_a_joined_one_is_refused(parts: Parts) -> None:
    upload_id = await create(parts)
    for position in range(0, 300, 100):
        await append(parts, upload_id, body(DATA[position : position + 100]))
    upload = await parts.uploads.join(ANN, upload_id)
    manifest = upload.manifest
    chain = await parts.storage.contents.chain(manifest, 0, CELL)
    join = parts.storage.contents.join
    original = parts.storage.contents.write

    async def joined_before(*arguments: object) -> bool:
        assert await join(manifest, chain)
        return await original(*arguments)  # type: ignore[arg-type]  # what `write` was called with

    parts.storage.contents.write = joined_before  # type: ignore[method-assign,assignment]  # one write is late
    # A directory refuses it before a byte of the joined piece is overwritten.
    refusal = ChunkConflict if manifest.blobs.startswith("file:") else OutOfBounds
    with pytest.raises(refusal):
        await parts.uploads.write(
            upload, 200, DATA[200:250], crc32c(DATA[200:250]), whole_cells=False
        )
    assert await stored(parts, upload_id) == [(0, 300)]
    assert await content(parts, upload_id, 300) == DATA[:300]


def count(body: AsyncIterator[bytes], seen: list[int]) -> AsyncIterator[bytes]:
    async def parts() -> AsyncIterator[bytes]:
        async for part in body:
            seen.append(len(part))
            yield part

    return parts()


@pytest.mark.parametrize("refused", ["limit", "disk", "unknown size"])
async def test_a_body_that_waits_for_its_checksum_is_admitted_as_it_arrives(
    database: Database, tmp_path: Path, refused: str
) -> None:
    parts = Parts(database, limits=UploadLimits(spooled_bytes=250))
    appends = parts.appends
    if refused == "disk":
        full = FreeSpace(database, floor=2**62)
        await full.look()
        storage = replace(parts.storage, free_space=full)
        appends = Appends(parts.uploads, storage, parts.limits, TTL)
    upload_id = await create(parts, None)
    seen: list[int] = []
    async with appends.take(ANN, upload_id) as turn:
        if refused == "limit":
            turn.upload.manifest = replace(turn.upload.manifest, max_size=150)
        waiting = appends.verified(
            turn, count(body(DATA), seen), hashlib.sha256(), bytes, folder=tmp_path
        )
        with pytest.raises(StorageFull if refused == "disk" else TooLarge):
            async with waiting:
                pass
    assert len(seen) == {"limit": 2, "disk": 1, "unknown size": 3}[refused]
    assert await parts.pieces(upload_id) == 0
