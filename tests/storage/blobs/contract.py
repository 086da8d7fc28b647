"""What every driver of bytes must do: one suite, run by the test file of each driver.

A driver's file subclasses `Contract`, or `HomeContract` where no pieces arrive, and gives the
fixture `rig`. Breaking connections and damaged
bytes are part of the contract, so a rig knows how to bring them about.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import ChunkConflict, Internal, Unavailable
from lading.protocol.manifest import MAX_ATTEMPT, Manifest, Piece
from lading.storage.blobs.base import Blobs, Ingest, Moved
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from tests.support.blobs import finished
from tests.support.database_faults import BreakingCollection


class HomeRig(Protocol):
    """A home on a store of its own, and the ways in which that store can fail."""

    @property
    def blobs(self) -> Blobs: ...

    @property
    def chunks(self) -> Chunks: ...

    async def damage(self, upload_id: str, slice_start: int) -> None:
        """Change one bit of the stored bytes, as a bad disk does."""
        ...

    async def lose(self, upload_id: str, slice_start: int) -> None:
        """Make the stored bytes shorter by one."""
        ...

    async def bytes_kept(self, upload_id: str) -> int:
        """How many bytes of an upload the store holds, with or without their document."""
        ...

    async def pictures_kept(self, upload_id: str) -> int:
        """How many pictures of a file the store holds."""
        ...


@runtime_checkable
class Rig(HomeRig, Protocol):
    """The same of an ingest store."""

    @property
    def blobs(self) -> Ingest: ...

    @property
    def farthest(self) -> int:
        """The largest offset in a file that the store takes."""
        ...

    @property
    def commits(self) -> BreakingCollection:
        """Where the documents of pieces are kept; its connection breaks when told to."""
        ...


def piece(start: int, data: bytes) -> Piece:
    return Piece(start, len(data), crc32c(data))


def manifest(upload_id: str, *pieces: Piece, **more: Any) -> Manifest:
    """The manifest of a finished file of these pieces."""
    return finished(upload_id, **{"size": sum(each.size for each in pieces)} | more)


async def store(rig: HomeRig, count: int = 3, *, attempt: int = 0, **more: Any) -> File:
    """A finished file of `count` pieces. Where no pieces arrive, the home takes it."""
    upload_id, pieces, contents = new_id(), [], []
    for index in range(count):
        data = os.urandom(1000)
        placed = piece(attempt * 2**53 + index * 1000, data)
        if isinstance(rig, Rig):
            await rig.blobs.write(upload_id, placed, data)
        else:
            await rig.chunks.write(upload_id, placed)
        pieces.append(piece(index * 1000, data))
        contents.append(data)
    whole = crc32c(b"".join(contents))
    file = File(
        manifest(upload_id, *pieces, attempt=attempt, crc32c=whole, **more), pieces, contents
    )
    if not isinstance(rig, Rig):
        await rig.blobs.take(file.manifest, file.stream())
    return file


@dataclass(frozen=True)
class File:
    manifest: Manifest
    pieces: list[Piece]
    contents: list[bytes]

    async def stream(self) -> AsyncIterator[tuple[Piece, bytes]]:
        """What `take` gets."""
        for each in zip(self.pieces, self.contents, strict=True):
            yield each

    async def read(self, rig: HomeRig) -> list[bytes | None]:
        """The bytes of the pieces as they are stored now."""
        zero = self.manifest.attempt * 2**53
        found = [await read(rig, self.manifest.id, zero + p.slice_start) for p in self.pieces]
        return [None if each is None else each[1] for each in found]


async def read(
    rig: HomeRig, upload_id: str, place: int, by: Blobs | None = None
) -> tuple[Piece, bytes] | None:
    """The piece that is listed at a place and its bytes, read by the rig's driver or another."""
    listed = await rig.chunks.at(upload_id, place)
    if listed is None:
        return None
    return listed, await (by or rig.blobs).read(upload_id, [listed])


async def delete(rig: HomeRig, upload_id: str, most: int, before: int | None = None) -> int:
    """Delete pieces of an upload, whatever attempts it has."""
    return await rig.blobs.delete(manifest(upload_id, attempt=MAX_ATTEMPT), most, before)


async def nothing() -> None:
    """A check that never raises."""


