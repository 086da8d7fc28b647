"""Channels that wait for their next upload, and those that are opened early."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lading.client.backoff import Timing
from lading.client.channel import Channel
from lading.client.channels import MOST, REST_SECONDS, Channels, Early
from lading.client.client import Client
from tests.support.fake_server import Fake


class Stub(Channel):
    """A channel without a socket."""

    def __init__(self) -> None:
        self.fit = True
        self.closed = False
        self.welcomed = True

    @property
    def usable(self) -> bool:
        return self.fit

    async def close(self) -> None:
        self.closed = True


class Pool:
    """Channels of stubs, at a time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.dialed: list[Stub] = []
        self.channels = Channels(Timing(clock=lambda: self.now))

    async def dial(self) -> Channel:
        self.dialed.append(Stub())
        return self.dialed[-1]

    async def take(self) -> Channel:
        channel, _ = await self.channels.take(self.dial)
        return channel

    def early(self, *, wanted: bool = True) -> Early:
        return Early(self.channels, self.dial, wanted=wanted)


async def test_channel_of_an_upload_that_ended_carries_the_next() -> None:
    pool = Pool()
    first = await pool.take()
    await pool.channels.give(first)
    pool.now += REST_SECONDS - 1
    assert await pool.take() is first
    assert await pool.take() is not first  # it carries one at a time


async def test_channel_that_rested_for_long_is_closed() -> None:
    pool = Pool()
    first = await pool.take()
    await pool.channels.give(first)
    pool.now += REST_SECONDS
    assert await pool.take() is not first
    assert pool.dialed[0].closed


async def test_channel_that_ended_meanwhile_is_closed() -> None:
    pool = Pool()
    first, second = await pool.take(), await pool.take()
    await pool.channels.give(first)
    pool.dialed[0].fit = pool.dialed[1].fit = False
    await pool.channels.give(second)
    assert pool.dialed[1].closed
    assert await pool.take() not in (first, second)


async def test_only_so_many_rest_and_all_are_closed_in_the_end() -> None:
    pool = Pool()
    for channel in [await pool.take() for _ in range(MOST + 1)]:
        await pool.channels.give(channel)
    assert [stub.closed for stub in pool.dialed] == [False] * MOST + [True]
    await pool.channels.close()
    assert all(stub.closed for stub in pool.dialed)


async def test_early_one_is_opened_before_it_is_needed() -> None:
    pool = Pool()
    async with pool.early() as early:
        await asyncio.sleep(0)
        (opened,) = pool.dialed
        assert await early.take() is opened
    assert not opened.closed


async def test_early_one_that_nobody_needed_is_kept() -> None:
    pool = Pool()
    async with pool.early():
        await asyncio.sleep(0)
    assert await pool.take() is pool.dialed[0]


async def test_early_one_that_nobody_needs_grows_old_all_the_same() -> None:
    pool = Pool()
    for _ in range(2):
        async with pool.early():
            await asyncio.sleep(0)
        pool.now += 0.6 * REST_SECONDS
    assert len(pool.dialed) == 1
    assert await pool.take() is pool.dialed[1]


async def test_early_one_that_waited_for_long_is_replaced() -> None:
    pool = Pool()
    async with pool.early() as early:
        await asyncio.sleep(0)
        pool.now += REST_SECONDS
        assert await early.take() is pool.dialed[1]
    assert pool.dialed[0].closed


async def test_early_one_that_the_server_closed_says_itself_why() -> None:
    pool = Pool()
    async with pool.early() as early:
        await asyncio.sleep(0)
        (opened,) = pool.dialed
        opened.welcomed = opened.fit = False
        assert await early.take() is opened
    assert len(pool.dialed) == 1


async def test_without_a_wish_nothing_is_opened_early() -> None:
    pool = Pool()
    async with pool.early(wanted=False) as early:
        await asyncio.sleep(0)
        assert pool.dialed == []
        assert await early.take() is pool.dialed[0]


async def test_error_of_an_early_one_is_told_to_who_takes_it_and_to_nobody_else() -> None:
    async def fails() -> Channel:
        raise OSError("gone")

    async with Early(Pool().channels, fails, wanted=True):
        await asyncio.sleep(0)
    async with Early(Pool().channels, fails, wanted=True) as early:
        with pytest.raises(OSError, match="gone"):
            await early.take()


async def test_uploads_one_after_the_other_share_a_channel(fake: Fake, tmp_path: Path) -> None:
    async with Client(fake.url, "secret") as client:
        for number in range(3):
            path = tmp_path / str(number)
            path.write_bytes(bytes([number]) * 100_000)
            await client.upload(path)
    assert fake.connections == 1
    assert len(fake.uploads) == 3
