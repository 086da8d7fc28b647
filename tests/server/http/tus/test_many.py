"""Many small PATCHes, and many that hang: memory, documents and time stay in proportion.

`LADING_PATCHES=full` takes 10,000 PATCHes and 200 connections; without it they are fewer.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from bson import ObjectId

from lading.protocol.manifest import LONG_CHAIN
from tests.conftest import Mongo
from tests.support.raw import Raw, raw
from tests.support.servers import process
from tests.support.tus import BYTES, content, create, offset_of, patch

FULL = os.environ.get("LADING_PATCHES") == "full"
PATCHES, HANGING = (10_000, 200) if FULL else (300, 24)
SMALL = 100
MIB = 2**20


def pieces_of(mongo: Mongo, database_url: str, upload_id: str) -> int:
    """How many documents the pieces of an upload are."""
    name = urlsplit(database_url).path.rsplit("/", 1)[1]
    return mongo[name]["chunks"].count_documents({"upload_id": ObjectId(upload_id)})


@pytest.mark.timeout(3600 if FULL else 120)
async def test_many_small_patches_are_few_pieces(
    tmp_path: Path,
    mongo: Mongo,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = Random(1).randbytes(PATCHES * SMALL)
    with process(tmp_path, database_url) as server:
        path = await create(server, len(data))
        upload_id = path.rsplit("/", 1)[1]
        most, halves = 0, list[float]()
        async with raw(server) as connection:
            for half in range(2):
                if half:
                    server.forget_peak()
                    before = server.resident
                began = server.worked
                for number in range(half * PATCHES // 2, (half + 1) * PATCHES // 2):
                    start = number * SMALL
                    headers = {**BYTES, "upload-offset": str(start)}
                    told = await connection.ask("PATCH", path, headers, data[start : start + SMALL])
                    assert (told.status, told["upload-offset"]) == (204, str(start + SMALL))
                    if number % 97 == 0:
                        most = max(most, pieces_of(mongo, database_url, upload_id))
                halves.append(server.worked - began)
        grown = server.peak - before
        assert most <= LONG_CHAIN
        assert pieces_of(mongo, database_url, upload_id) <= LONG_CHAIN
        assert grown < 16 * MIB
        # The second half copies what the first half left: up to one cell for each 128 requests.
        assert halves[1] < 2 * halves[0] + 0.5
        assert await content(server, path) == data
    with capsys.disabled():
        print(
            f"\n{PATCHES} PATCHes of {SMALL} bytes: at most {most} pieces, {grown / MIB:.1f} MiB "
            f"more memory, server CPU {halves[0]:.2f} s and {halves[1]:.2f} s for the halves"
        )


@pytest.mark.timeout(3600 if FULL else 120)
async def test_connections_that_hang_lock_nothing_and_cost_little(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of them at one upload, where each ends the one before it, half at others."""
    budget, sent = 32 * MIB, 300_000
    data = Random(2).randbytes(sent + 10)
    with process(tmp_path, database_url, byte_budget=budget) as server:
        async with AsyncExitStack() as stack:
            shared = await create(server, len(data))
            await patch(server, shared, 0, data[:1])
            own = [await create(server, len(data)) for _ in range(HANGING // 2)]
            server.forget_peak()
            before = server.resident
            older: list[Raw] = []
            for number in range(HANGING // 2):
                connection = await stack.enter_async_context(raw(server))
                start = await offset_of(server, shared)
                assert start <= number + 1
                await hang(connection, shared, start, data[start : start + 1], len(data))
                older.append(connection)
            alive = [await stack.enter_async_context(raw(server)) for _ in own]
            await asyncio.gather(
                *(
                    hang(connection, path, 0, data[:sent], len(data))
                    for connection, path in zip(alive, own, strict=True)
                )
            )
            offsets = await asyncio.gather(*(offset_of(server, path) for path in own))
            ended = await asyncio.gather(*(each.answer() for each in [*older[:-1], *alive]))
            assert {answer.status for answer in ended} == {409}
            for path, offset in zip(own, offsets, strict=True):
                assert (await patch(server, path, offset, data[offset:])).status == 204
            last = await offset_of(server, shared)
            assert (await patch(server, shared, last, data[last:])).status == 204
            grown = server.peak - before
        for path in (shared, own[0], own[-1]):
            assert await content(server, path) == data
        assert grown < budget + HANGING * MIB // 4
    with capsys.disabled():
        print(f"\n{HANGING} PATCHes that hang: nobody gets 423, {grown / MIB:.1f} MiB more memory")


async def hang(connection: Raw, path: str, start: int, data: bytes, length: int) -> None:
    """Begin a PATCH, and send no more than this of it."""
    headers = {**BYTES, "upload-offset": str(start), "content-length": str(length - start)}
    await connection.head("PATCH", path, {**headers, "expect": "100-continue"})
    assert (await connection.one()).status == 100  # from now on it has the turn
    await connection.send(data)