class HomeContract:
    """What each home must do."""

    async def test_damaged_bytes_are_never_served(self, rig: HomeRig) -> None:
        file = await store(rig)
        await rig.damage(file.manifest.id, 0)
        with pytest.raises(Internal) as told:
            await read(rig, file.manifest.id, 0)
        assert told.value.extra == {"upload_id": file.manifest.id, "slice_start": 0}
        assert await read(rig, file.manifest.id, 1000) == (file.pieces[1], file.contents[1])

    async def test_bytes_that_are_gone_are_told(self, rig: HomeRig) -> None:
        file = await store(rig, 1)
        await rig.lose(file.manifest.id, 0)
        with pytest.raises(Internal):
            await read(rig, file.manifest.id, 0)

    @pytest.mark.parametrize("attempt", [0, 2])
    async def test_pieces_that_follow_each_other_are_read_at_once(
        self, rig: HomeRig, attempt: int
    ) -> None:
        file = await store(rig, attempt=attempt)
        listed = [each async for each in rig.chunks.pieces(file.manifest.id)]
        for start in range(3):
            for end in range(start + 1, 4):
                found = await rig.blobs.read(file.manifest.id, listed[start:end])
                assert found == b"".join(file.contents[start:end])

    async def test_of_pieces_that_are_read_at_once_the_damaged_one_is_told(
        self, rig: HomeRig
    ) -> None:
        file = await store(rig)
        await rig.damage(file.manifest.id, 1000)
        with pytest.raises(Internal) as told:
            await rig.blobs.read(file.manifest.id, file.pieces)
        assert told.value.extra == {"upload_id": file.manifest.id, "slice_start": 1000}

    async def test_nothing_is_read_where_no_piece_of_a_file_begins(self, rig: HomeRig) -> None:
        file = await store(rig)
        for place in (1, 3000, 2**53):
            assert await read(rig, file.manifest.id, place) is None

    @pytest.mark.parametrize("public", [False, True])
    @pytest.mark.parametrize("attempt", [0, 2])
    async def test_a_placed_file_is_read_and_placing_may_be_repeated(
        self, rig: HomeRig, attempt: int, public: bool
    ) -> None:
        file = await store(rig, attempt=attempt, public=public)
        for _ in range(2):
            await rig.blobs.place(file.manifest)
            assert await file.read(rig) == file.contents
        assert await rig.bytes_kept(file.manifest.id) == 3000

    async def test_a_file_may_become_public_and_private_again(self, rig: HomeRig) -> None:
        file = await store(rig)
        for public in (True, False, True):
            await rig.blobs.place(replace(file.manifest, public=public))
            assert await file.read(rig) == file.contents
        assert await rig.bytes_kept(file.manifest.id) == 3000

    async def test_an_empty_file_is_placed_and_deleted(self, rig: HomeRig) -> None:
        empty = manifest(new_id())
        await rig.blobs.place(empty)
        await rig.blobs.place(replace(empty, public=True))
        assert await rig.blobs.delete(empty, 10) == 0
        assert await rig.bytes_kept(empty.id) == 0

    async def test_placing_many_at_once_is_placing_once(self, rig: HomeRig) -> None:
        file = await store(rig)
        await asyncio.gather(*(rig.blobs.place(file.manifest) for _ in range(3)))
        assert await file.read(rig) == file.contents

    async def test_a_placed_file_is_deleted(self, rig: HomeRig) -> None:
        file = await store(rig)
        await rig.blobs.place(file.manifest)
        assert [await rig.blobs.delete(file.manifest, 2) for _ in range(3)] == [2, 1, 0]
        assert await file.read(rig) == [None] * 3
        assert await rig.bytes_kept(file.manifest.id) == 0

    async def test_what_was_dropped_is_listed_but_moved(self, rig: HomeRig) -> None:
        file, other = await store(rig), await store(rig)
        for each in (file, other):
            await rig.blobs.place(each.manifest)
        for _ in range(2):
            await rig.blobs.drop(file.manifest, nothing)
        assert await rig.bytes_kept(file.manifest.id) == 0
        for listed in file.pieces:
            assert await rig.chunks.at(file.manifest.id, listed.slice_start) == listed
            with pytest.raises(Moved):
                await read(rig, file.manifest.id, listed.slice_start)
        assert await other.read(rig) == other.contents

    @pytest.mark.parametrize("attempt", [0, 2])
    async def test_a_file_is_taken_and_taking_may_be_repeated(
        self, rig: HomeRig, attempt: int
    ) -> None:
        file = await store(rig, attempt=attempt)
        await rig.blobs.drop(file.manifest, nothing)
        for _ in range(2):
            await rig.blobs.take(file.manifest, file.stream())
            assert await file.read(rig) == file.contents
        assert await rig.bytes_kept(file.manifest.id) == 3000

    async def test_a_take_that_broke_off_may_be_repeated(self, rig: HomeRig) -> None:
        file = await store(rig)
        await rig.blobs.drop(file.manifest, nothing)

        async def broken() -> AsyncIterator[tuple[Piece, bytes]]:
            yield file.pieces[0], file.contents[0]
            raise Unavailable

        with pytest.raises(Unavailable):
            await rig.blobs.take(file.manifest, broken())
        await rig.blobs.take(file.manifest, file.stream())
        assert await file.read(rig) == file.contents

    async def test_an_empty_file_is_taken(self, rig: HomeRig) -> None:
        empty = File(manifest(new_id()), [], [])
        await rig.blobs.take(empty.manifest, empty.stream())
        assert await rig.bytes_kept(empty.manifest.id) == 0

    async def test_the_audit_hears_of_all_uploads_whose_bytes_are_here(self, rig: HomeRig) -> None:
        under_way, placed, public, dropped, deleted = [await store(rig) for _ in range(5)]
        await rig.blobs.place(placed.manifest)
        await rig.blobs.place(replace(public.manifest, public=True))
        await rig.blobs.drop(dropped.manifest, nothing)
        await rig.blobs.delete(deleted.manifest, 10)
        found = {each async for each in rig.blobs.uploads()}
        here = {each.manifest.id for each in (under_way, placed, public)}
        assert here <= found
        assert deleted.manifest.id not in found

    async def placed(self, rig: HomeRig, **more: Any) -> File:
        """A file in its final place."""
        file = await store(rig, 1, **more)
        await rig.blobs.place(file.manifest)
        return file

    async def test_a_picture_is_kept_beside_its_file_and_replaced(self, rig: HomeRig) -> None:
        file, other = await self.placed(rig), await self.placed(rig)
        upload_id = file.manifest.id
        assert await rig.blobs.picture(upload_id, "3") is None
        large = os.urandom(2**20)
        for data in (b"first", large, b"second", b"second"):
            await rig.blobs.put_picture(upload_id, "3", data)
            assert await rig.blobs.picture(upload_id, "3") == data
        await rig.blobs.put_picture(upload_id, "3-square", b"square")
        assert await rig.blobs.picture(upload_id, "3") == b"second"
        assert await rig.blobs.picture(upload_id, "4") is None
        assert await rig.blobs.picture(other.manifest.id, "3") is None
        assert await rig.pictures_kept(upload_id) == 2
        assert await file.read(rig) == file.contents

    async def test_one_picture_that_many_store_at_once_is_whole(self, rig: HomeRig) -> None:
        file = await self.placed(rig)
        rivals = [os.urandom(5000), os.urandom(6000)]
        await asyncio.gather(
            *(rig.blobs.put_picture(file.manifest.id, "1", data) for data in rivals)
        )
        assert await rig.blobs.picture(file.manifest.id, "1") in rivals
        assert await rig.pictures_kept(file.manifest.id) == 1

    async def test_pictures_go_with_their_file(self, rig: HomeRig) -> None:
        deleted, dropped, stays = [await self.placed(rig) for _ in range(3)]
        for file in (deleted, dropped, stays):
            for name in ("1", "6", "6-square"):
                await rig.blobs.put_picture(file.manifest.id, name, name.encode())
        await rig.blobs.delete(deleted.manifest, 10)
        await rig.blobs.drop(dropped.manifest, nothing)
        for file in (deleted, dropped):
            assert await rig.pictures_kept(file.manifest.id) == 0
            assert await rig.blobs.picture(file.manifest.id, "6") is None
        assert await rig.blobs.picture(stays.manifest.id, "6-square") == b"6-square"

    async def test_pictures_stay_with_a_file_that_becomes_public_and_private(
        self, rig: HomeRig
    ) -> None:
        public = await self.placed(rig, public=True)
        await rig.blobs.put_picture(public.manifest.id, "2", b"seen")
        for shown in (False, True, False):
            await rig.blobs.place(replace(public.manifest, public=shown))
            assert await rig.blobs.picture(public.manifest.id, "2") == b"seen"
        await rig.blobs.delete(public.manifest, 10)
        assert await rig.pictures_kept(public.manifest.id) == 0

    async def test_the_audit_hears_of_pictures_without_their_file(self, rig: HomeRig) -> None:
        file, other = await self.placed(rig), await self.placed(rig)
        await rig.blobs.put_picture(file.manifest.id, "1", b"left")
        assert {each async for each in rig.blobs.pictured()} == {file.manifest.id}
        await rig.blobs.delete(file.manifest, 10)
        assert [each async for each in rig.blobs.pictured()] == []
        assert {each async for each in rig.blobs.uploads()} == {other.manifest.id}


