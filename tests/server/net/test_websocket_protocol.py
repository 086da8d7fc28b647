"""The hooks below the channel: fragments, the byte budget, closes that are heard.

On real sockets: when uvicorn moves what is hooked, these fail.
"""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from pathlib import Path
from types import CoroutineType
from typing import Any

import msgpack
import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from lading.protocol.messages import OVERHEAD
from lading.server.limits import Limits, NetLimits
from lading.server.net.byte_budget import COPIES
from lading.server.net.websocket_protocol import ChannelProtocol, Inbox, Writable
from tests.support.frames import BINARY, CLOSE, CONT, TEXT, Raw, frame, raw
from tests.support.frames import PING as PING_FRAME
from tests.support.gate import Gate
from tests.support.servers import Process, Running, inside, process, until
from tests.support.wire import (
    CHUNK,
    CREATE,
    HELLO,
    OPENED,
    PING,
    PONG,
    RESUME,
    STORED,
    TOKEN,
    WELCOME,
    channel,
    checksum,
    dial,
)

MIB = 2**20


async def lives(server: Running) -> None:
    """The server serves others, and has read what was sent before."""
    for _ in range(5):
        async with channel(server) as wire:
            await wire.send(PING, 1)
            assert await wire.expect(PONG) == [1]


def count(kind: type) -> int:
    """How many objects of this type there are."""
    return sum(type(each) is kind for each in gc.get_objects())


# -- what waits for the application


async def test_what_came_is_taken_in_order() -> None:
    inbox = Inbox()
    assert inbox.empty()
    for number in range(3):
        inbox.put_nowait(number)
    assert not inbox.empty()
    assert [await inbox.get() for _ in range(3)] == [0, 1, 2]
    assert inbox.empty()
    inbox.put_nowait("last")
    assert inbox.clear() == ["last"]
    assert inbox.clear() == []
    assert inbox.empty()


async def test_the_application_waits_for_what_comes() -> None:
    inbox = Inbox()
    taking = asyncio.ensure_future(inbox.get())
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.put_nowait("first")
    inbox.put_nowait("second")
    assert await taking == "first"
    assert await inbox.get() == "second"


async def test_who_stops_waiting_takes_nothing_along() -> None:
    inbox = Inbox()
    for moment in ("before", "after"):
        taking = asyncio.ensure_future(inbox.get())
        await asyncio.sleep(0)
        if moment == "after":
            inbox.put_nowait("kept")
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    assert await inbox.get() == "kept"


# -- what waits for the client


async def test_who_sends_waits_while_nothing_more_is_taken() -> None:
    writable = Writable()
    writable.set()
    assert writable.is_set()
    await writable.wait()
    writable.clear()
    waiting = [asyncio.ensure_future(writable.wait()) for _ in range(2)]
    writable.clear()
    await asyncio.sleep(0)
    assert not writable.is_set()
    assert not any(each.done() for each in waiting)
    writable.set()
    assert writable.is_set()
    await asyncio.gather(*waiting)


# -- the handshake


async def test_what_was_said_to_connect_takes_no_memory_afterwards(
    tmp_path: Path, database_url: str
) -> None:
    def kept() -> int:
        return sum("x-said" in each for each in gc.get_objects() if type(each) is Headers)

    said = {"X-Said": "much" * 1000}
    async with (
        inside(tmp_path, database_url) as running,
        dial(running, additional_headers=said) as wire,
    ):
        before, requests = kept(), count(Request)
        await wire.hello(running.token)
        assert kept() == before - 1, "the client's own copy stays"
        assert count(Request) == requests - 1


@pytest.mark.parametrize("already", [0, 1, 2, 6, 7, 9])
async def test_what_comes_with_hello_is_read_to_its_end(server: Process, already: int) -> None:
    hello = frame(BINARY, msgpack.packb([HELLO, {"token": server.token}]))
    ping = frame(BINARY, msgpack.packb([PING, 7]))
    async with raw(server, hello=False) as wire:
        wire.write(hello + ping[:already])
        assert (await wire.message())[0] == WELCOME
        wire.write(ping[already:])
        assert await wire.message() == [PONG, 7]


async def test_an_open_channel_holds_no_layer_of_its_handshake(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url) as running, dial(running) as wire:
        await wire.hello(running.token)
        gc.collect()
        waiting = {each.__qualname__ for each in gc.get_objects() if type(each) is CoroutineType}
        assert "Channel.run" in waiting
        assert "WebSocketRoute.handle" not in waiting


