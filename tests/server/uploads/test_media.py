"""Whole bodies become the bytes of an upload: again, in part, others, and others at once."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    ChunkConflict,
    Gone,
    Incomplete,
    NotFound,
    TooLarge,
    Unavailable,
)
from lading.protocol.manifest import MAX_ATTEMPT, Manifest, State
from lading.protocol.spec import UploadSpec
from lading.server.uploads import OpenUpload
from lading.server.uploads.media import store
from lading.storage.database import Database
from tests.support.parts import ANN, CELL, PLENTY, TTL, Parts
from tests.support.steps import Crash, Steps

SIZE = 3 * CELL + 100
RIGHT = random.Random(1).randbytes(SIZE)


def other(*places: int) -> bytes:
    """The right bytes with others at these places."""
    changed = bytearray(RIGHT)
    for place in places:
        changed[place] ^= 1
    return bytes(changed)


async def create(parts: Parts, body: bytes = RIGHT) -> str:
    digest = hashlib.sha256(body).hexdigest()
    spec = UploadSpec(name="a.bin", size=len(body), sha256=digest)
    return (await parts.uploads.create(ANN, spec)).manifest.id


async def cells(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CELL):
        yield body[start : start + CELL]


class Halting:
    """A body that waits before one of its cells, when all before it are stored."""

    def __init__(self, body: bytes, before: int) -> None:
        self._body = body
        self._before = before
        self.waits = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        number = 0
        async for cell in cells(self._body):
            if number == self._before:
                self.waits.set()
                await self.goes_on.wait()
            yield cell
            number += 1


async def put(parts: Parts, media: str, body: bytes) -> None:
    upload = await parts.uploads.join(ANN, media)
    await store(parts.uploads, upload, cells(body), PLENTY)


async def read(parts: Parts, manifest: Manifest) -> bytes:
    assert manifest.size is not None
    return b"".join([part async for part in parts.uploads.read(manifest, 0, manifest.size)])


async def finalize(parts: Parts, media: str) -> Manifest:
    return await parts.uploads.finish(ANN, media)


async def published(parts: Parts, media: str) -> None:
    """It is published with the right bytes, and nothing else is left."""
    manifest = await finalize(parts, media)
    assert (manifest.state, manifest.sha256) == (State.READY, hashlib.sha256(RIGHT).hexdigest())
    assert await read(parts, manifest) == RIGHT
    assert manifest.crc32c == crc32c(RIGHT)
    assert await parts.audit() == []
    assert await parts.pieces(media) == 4
    assert await parts.usage("ann") == (SIZE, 0)
    assert await finalize(parts, media) == manifest


# -- one body


async def test_a_body_becomes_the_file(parts: Parts) -> None:
    media = await create(parts)
    await put(parts, media, RIGHT)
    assert (await parts.uploads.get(ANN, media)).state is State.UPLOADING
    await published(parts, media)


async def test_again_it_is_not_stored_twice(parts: Parts, elsewhere: Parts) -> None:
    media = await create(parts)
    for each in (parts, elsewhere, parts):
        await put(each, media, RIGHT)
        assert await parts.pieces(media) == 4
    await published(parts, media)
    await put(parts, media, RIGHT)
    await put(elsewhere, media, RIGHT)
    await published(parts, media)


@pytest.mark.parametrize("length", [0, 1, CELL, 2 * CELL + 5, SIZE - 1])
async def test_what_a_short_body_lacks_comes_with_a_whole_one(parts: Parts, length: int) -> None:
    media = await create(parts)
    await put(parts, media, RIGHT[:length])
    with pytest.raises(Incomplete) as told:
        await finalize(parts, media)
    assert told.value.extra["missing"] == [[length // CELL * CELL, SIZE]]
    await put(parts, media, RIGHT)
    await published(parts, media)


@pytest.mark.parametrize("more", [1, CELL, 5 * CELL])
async def test_more_than_was_announced_is_refused(parts: Parts, more: int) -> None:
    media = await create(parts)
    with pytest.raises(TooLarge) as told:
        await put(parts, media, RIGHT + b"x" * more)
    assert told.value.extra == {"limit": SIZE}
    await put(parts, media, RIGHT)
    await published(parts, media)


async def test_an_empty_file(parts: Parts) -> None:
    media = await create(parts, b"")
    await put(parts, media, b"")
    assert (await finalize(parts, media)).size == 0


# -- other bytes

PLACES = [(0,), (CELL - 1,), (CELL,), (2 * CELL + 7,), (SIZE - 1,), (5, 3 * CELL), (CELL, CELL * 2)]


@pytest.mark.parametrize("places", PLACES)
async def test_other_bytes_are_not_published_and_the_right_ones_replace_them(
    parts: Parts, places: tuple[int, ...]
) -> None:
    media = await create(parts)
    await put(parts, media, other(*places))
    for _ in range(3):
        with pytest.raises(ChecksumMismatch):
            await finalize(parts, media)
        assert (await parts.uploads.get(ANN, media)).state is State.UPLOADING
        assert await parts.usage("ann") == (0, SIZE)
    await put(parts, media, RIGHT)
    await published(parts, media)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("length", [CELL, 2 * CELL, 3 * CELL])
async def test_a_part_of_other_bytes_is_replaced_too(
    parts: Parts, places: tuple[int, ...], length: int
) -> None:
    media = await create(parts)
    await put(parts, media, other(*places)[:length])
    await put(parts, media, RIGHT)
    await published(parts, media)


async def test_the_last_body_counts(parts: Parts, elsewhere: Parts) -> None:
    media = await create(parts)
    for number in range(8):
        body = other(random.Random(number).randrange(SIZE))
        await put((parts, elsewhere)[number % 2], media, body)
        assert await read(parts, await parts.uploads.get(ANN, media)) == body
        assert await parts.pieces(media) <= 8, "what was replaced before is gone"
        assert await parts.usage("ann") == (0, SIZE)
    await put(parts, media, RIGHT)
    await published(parts, media)


async def test_a_body_of_others_that_broke_off_is_completed_by_the_right_one(parts: Parts) -> None:
    media = await create(parts)
    await put(parts, media, RIGHT)
    await put(parts, media, other(2 * CELL)[: 3 * CELL])  # had the first two cells in common
    with pytest.raises(Incomplete):
        await finalize(parts, media)
    await put(parts, media, RIGHT)
    await published(parts, media)


async def test_pieces_from_elsewhere_are_gone_on_with(parts: Parts) -> None:
    media = await create(parts)
    upload = await parts.uploads.join(ANN, media)
    piece = RIGHT[CELL : 2 * CELL]
    await parts.uploads.write(upload, CELL, piece, crc32c(piece))
    await put(parts, media, RIGHT)
    assert (await parts.uploads.get(ANN, media)).attempt == 0
    await published(parts, media)


async def test_an_upload_does_not_begin_again_for_ever(parts: Parts) -> None:
    media = await create(parts)
    await put(parts, media, other(0))
    await parts.database.manifests.update_one({}, {"$set": {"attempt": MAX_ATTEMPT - 1}})
    parts.clock.now += 2
    await put(parts, media, other(1))
    await put(parts, media, other(2))
    with pytest.raises(ChunkConflict, match="abort"):
        await put(parts, media, RIGHT)
    await parts.uploads.delete(ANN, media)
    assert await parts.database.chunks.count_documents({}) == 0


# -- beside others


async def test_a_published_file_is_not_replaced(parts: Parts, elsewhere: Parts) -> None:
    media = await create(parts)
    await put(parts, media, RIGHT)
    early = await elsewhere.uploads.join(ANN, media)
    await published(parts, media)
    for each in (parts, elsewhere):
        with pytest.raises(AlreadyComplete):
            await put(each, media, other(CELL))
    with pytest.raises(AlreadyComplete):
        await store(elsewhere.uploads, early, cells(other(0)), PLENTY)
    await published(parts, media)


async def test_a_deleted_or_expired_one_takes_nothing(parts: Parts) -> None:
    deleted, expired = await create(parts), await create(parts)
    for media, reason in ((deleted, NotFound), (expired, Gone)):
        upload = await parts.uploads.join(ANN, media)
        await put(parts, media, other(CELL))
        if media == deleted:
            await parts.uploads.delete(ANN, media)
        else:
            parts.clock.now += TTL + 1
            await parts.sweeper.sweep()
        with pytest.raises(reason):
            await store(parts.uploads, upload, cells(RIGHT), PLENTY)
    assert await parts.database.chunks.count_documents({}) == 0
    assert await parts.usage("ann") == (0, 0)


@pytest.mark.parametrize("places", [(0,), (CELL,), (3 * CELL,)])
@pytest.mark.parametrize("cell", range(4))
async def test_what_is_said_to_be_stored_is_what_was_sent(
    parts: Parts, elsewhere: Parts, places: tuple[int, ...], cell: int
) -> None:
    """One body comes whole while another one waits."""
    media, body, others = await create(parts), Halting(RIGHT, cell), other(*places)
    upload = await parts.uploads.join(ANN, media)
    slow = asyncio.ensure_future(store(parts.uploads, upload, aiter(body), PLENTY))
    await body.waits.wait()
    await put(elsewhere, media, others)
    body.goes_on.set()
    (told,) = await asyncio.gather(slow, return_exceptions=True)
    assert told is None or isinstance(told, ChunkConflict), told
    stored = await read(parts, await parts.uploads.get(ANN, media))
    assert stored == (RIGHT if told is None else others)
    await put(parts, media, RIGHT)
    await published(parts, media)


async def test_who_is_overtaken_hears_of_it(parts: Parts, elsewhere: Parts) -> None:
    media, body = await create(parts), Halting(other(1, CELL), 1)
    upload = await parts.uploads.join(ANN, media)
    slow = asyncio.ensure_future(store(parts.uploads, upload, aiter(body), PLENTY))
    await body.waits.wait()
    await put(elsewhere, media, RIGHT)
    body.goes_on.set()
    with pytest.raises(ChunkConflict, match="same time"):
        await slow
    await published(parts, media)


async def test_bytes_that_are_replaced_while_they_are_checked_are_not_published(
    parts: Parts, database: Database, steps: Steps
) -> None:
    """Another body comes before each operation of finalizing."""
    number = 0
    while number == 0 or steps.taken >= number:
        number += 1
        media, stepping = await create(parts), Parts(steps, parts.clock)
        await put(parts, media, RIGHT)
        steps.taken = 0

        async def replace(media: str = media) -> None:
            try:
                await put(parts, media, other(CELL))
            except AlreadyComplete:
                return

        steps.before(number, replace)
        try:
            manifest = await finalize(stepping, media)
        except (Unavailable, ChecksumMismatch, Incomplete):
            await put(parts, media, RIGHT)
            manifest = await finalize(parts, media)
        assert await read(parts, manifest) == RIGHT
        assert await parts.audit() == []
        await parts.uploads.delete(ANN, media)
    assert number > 8


@pytest.mark.parametrize("places", [(0,), (CELL,), (3 * CELL,)])
async def test_a_crash_anywhere_in_a_body_is_made_good_by_the_next(
    parts: Parts, steps: Steps, places: tuple[int, ...]
) -> None:
    number = 0
    while True:
        number += 1
        media = await create(parts)
        await put(parts, media, other(*places))
        stepping = Parts(steps, parts.clock)
        steps.crash_before(number)
        try:
            await put(stepping, media, RIGHT)
        except Crash:
            steps.recover()
        else:
            steps.recover()
            break
        parts.clock.now += 2  # what a process has in mind of an upload is at most a second old
        await put(parts, media, RIGHT)
        assert await read(parts, await finalize(parts, media)) == RIGHT
        assert await parts.audit() == []
        await parts.uploads.delete(ANN, media)
    assert number > 5


async def test_many_bodies_at_once_end_in_one_of_them(parts: Parts, elsewhere: Parts) -> None:
    for trial in range(5):
        media = await create(parts)
        bodies = [RIGHT, other(0), other(CELL), other(2 * CELL), RIGHT]
        told = await asyncio.gather(
            *(put((parts, elsewhere)[i % 2], media, body) for i, body in enumerate(bodies)),
            return_exceptions=True,
        )
        for each in told:
            assert each is None or isinstance(each, (ChunkConflict, Unavailable)), each
        await put(parts, media, RIGHT)
        assert await read(parts, await finalize(parts, media)) == RIGHT
        assert await parts.audit() == []
        await parts.uploads.delete(ANN, media)
        assert await parts.usage("ann") == (0, 0), trial


def test_what_comes_late_of_an_earlier_attempt_is_nothing_new() -> None:
    def manifest(attempt: int, upload_size: int) -> Manifest:
        return Manifest(
            id="0" * 24,
            user_id="ann",
            name="a",
            size=SIZE,
            chunk_size=CELL,
            created_at=0,
            updated_at=0,
            expires_at=None,
            attempt=attempt,
            upload_size=upload_size,
        )

    upload = OpenUpload(manifest(0, 500), 700, 0)
    upload.know(manifest(0, 600), 600)
    assert (upload.manifest.upload_size, upload.stored) == (600, 700)
    upload.know(manifest(1, 0), 0)
    assert (upload.manifest.attempt, upload.stored) == (1, 0)
    upload.know(manifest(0, 900), 900)
    assert (upload.manifest.attempt, upload.stored) == (1, 0)