class Contract(HomeContract):
    """What each home must do that takes pieces while they arrive."""

    async def test_what_is_written_is_read(self, rig: Rig) -> None:
        upload_id = new_id()
        far = rig.farthest - 2**40
        for start, data in ((0, b"x"), (1024, os.urandom(100_000)), (far, os.urandom(4 * 2**20))):
            assert await rig.blobs.write(upload_id, piece(start, data), data) is True
            assert await read(rig, upload_id, start) == (piece(start, data), data)

    async def test_a_written_piece_is_committed(self, rig: Rig) -> None:
        upload_id = new_id()
        await rig.blobs.write(upload_id, piece(5, b"hallo"), b"hallo")
        assert [found async for found in rig.chunks.pieces(upload_id)] == [piece(5, b"hallo")]

    async def test_nothing_is_read_where_no_piece_begins(self, rig: Rig) -> None:
        upload_id = new_id()
        await rig.blobs.write(upload_id, piece(0, b"hallo"), b"hallo")
        assert await read(rig, upload_id, 1) is None
        assert await read(rig, upload_id, 5) is None
        assert await read(rig, new_id(), 0) is None

    async def test_once_more_changes_nothing(self, rig: Rig) -> None:
        upload_id, data = new_id(), os.urandom(1000)
        assert await rig.blobs.write(upload_id, piece(0, data), data) is True
        assert await rig.blobs.write(upload_id, piece(0, data), data) is False
        assert await rig.bytes_kept(upload_id) == 1000

    @pytest.mark.parametrize("size", [999, 1000, 1001])
    async def test_other_bytes_at_the_same_place_conflict(self, rig: Rig, size: int) -> None:
        upload_id, data, other = new_id(), os.urandom(1000), os.urandom(size)
        await rig.blobs.write(upload_id, piece(0, data), data)
        with pytest.raises(ChunkConflict):
            await rig.blobs.write(upload_id, piece(0, other), other)
        assert await read(rig, upload_id, 0) == (piece(0, data), data)

    async def test_pieces_of_a_chain_are_joined(self, rig: Rig) -> None:
        upload_id, contents = new_id(), [os.urandom(size) for size in (100, 1, 900)]
        chain, place = [], 2**53
        for data in contents:
            chain.append(piece(place, data))
            await rig.blobs.write(upload_id, chain[-1], data)
            place += len(data)
        whole = b"".join(contents)
        assert await rig.blobs.join(upload_id, chain)
        assert [each async for each in rig.chunks.pieces(upload_id)] == [piece(2**53, whole)]
        assert await read(rig, upload_id, 2**53) == (piece(2**53, whole), whole)
        for first, last in ((0, 3), (0, 1), (1, 3), (2, 3)):
            # Who listed them before reads them still, or learns that they are listed as another.
            with suppress(Moved):
                data = await rig.blobs.read(upload_id, chain[first:last])
                assert data == b"".join(contents[first:last])
        assert await rig.bytes_kept(upload_id) == 1001
        # The first piece is another one by now: nothing is changed.
        assert not await rig.blobs.join(upload_id, chain)
        more = os.urandom(10)
        await rig.blobs.write(upload_id, piece(place, more), more)
        assert await read(rig, upload_id, place) == (piece(place, more), more)

    async def test_the_same_bytes_at_once_are_stored_once(self, rig: Rig) -> None:
        upload_id, data = new_id(), os.urandom(100_000)
        fresh = await asyncio.gather(
            *(rig.blobs.write(upload_id, piece(0, data), data) for _ in range(6))
        )
        assert sum(fresh) == 1
        assert await read(rig, upload_id, 0) == (piece(0, data), data)

    async def test_of_different_bytes_at_once_one_wins_and_is_whole(self, rig: Rig) -> None:
        upload_id = new_id()
        rivals = [os.urandom(100_000) for _ in range(4)]
        outcomes = await asyncio.gather(
            *(rig.blobs.write(upload_id, piece(0, data), data) for data in rivals),
            return_exceptions=True,
        )
        (winner,) = [d for d, outcome in zip(rivals, outcomes, strict=True) if outcome is True]
        assert sum(isinstance(outcome, ChunkConflict) for outcome in outcomes) == 3
        assert await read(rig, upload_id, 0) == (piece(0, winner), winner)

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_commit_whose_connection_broke_is_made_good(self, rig: Rig, when: str) -> None:
        upload_id, data = new_id(), os.urandom(1000)
        rig.commits.breaks = ["before", when]  # type: ignore[list-item]
        assert await rig.blobs.write(upload_id, piece(0, data), data) is (when == "before")
        assert await read(rig, upload_id, 0) == (piece(0, data), data)
        assert await rig.bytes_kept(upload_id) == 1000

    async def test_deleting_goes_in_batches_and_takes_bytes_and_documents(self, rig: Rig) -> None:
        upload_id, other = new_id(), new_id()
        for start in range(5):
            await rig.blobs.write(upload_id, piece(start, b"x"), b"x")
        await rig.blobs.write(other, piece(0, b"y"), b"y")
        assert [await delete(rig, upload_id, 2) for _ in range(4)] == [
            2,
            2,
            1,
            0,
        ]
        assert [found async for found in rig.chunks.pieces(upload_id)] == []
        assert await rig.bytes_kept(upload_id) == 0
        assert await read(rig, other, 0) == (piece(0, b"y"), b"y")

    async def test_deleting_what_lies_before_a_place_leaves_the_rest(self, rig: Rig) -> None:
        far = rig.farthest
        upload_id, starts = new_id(), [0, 1, far, 2**53, 2**53 + 1, 1000 * 2**53 + far]
        for start in starts:
            await rig.blobs.write(upload_id, piece(start, b"x"), b"x")
        assert await delete(rig, upload_id, 2, 2**53) == 2
        assert await delete(rig, upload_id, 2, 2**53) == 1
        assert await delete(rig, upload_id, 2, 2**53) == 0
        assert [each.slice_start async for each in rig.chunks.pieces(upload_id)] == starts[3:]
        assert await rig.bytes_kept(upload_id) == 3
        assert await read(rig, upload_id, 2**53) == (piece(2**53, b"x"), b"x")
        assert await delete(rig, upload_id, 10) == 3

    async def test_one_piece_can_be_removed(self, rig: Rig) -> None:
        upload_id = new_id()
        first, second = Piece(0, 8, crc32c(b"a" * 8)), Piece(8, 8, crc32c(b"b" * 8))
        await rig.blobs.write(upload_id, first, b"a" * 8)
        await rig.blobs.write(upload_id, second, b"b" * 8)
        for _ in range(2):
            await rig.blobs.remove(upload_id, 8)
        assert await read(rig, upload_id, 8) is None
        assert [piece async for piece in rig.chunks.pieces(upload_id)] == [first]

    async def test_deleting_twice_at_once_is_no_harm(self, rig: Rig) -> None:
        upload_id = new_id()
        for start in range(20):
            await rig.blobs.write(upload_id, piece(start, b"x"), b"x")
        await asyncio.gather(*(delete(rig, upload_id, 100) for _ in range(3)))
        assert await rig.bytes_kept(upload_id) == 0

    async def test_a_deleted_piece_can_be_written_anew(self, rig: Rig) -> None:
        upload_id = new_id()
        await rig.blobs.write(upload_id, piece(0, b"old"), b"old")
        await delete(rig, upload_id, 10)
        assert await rig.blobs.write(upload_id, piece(0, b"newer"), b"newer") is True
        assert await read(rig, upload_id, 0) == (piece(0, b"newer"), b"newer")
