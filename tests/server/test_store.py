"""The store: room on the disk, the janitor of a process, accounts that are set right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from lading.protocol.errors import StorageFull, Unavailable
from lading.server import store as module
from lading.server.settings import load
from lading.server.store import RECOUNT_SECONDS, FreeSpace, Store, janitor, open_store
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.support.servers import Inside, inside, until
from tests.support.users import refusal
from tests.support.wire import CREATE, channel

FLOOR = 1000


class Disk(Database):
    """A database whose disk is as full as is said."""

    free: int | None = FLOOR
    down = False
    looks = 0

    async def free_space(self) -> int | None:
        self.looks += 1
        if self.down:
            raise Unavailable
        return self.free


@pytest.fixture
def disk(database: Database) -> Disk:
    return Disk(database.client)


# -- room


@pytest.mark.parametrize(
    ("free", "is_room"),
    [(FLOOR + 1, True), (FLOOR, True), (FLOOR - 1, False), (0, False), (None, True)],
)
async def test_below_the_floor_there_is_no_room(
    disk: Disk, free: int | None, is_room: bool
) -> None:
    disk.free = free
    room = FreeSpace(disk, FLOOR)
    await room.look()
    if is_room:
        room.check()
        return
    with pytest.raises(StorageFull, match=f"{free} bytes left") as caught:
        room.check()
    assert caught.value.extra == {"free": free}
    assert caught.value.retryable


async def test_what_was_not_looked_at_is_taken_to_have_room(disk: Disk) -> None:
    FreeSpace(disk, 2**60).check()


async def test_a_real_disk_has_some_room_and_an_end(database: Database) -> None:
    for floor, is_room in ((1, True), (2**60, False)):
        room = FreeSpace(database, floor)
        await room.look()
        if is_room:
            room.check()
        else:
            with pytest.raises(StorageFull):
                room.check()


async def test_it_is_looked_at_again_also_after_the_database_was_down(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    room = FreeSpace(disk, FLOOR)
    watching = asyncio.create_task(room.watch())
    disk.free = 0
    await until(lambda: _is_full(room))
    disk.down = True
    looks = disk.looks
    await until(lambda: disk.looks > looks + 2)
    assert _is_full(room), "what was seen last holds"
    disk.down, disk.free = False, FLOOR
    await until(lambda: not _is_full(room))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()


def _is_full(free_space: FreeSpace) -> bool:
    try:
        free_space.check()
    except StorageFull:
        return True
    return False


@pytest.fixture
async def small(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Inside, list[int]]]:
    """A server, and the free space of its disk as the only item of a list."""
    free = [2**40]

    async def free_space(_database: Database) -> int:
        return free[0]

    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(Database, "free_space", free_space)
    async with inside(tmp_path, database_url, chunk_size=1024, free_space_floor=FLOOR) as server:
        yield server, free


async def test_a_full_server_takes_nothing_new_and_goes_on_when_there_is_room(
    small: tuple[Inside, list[int]],
) -> None:
    server, free = small
    piece = b"x" * 1024
    async with server.http() as http, channel(server) as wire:
        upload = await wire.create(1, 2048)
        await wire.chunk(1, 0, piece)
        await wire.stored(1)
        kept = (await http.post("/v1/files", content=b"kept")).json()["_id"]

        free[0] = FLOOR - 1
        await until_answer(http, 507)
        answer = await http.post("/v1/files", content=b"x")
        assert refusal(answer) == (507, "storage-full")
        assert (answer.json()["retryable"], answer.json()["free"]) == (True, FLOOR - 1)
        assert int(answer.headers["Retry-After"]) > 0
        new = await http.post("/v1/uploads", json={"name": "a", "size": 1})
        assert refusal(new) == (507, "storage-full")
        put = await http.put(f"/v1/uploads/{upload['id']}/chunks/1024", content=piece)
        assert refusal(put) == (507, "storage-full")
        await wire.chunk(1, 1024, piece)
        problem = await wire.refused(1, 1024)
        assert (problem["code"], problem["retryable"]) == ("storage-full", True)
        await wire.send(CREATE, 2, {"name": "a", "size": 1})
        assert (await wire.problem(2))["code"] == "storage-full"
        # What is there can be seen, fetched and deleted: that is how room is made.
        assert (await wire.resume(3, upload["id"]))["missing"] == [[1024, 2048]]
        assert (await http.get(f"/v1/files/{kept}")).content == b"kept"
        assert (await http.delete(f"/v1/files/{kept}")).status_code == 204
        assert (await http.get("/v1/usage")).json()["reserved"] == 2048

        free[0] = FLOOR
        await until_answer(http, 201)
        await wire.chunk(1, 1024, piece)
        await wire.stored(1)
        assert (await wire.finish(1))["size"] == 2048


async def until_answer(http: httpx.AsyncClient, status: int) -> None:
    """Wait until a new upload is answered with this status."""
    async with asyncio.timeout(10):
        while True:
            answer = await http.post("/v1/uploads", json={"name": "a", "size": 0})
            if answer.status_code == status:
                return


async def test_of_a_full_disk_no_quota_is_taken(small: tuple[Inside, list[int]]) -> None:
    server, free = small
    async with server.http() as http:
        free[0] = 0
        await until_answer(http, 507)
        before = (await http.get("/v1/usage")).json()
        await http.post("/v1/files", content=b"x" * 100)
        assert (await http.get("/v1/usage")).json() == before


# -- the store and its janitor


@pytest.fixture
async def store(tmp_path: Path, database_url: str) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        settings = load(data=tmp_path, default_quota=10**6)
        yield await open_store(settings, stack, url=database_url)


async def test_it_is_empty_and_well_at_first(store: Store) -> None:
    assert [finding async for finding in store.auditor().findings()] == []
    assert await store.reconcile() == []
    assert (await store.quotas.account("ann")).quota == 10**6
    store.free_space.check()


async def test_wrong_accounts_are_set_right_and_named(store: Store) -> None:
    for user_id in ("ann", "bob", "eve"):
        await store.quotas.reserve(user_id, new_id(), 10)
    wrong = {"$inc": {"charged": 7}}
    await store.database.quotas.update_many({"_id": {"$in": ["ann", "eve"]}}, wrong)
    first, second = sorted(await store.reconcile())
    assert first == "ann: used 7, recounted 0; reserved 10, recounted 10"
    assert second.startswith("eve: ")
    assert await store.reconcile() == []
    assert (await store.quotas.account("ann")).charged == 10


async def test_the_janitor_recounts_at_first_and_then_every_hour(store: Store) -> None:
    now = store.clock()
    hours = [0.0]
    loop = janitor(replace(store, clock=lambda: now + hours[0] * RECOUNT_SECONDS), 60)
    await store.quotas.reserve("ann", new_id(now + RECOUNT_SECONDS), 10)
    for hour, is_recounted in ((0.0, True), (0.5, False), (0.99, False), (1.0, True), (1.9, False)):
        hours[0] = hour
        await store.database.quotas.update_one({"_id": "ann"}, {"$set": {"charged": 99}})
        assert await loop.once() is not None
        account = await store.quotas.account("ann")
        assert account.charged == (10 if is_recounted else 99)


async def test_of_two_processes_janitors_one_works(store: Store) -> None:
    janitors = [janitor(store, 60) for _ in range(2)]
    reports = await asyncio.gather(*(each.once() for each in janitors))
    assert reports.count(None) == 1
