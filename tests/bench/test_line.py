"""The arithmetic of a long line, and the proxy that carries connections over one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.line import LARGEST_BLOCK, LEAST_BLOCK, Cuts, Lane, LineKind
from bench.peers import free_port
from bench.peers.line_proxy import Proxy

# A byte takes a millisecond, and half a second to the other end.
SLOW = LineKind(rate=1000, round_trip=1.0, queue=300)


def test_block_arrives_when_its_last_byte_has_crossed_the_line() -> None:
    assert Lane(SLOW).carry(100, now=10.0) == pytest.approx(10.0 + 0.1 + 0.5)


def test_blocks_follow_each_other_at_the_rate_of_the_line() -> None:
    lane = Lane(SLOW)
    due = [lane.carry(100, now=10.0) for _ in range(3)]
    assert due == pytest.approx([10.6, 10.7, 10.8])
    # Whoever comes later than the line is free waits for nobody.
    assert lane.carry(100, now=20.0) == pytest.approx(20.6)
    assert lane.carried == 400


def test_full_queue_makes_the_sender_wait_until_there_is_room() -> None:
    lane = Lane(SLOW)
    for _ in range(3):
        assert lane.wait(100, now=10.0) == 0
        lane.carry(100, now=10.0)
    assert lane.wait(100, now=10.0) == pytest.approx(0.1)
    assert lane.wait(300, now=10.0) == pytest.approx(0.3)
    assert lane.wait(100, now=10.1) == pytest.approx(0)


def test_block_longer_than_the_queue_waits_until_it_is_empty() -> None:
    lane = Lane(SLOW)
    assert lane.wait(1000, now=10.0) == 0
    lane.carry(100, now=10.0)
    assert lane.wait(1000, now=10.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("rate", "block"), [(1, LEAST_BLOCK), (6.25e6, 12_500), (1e12, LARGEST_BLOCK)]
)
def test_block_keeps_the_line_for_a_moment_only(rate: float, block: int) -> None:
    assert LineKind(rate, 0.1, 1000).block == block


def test_same_connections_are_cut_in_each_run() -> None:
    kind = LineKind(1e6, 0.1, 1000, cut_share=0.25)
    first, second = ([Cuts(kind)] * 2, [Cuts(kind)] * 2)
    assert [c.chosen(40) for c in first] == [c.chosen(40) for c in second]
    cuts = Cuts(kind)
    assert sum(len(cuts.chosen(10)) for _ in range(1000)) == pytest.approx(2500, rel=0.05)
    assert Cuts(LineKind(1e6, 0.1, 1000)).chosen(1000) == []


@asynccontextmanager
async def over(kind: LineKind) -> AsyncIterator[tuple[Proxy, int]]:
    """A server that sends back what it gets, behind a proxy; gives the proxy and its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = free_port()
        proxy = Proxy(kind, server.sockets[0].getsockname()[1])
        running = asyncio.create_task(proxy.run(port))
        await asyncio.sleep(0)
        yield proxy, port
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_bytes_arrive_whole_and_in_order_and_their_end_does_too() -> None:
    data = os.urandom(300_000)
    async with over(LineKind(rate=1e9, round_trip=0.0, queue=50_000)) as (proxy, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == data
        writer.close()
    assert proxy.counts == {"up": len(data), "down": len(data), "cut": 0}


async def test_cut_connection_ends_for_its_client() -> None:
    async with over(LineKind(rate=1e9, round_trip=0.0, queue=50_000)) as (proxy, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        proxy.cut([0])
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    assert proxy.counts["cut"] == 1


async def test_server_that_is_not_there_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    port = free_port()
    running = asyncio.create_task(Proxy(LineKind(1e9, 0.0, 1000), nobody).run(port))
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    writer.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
