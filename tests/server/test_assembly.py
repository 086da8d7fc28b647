"""The parts on a real database, put together as the server and `lading janitor` get them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import CoroutineType

import pytest

from lading.server.assembly import open_assembly
from lading.server.settings import load
from lading.storage.clock import DatabaseClock, PlainClock
from lading.storage.embedded.process import EmbeddedMongo


async def test_it_is_empty_and_well_at_first(tmp_path: Path, database_url: str) -> None:
    async with AsyncExitStack() as stack:
        settings = load(data=tmp_path, default_quota=10**6)
        parts = await open_assembly(settings, stack, url=database_url)
        assert [finding async for finding in parts.janitor.auditor().findings()] == []
        assert await parts.janitor.reconcile() == []
        assert (await parts.storage.quotas.account("ann")).quota == 10**6
        assert isinstance(parts.storage.clock, DatabaseClock)
        parts.storage.free_space.check()


async def test_the_time_of_all_parts_may_be_given(tmp_path: Path, database_url: str) -> None:
    async with AsyncExitStack() as stack:
        settings = load(data=tmp_path)
        parts = await open_assembly(settings, stack, url=database_url, clock=lambda: 5.0)
        assert parts.storage.clock() == 5.0
        assert parts.storage.clock.settled
        await parts.storage.clock.settle()
        await parts.storage.clock.keep()
        assert isinstance(parts.storage.clock, PlainClock)


@pytest.mark.parametrize("janitor", [True, False])
async def test_a_server_without_a_janitor_still_works_its_todo_off(
    tmp_path: Path, database_url: str, janitor: bool
) -> None:
    async with AsyncExitStack() as stack:
        settings = load(data=tmp_path, janitor=janitor)
        work = (await open_assembly(settings, stack, url=database_url)).background()
        names = set()
        for each in work:
            assert isinstance(each, CoroutineType)
            names.add(each.__qualname__)
            each.close()
        assert {"Todo.run", "FreeSpace.watch", "DatabaseClock.keep"} <= names
        assert ("JanitorLoop.run" in names) is janitor


async def test_only_the_database_of_the_data_directory_is_ladings_own(
    tmp_path: Path, database_url: str
) -> None:
    async with AsyncExitStack() as stack:
        mine = tmp_path / "mine"
        mine.mkdir()
        embedded = EmbeddedMongo(mine)
        stack.push_async_callback(embedded.stop)
        url = await embedded.start()
        assert (await open_assembly(load(data=mine), stack, url=url)).embedded
        assert not (await open_assembly(load(data=tmp_path), stack, url=url)).embedded
        assert not (await open_assembly(load(data=mine), stack, url=database_url)).embedded
