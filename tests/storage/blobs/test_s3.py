"""The home in a bucket, under the contract of all homes and against a real SeaweedFS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import Internal
from lading.protocol.manifest import Manifest, Piece, split
from lading.storage.blobs import s3_transfer
from lading.storage.blobs.base import Blobs, Traits
from lading.storage.blobs.s3 import S3Blobs, Unfinished
from lading.storage.blobs.s3_client import S3Error
from lading.storage.blobs.s3_transfer import IN_MEMORY, encoded, part_size
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.storage.blobs.contract import HomeContract, HomeRig, manifest
from tests.support.blobs import WRAPPED, wrap
from tests.support.seaweedfs import BUCKET, SeaweedFS


class S3Rig:
    def __init__(self, database: Database, seaweed: SeaweedFS, home: str, wrapped: str) -> None:
        self.chunks = Chunks(database)
        self.driver = S3Blobs(home, self.chunks, seaweed.options(), pauses=(0.0,))
        self.blobs: Blobs = wrap(self.driver, wrapped)

    async def damage(self, upload_id: str, slice_start: int) -> None:
        data = bytearray(await self._stored(upload_id))
        data[slice_start] ^= 1
        await self._put(upload_id, bytes(data))

    async def lose(self, upload_id: str, slice_start: int) -> None:
        piece = await self.chunks.at(upload_id, slice_start)
        assert piece is not None
        await self._put(upload_id, (await self._stored(upload_id))[: piece.end - 1])

    async def bytes_kept(self, upload_id: str) -> int:
        try:
            answer = await self.driver.client.call("head_object", Key=self.driver.key(upload_id))
        except S3Error as error:
            if error.absent:
                return 0
            raise
        size: int = answer["ContentLength"]
        return size

    async def pictures_kept(self, upload_id: str) -> int:
        folder = self.driver.key(upload_id)[:-1]
        answer = await self.driver.client.call("list_objects_v2", Prefix=folder)
        return sum(not each["Key"].endswith("/0") for each in answer.get("Contents", ()))

    async def _stored(self, upload_id: str) -> bytes:
        return await self.driver.client.read(self.driver.key(upload_id), 0, 2**40)

    async def _put(self, upload_id: str, data: bytes) -> None:
        await self.driver.client.call("put_object", Key=self.driver.key(upload_id), Body=data)


@pytest.fixture(params=WRAPPED)
async def rig(
    database: Database, seaweed: SeaweedFS, s3_home: str, request: pytest.FixtureRequest
) -> AsyncIterator[HomeRig]:
    rig = S3Rig(database, seaweed, s3_home, request.param)
    yield rig
    await rig.driver.close()


class TestS3Blobs(HomeContract):
    """All that the contract asks for."""


# -- transfers, against the store as it is


CELL = 1024


@dataclass(frozen=True)
class Source:
    """A file of `size` bytes in pieces of `cell`, as it comes from another home."""

    manifest: Manifest
    data: bytes

    async def pieces(self) -> AsyncGenerator[tuple[Piece, bytes], None]:
        for start, end in split(0, len(self.data), self.manifest.chunk_size):
            cut = self.data[start:end]
            yield Piece(start, len(cut), crc32c(cut)), cut


def source(size: int, cell: int = 2**20, **more: Any) -> Source:
    data = os.urandom(size)
    usual: dict[str, Any] = {"chunk_size": cell, "size": size, "crc32c": crc32c(data)}
    return Source(manifest(new_id(), **usual | more), data)


@pytest.fixture
async def home(database: Database, seaweed: SeaweedFS, s3_home: str) -> AsyncIterator[S3Blobs]:
    found = S3Blobs(s3_home, Chunks(database), seaweed.options(), pauses=(0.0,))
    yield found
    await found.close()


async def stored(home: S3Blobs, file: Source) -> bytes:
    return await home.client.read(home.key(file.manifest.id), 0, 2**40)


async def under_way(home: S3Blobs) -> list[Unfinished]:
    return [each async for each in home.unfinished()]


PART = 8 * 2**20


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 5 * PART + 12345])
async def test_a_file_of_any_size_becomes_one_object(home: S3Blobs, size: int) -> None:
    file = source(size)
    await home.take(file.manifest, file.pieces())
    head = await home.client.call(
        "head_object", Key=home.key(file.manifest.id), ChecksumMode="ENABLED"
    )
    assert (head["ContentLength"], head["ChecksumCRC32C"]) == (size, encoded(crc32c(file.data)))
    if size:
        assert await stored(home, file) == file.data
    assert await under_way(home) == []
    assert [each async for each in home.uploads()] == [file.manifest.id]


async def test_the_key_is_made_of_the_prefix_and_the_id(home: S3Blobs, s3_home: str) -> None:
    prefix = s3_home.split("/", 3)[3]
    assert home.key("65f000000000000000000abc") == f"{prefix}/bc/65f000000000000000000abc/0"


async def test_cells_of_any_size_make_whole_parts(home: S3Blobs) -> None:
    file = source(20 * 2**20, cell=3 * 2**20 - 1)
    await home.take(file.manifest, file.pieces())
    assert await stored(home, file) == file.data


async def test_what_is_there_already_is_not_sent_again(home: S3Blobs) -> None:
    file = source(3000, CELL)
    await home.take(file.manifest, file.pieces())

    async def never() -> AsyncGenerator[tuple[Piece, bytes], None]:
        raise AssertionError("it was read again")
        yield

    await home.take(file.manifest, never())


async def test_a_file_that_is_not_there_yet_is_sent_without_a_pause(
    database: Database, seaweed: SeaweedFS, s3_home: str
) -> None:
    home, file = S3Blobs(s3_home, Chunks(database), seaweed.options(), pauses=(60.0,)), source(9)
    try:
        async with asyncio.timeout(30):  # that there is no object is an answer, not a failure
            await home.take(file.manifest, file.pieces())
    finally:
        await home.close()


async def test_two_that_take_the_same_file_at_once_do_no_harm(home: S3Blobs) -> None:
    for size in (3000, PART + 3000):
        file = source(size)
        await asyncio.gather(*(home.take(file.manifest, file.pieces()) for _ in range(3)))
        assert await stored(home, file) == file.data
    assert await under_way(home) == []


async def test_an_object_that_is_not_of_the_file_is_replaced(home: S3Blobs) -> None:
    file = source(3000, CELL)
    key = home.key(file.manifest.id)
    await home.client.call("put_object", Key=key, Body=bytes(3000))
    await home.take(file.manifest, file.pieces())
    assert await stored(home, file) == file.data


@pytest.mark.parametrize("size", [3000, PART + 3000])
@pytest.mark.parametrize("wrong", ["short", "gap", "other bytes"])
async def test_a_source_that_is_not_the_file_leaves_nothing(
    home: S3Blobs, size: int, wrong: str
) -> None:
    file = source(size, CELL if size == 3000 else 2**20)
    pieces = [each async for each in file.pieces()]
    match wrong:
        case "short":
            pieces = pieces[:-1]
        case "gap":
            del pieces[len(pieces) // 2]
        case _:
            other = bytes(pieces[-1][0].size)
            pieces[-1] = (pieces[-1][0]._replace(crc32c=crc32c(other)), other)

    async def stream() -> AsyncGenerator[tuple[Piece, bytes], None]:
        for each in pieces:
            yield each

    with pytest.raises(Internal):
        await home.take(file.manifest, stream())
    assert [each async for each in home.uploads()] == []
    assert await under_way(home) == []


async def test_a_part_that_does_not_fit_into_memory_is_passed_on(
    home: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_transfer, "IN_MEMORY", 2**20)
    file = source(2 * PART + 12345)
    await home.take(file.manifest, file.pieces())
    assert await stored(home, file) == file.data


async def test_a_store_that_proves_nothing_is_read_back(
    home: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(*_: object) -> bytes:
        return bytes(3000)

    home._extras = False
    file, other = source(3000, CELL), source(3000, CELL)
    await home.take(file.manifest, file.pieces())
    assert await stored(home, file) == file.data
    monkeypatch.setattr(home.client, "read", damaged)
    with pytest.raises(Internal, match="did not keep"):
        await home.take(other.manifest, other.pieces())
    assert [each async for each in home.uploads()] == [file.manifest.id]


def test_parts_are_whole_cells_and_never_too_many() -> None:
    for cell in (1024, 2**20, 2**20 + 1, 9 * 2**20, 15 * 2**20):
        for size in (1, 2**30, 2**37, 5 * 2**40):
            part = part_size(size, cell)
            assert part % cell == 0
            assert part >= PART
            assert -(-size // part) <= 10_000
        assert part_size(2**30, cell) <= IN_MEMORY


# -- reading


async def test_pieces_that_follow_each_other_are_one_request(
    home: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = source(20 * CELL, CELL), home.client.read
    await home.take(file.manifest, file.pieces())
    asked: list[tuple[int, int]] = []

    async def counted(key: str, start: int, end: int) -> bytes:
        asked.append((start, end))
        return await read(key, start, end)

    monkeypatch.setattr(home.client, "read", counted)
    pieces = [piece async for piece, _ in file.pieces()]
    found = await home.read(file.manifest.id, pieces[2:17])
    assert found == file.data[2 * CELL : 17 * CELL]
    assert asked == [(2 * CELL, 17 * CELL)]


# -- deleting


async def test_parts_that_are_not_joined_are_deleted_with_the_file(home: S3Blobs) -> None:
    upload_id, other = new_id(), new_id()
    for each in (upload_id, other):
        await home.client.call("create_multipart_upload", Key=home.key(each))
    assert await home.delete(manifest(upload_id), 10) == 0
    assert [each.upload_id for each in await under_way(home)] == [other]
    await home.abort((await under_way(home))[0])
    assert await under_way(home) == []


async def test_who_may_not_list_parts_may_still_delete(
    home: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, call = source(3000, CELL), home.client.call

    async def denied(operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "list_multipart_uploads":
            raise S3Error("The credentials do not allow it.", "AccessDenied", 403)
        return await call(operation, **parameters)

    await home.take(file.manifest, file.pieces())
    monkeypatch.setattr(home.client, "call", denied)
    await home.delete(file.manifest, 10)
    assert [each async for each in home.uploads()] == []


async def test_what_is_not_ladings_is_not_listed(home: S3Blobs, s3_home: str) -> None:
    prefix = s3_home.split("/", 3)[3]
    for key in ("README", "bc/65f000000000000000000abd/0", "x/bc/65f000000000000000000abc/0"):
        await home.client.call("put_object", Key=f"{prefix}/{key}", Body=b"x")
    assert [each async for each in home.uploads()] == []


async def test_lists_of_more_than_one_page_are_read_to_their_end(
    home: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, call = [new_id() for _ in range(5)], home.client.call
    for each in ids:
        await home.client.call("put_object", Key=home.key(each), Body=b"x")
        await home.client.call("create_multipart_upload", Key=home.key(each))

    async def paged(operation: str, **parameters: Any) -> dict[str, Any]:
        limit = {"list_objects_v2": "MaxKeys", "list_multipart_uploads": "MaxUploads"}
        return await call(operation, **parameters | {limit[operation]: 2})

    monkeypatch.setattr(home.client, "call", paged)
    assert sorted([each async for each in home.uploads()]) == sorted(ids)
    assert sorted(each.upload_id for each in await under_way(home)) == sorted(ids)


# -- reading


async def test_a_presigned_address_answers_with_the_headers_that_are_signed(home: S3Blobs) -> None:
    file = source(3000, CELL)
    await home.take(file.manifest, file.pieces())
    disposition = "attachment; filename*=UTF-8''f%C3%BCr.png"
    address = await home.presigned_get(file.manifest, 60, "image/png", disposition)
    async with httpx.AsyncClient(trust_env=False) as http:
        whole = await http.get(address)
        cut = await http.get(address, headers={"Range": "bytes=10-19"})
        other = await http.get(address.replace("image%2Fpng", "text%2Fhtml"))
    assert (whole.status_code, whole.content) == (200, file.data)
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-disposition"] == disposition
    assert (cut.status_code, cut.content) == (206, file.data[10:20])
    assert other.status_code == 403


async def test_a_bucket_that_cannot_be_used_is_found(
    seaweed: SeaweedFS, database: Database
) -> None:
    usable = S3Blobs(f"s3://{BUCKET}/x", Chunks(database), seaweed.options(), pauses=())
    missing = S3Blobs("s3://no-such-bucket", Chunks(database), seaweed.options(), pauses=())
    await usable.check()
    with pytest.raises(S3Error, match="LADING_BLOBS"):
        await missing.check()
    await usable.close()
    await missing.close()


def test_the_driver_says_what_it_can_do() -> None:
    assert S3Blobs.traits == Traits(
        durable=True, ranges_while_uploading=False, presigns=True, largest_block=2 * 2**20
    )