async def test_a_connection_has_no_dictionary(tmp_path: Path, database_url: str) -> None:
    async with inside(tmp_path, database_url) as running, dial(running) as wire:
        await wire.hello(running.token)
        gc.collect()
        found = [each for each in gc.get_objects() if type(each) is ChannelProtocol]
        assert found
        named = {name for each in found for name in vars(each)}
        assert not named, "set by uvicorn, and not named in __slots__"


# -- frames


async def test_a_message_may_come_in_fragments(server: Process) -> None:
    data = os.urandom(1000)
    message = msgpack.packb([CHUNK, 1, 0, checksum(data), data])
    async with raw(server) as wire:
        wire.send(CREATE, 1, {"name": "a", "size": len(data)})
        assert (await wire.message())[0] == OPENED
        for number, byte in enumerate(message):
            last = number == len(message) - 1
            wire.write(frame(CONT if number else BINARY, bytes([byte]), fin=last))
            if number == 500:
                wire.write(frame(PING_FRAME, b"between"))
        assert (await wire.read())[1] == b"between"
        assert await wire.message() == [STORED, 1, [[0, 1000]], 1000]


@pytest.mark.parametrize("count", [5_000, 1_000_000])
@pytest.mark.parametrize("opcode", [BINARY, TEXT])
async def test_too_many_fragments(server: Process, count: int, opcode: int) -> None:
    server.forget_peak()
    before = server.resident
    async with raw(server) as wire:
        wire.write(frame(opcode, fin=False) + frame(CONT, fin=False) * count)
        assert await wire.closing() == 1008
    await lives(server)
    assert server.peak - before < 16 * MIB


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, length=4 * MIB + 64 * 1024 + 1), 1009),
        (frame(BINARY, length=2**63 - 1), 1009),
        (frame(BINARY, bytes(4 * MIB), fin=False) + frame(CONT, length=64 * 1024 + 1), 1009),
        (frame(BINARY, b"x", compressed=True), 1002),
        (frame(PING_FRAME, b"x" * 126), 1002),
        (frame(PING_FRAME, fin=False), 1002),
        (frame(0x3, b"x"), 1002),
        (frame(CONT, b"x"), 1002),
        (frame(BINARY, fin=False) + frame(BINARY, b"x"), 1002),
        (frame(BINARY, b"x", masked=False), 1002),
        (frame(CLOSE, b"\x03"), 1002),
    ],
    ids=[
        "oversize",
        "huge",
        "oversize-in-fragments",
        "compressed",
        "long-ping",
        "fragmented-ping",
        "reserved-opcode",
        "continuation-of-nothing",
        "message-within-a-message",
        "unmasked",
        "broken-close",
    ],
)
async def test_a_frame_that_is_not_allowed(server: Process, data: bytes, code: int) -> None:
    async with raw(server) as wire:
        # What follows is thrown away, and must not keep the close from being heard.
        wire.write(data + os.urandom(2 * MIB))
        assert await wire.closing() == code
    await lives(server)


async def test_a_text_message(server: Process) -> None:
    async with channel(server) as wire:
        await wire.create(1, 3)
        await wire.socket.send("hello")
        assert (await wire.problem(None))["code"] == "invalid-message"
        assert (await wire.closing()).code == 1003


async def test_text_that_is_no_text(server: Process) -> None:
    async with raw(server) as wire:
        wire.write(frame(TEXT, b"\xff\xfe"))
        assert await wire.closing() in (1003, 1007)
    await lives(server)


async def test_compression_is_not_agreed_on(server: Process) -> None:
    async with dial(server, compression="deflate") as wire:
        assert not wire.socket.protocol.extensions
        await wire.hello(server.token)


# -- memory


async def test_messages_of_many_connections_stay_within_the_byte_budget(
    tmp_path: Path, database_url: str
) -> None:
    budget, count = 32 * MIB, 24
    data = os.urandom(4 * MIB)
    message = frame(BINARY, msgpack.packb([CHUNK, 1, 0, checksum(data), data]))

    async def half(wire: Raw) -> None:
        wire.send(CREATE, 1, {"name": "a", "size": len(data), "chunk_size": len(data)})
        assert (await wire.message())[0] == OPENED
        wire.write(message[:-1])

    async def rest(wire: Raw) -> None:
        wire.write(message[-1:])
        assert (await wire.message())[0] == STORED

    with process(tmp_path, database_url, byte_budget=budget) as running:
        async with AsyncExitStack() as connections:
            wires = [await connections.enter_async_context(raw(running)) for _ in range(count)]
            running.forget_peak()
            before = running.resident
            # Beyond the budget each connection has what one read of its socket may give.
            bound = budget + count * 512 * 1024
            await asyncio.gather(*map(half, wires))
            await lives(running)
            assert running.peak - before < bound
            await asyncio.gather(*map(rest, wires))
            assert running.peak - before < bound
            await lives(running)
            assert running.resident - before < budget, "idle connections reservation on to nothing"


async def test_pings_that_are_not_listened_to_cost_no_memory(
    tmp_path: Path, database_url: str
) -> None:
    with process(tmp_path, database_url) as running:
        await lives(running)
        running.forget_peak()
        before = running.resident
        async with raw(running, narrow=True) as wire:
            for _ in range(25):
                wire.write(frame(PING_FRAME, b"x" * 125) * 8000)
                await wire.writer.drain()
            await lives(running)
            assert running.peak - before < 16 * MIB


async def test_a_long_message_before_hello_is_not_read(server: Process) -> None:
    async with raw(server, hello=False) as wire:
        wire.write(frame(BINARY, bytes(MIB)))
        assert await wire.closing() == 1008


async def test_every_share_comes_back(tmp_path: Path, database_url: str) -> None:
    data = bytes(2 * MIB)
    settings: dict[str, Any] = {"byte_budget": "16MiB", "user_byte_budget": "16MiB"}
    async with inside(tmp_path, database_url, **settings) as running:
        budget = running.services.budget
        async with raw(running) as one, raw(running) as two, raw(running) as three:
            for wire in (one, two, three):
                wire.write(frame(BINARY, data, length=2 * len(data)))
            await until(lambda: budget.free < budget.total // 2)
            # One that has its share, or waits for it, is cut off; the message of one is no message.
            two.abort()
            three.abort()
            one.write(data)
            assert await one.closing() == 1002
        await until(lambda: budget.free == budget.total)
        async with raw(running) as wire:
            wire.write(frame(BINARY, data, length=3 * MIB)[:-1])
            await until(lambda: budget.free < budget.total)
        await until(lambda: budget.free == budget.total)
        async with channel(running) as client:
            await client.upload(1, data)
        await until(lambda: budget.free == budget.total)


def chunk(ref: int, data: bytes) -> bytes:
    return frame(BINARY, msgpack.packb([CHUNK, ref, 0, checksum(data), data]))


async def test_a_share_for_which_the_application_does_not_come_comes_back(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url) as running:
        budget = running.services.budget
        for _ in range(3):
            async with raw(running) as wire:
                wire.send(CREATE, 0, {"name": "a", "size": MIB})
                assert (await wire.message())[0] == OPENED
                # While the grant is looked up, the piece comes; then the connection ends.
                wire.write(frame(BINARY, msgpack.packb([TOKEN, "lg_" + "x" * 43])))
                wire.write(chunk(0, os.urandom(MIB)))
                assert await wire.closing() == 4401
        await until(lambda: budget.free == budget.total)


@pytest.mark.parametrize("size", [4 * MIB, 200_000])
async def test_a_piece_does_not_wait_for_one_that_comes_after_it(
    tmp_path: Path, database_url: str, size: int
) -> None:
    sizes = [60_000, 30_000, size]
    pieces = [os.urandom(each) for each in sizes]
    settings: dict[str, Any] = {"byte_budget": "16MiB", "user_byte_budget": "16MiB"}
    async with inside(tmp_path, database_url, **settings) as running, raw(running) as wire:
        for ref, each in enumerate(sizes):
            wire.send(CREATE, ref, {"name": "a", "size": each, "chunk_size": 4 * MIB})
            assert (await wire.message())[0] == OPENED
        # They come while the application is busy with what came before.
        create = frame(BINARY, msgpack.packb([CREATE, 9, {"name": "a", "size": 1}]))
        wire.write(create + b"".join(chunk(ref, piece) for ref, piece in enumerate(pieces)))
        stored: list[int] = []
        while len(stored) < 3:
            kind, ref, *_ = await wire.message()
            if kind == STORED:
                stored.append(ref)
            else:
                assert [kind, ref] == [OPENED, 9]
        assert sorted(stored) == [0, 1, 2]
        await until(lambda: running.services.budget.free == running.services.budget.total)


async def test_a_share_is_as_large_as_a_piece_of_what_is_open(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url) as running, raw(running) as wire:
        budget = running.services.budget
        wire.send(CREATE, 0, {"name": "a", "size": MIB, "chunk_size": MIB})
        assert (await wire.message())[0] == OPENED
        data = os.urandom(MIB)
        message = chunk(0, data)
        wire.write(message[:100_000])
        await until(lambda: budget.free < budget.total)
        assert budget.total - budget.free == (MIB + OVERHEAD) * COPIES
        wire.write(message[100_000:])
        assert (await wire.message())[0] == STORED


@pytest.mark.parametrize(("total", "code"), [("64MiB", 1002), ("5MiB", 1009)])
async def test_a_message_longer_than_any_piece_takes_a_larger_share_if_there_is_room(
    tmp_path: Path, database_url: str, total: str, code: int
) -> None:
    settings: dict[str, Any] = {"byte_budget": total, "user_byte_budget": total}
    async with inside(tmp_path, database_url, **settings) as running:
        budget = running.services.budget
        async with raw(running) as wire, raw(running) as other:
            for each in (wire, other):
                each.send(CREATE, 0, {"name": "a", "size": MIB, "chunk_size": 512 * 1024})
                assert (await each.message())[0] == OPENED
            share = (512 * 1024 + OVERHEAD) * COPIES
            other.write(frame(BINARY, bytes(100_000), length=200_000))
            wire.write(frame(BINARY, bytes(100_000), length=3 * MIB))
            await until(lambda: budget.free == max(0, budget.total - 2 * share))
            wire.write(bytes(3 * MIB - 100_000))
            assert await wire.closing() == code
        await until(lambda: budget.free == budget.total)


async def test_small_pieces_count_as_well(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with (
        inside(tmp_path, database_url, byte_budget="1MiB", user_byte_budget="1MiB") as running,
        channel(running) as wire,
        channel(running) as other,
    ):
        await wire.create(1, None, chunk_size=1024)
        for number in range(500):
            await wire.chunk(1, number * 1024, b"x")
        await until(lambda: running.services.budget.free < 16 * 1024)
        await other.send(PING, 1)
        await other.expect(PONG)
        assert gate.waiting < 100
        gate.opened.set()
        await wire.stored(500)


# -- slowness


async def test_a_message_that_stands_still_is_given_up(tmp_path: Path, database_url: str) -> None:
    limits = Limits(net=NetLimits(patience_seconds=0.1))
    async with inside(tmp_path, database_url, limits=limits) as running:
        async with raw(running) as slow, channel(running) as other:
            await other.create(1, 3)
            slow.write(frame(BINARY, bytes(MIB), length=4 * MIB))
            assert await slow.closing() == 1008
            await other.chunk(1, 0, b"abc")
            await other.stored(1)
        assert running.services.budget.free == running.services.budget.total


async def test_a_slow_message_gives_way_to_those_who_wait(
    tmp_path: Path, database_url: str
) -> None:
    limits = Limits(net=NetLimits(patience_seconds=0.1, slowest=0, pressed_seconds=0.05))
    settings: dict[str, Any] = {"byte_budget": "1MiB", "user_byte_budget": "1MiB"}
    async with inside(tmp_path, database_url, limits=limits, **settings) as running:
        async with raw(running) as slow, channel(running) as other:
            slow.send(CREATE, 0, {"name": "a", "size": MIB})
            assert (await slow.message())[0] == OPENED
            slow.write(chunk(0, bytes(MIB))[:100_000])
            await until(lambda: running.services.budget.free == 0)
            await other.create(1, 3)
            await other.chunk(1, 0, b"abc")
            assert await slow.closing() == 1001, "it comes again"
            await other.stored(1)
        assert running.services.budget.free == running.services.budget.total


async def test_a_client_that_does_not_read_is_dropped(tmp_path: Path, database_url: str) -> None:
    limits = Limits(net=NetLimits(unread_seconds=0.1))
    async with (
        inside(tmp_path, database_url, limits=limits) as running,
        raw(running, narrow=True) as wire,
    ):
        wire.send(CREATE, 0, {"name": "\U0001f6a2" * 1024, "size": 1})
        upload_id = (await wire.message())[2]["id"]
        for ref in range(1, 1000):
            wire.send(RESUME, ref, upload_id)
        # It asked for 4 MB of answers, and reads none of them.
        await until(lambda: not running.services.channels)
