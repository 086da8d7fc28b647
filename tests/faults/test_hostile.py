"""Two hundred hostile connections at once, of every kind in the design: the server's
memory stays flat, round after round, and an honest upload beside them finishes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest

from lading import Client
from tests.support.frames import BINARY, CONT, PING, TEXT, Raw, frame, raw
from tests.support.servers import Process, Running, process
from tests.support.users import JWT, user
from tests.support.wire import CHUNK, CREATE, OPENED

MIB = 2**20
COUNT = 200
ROUND_SECONDS = 3.0
WARM_ROUNDS, ROUNDS = 1, 6
FLAT = 0.10
BUDGET = 48 * MIB
EACH = 256 * 1024
"""What a connection may cost beside the budget: a read of its socket."""

HONEST = 6 * MIB
CELL = 4 * MIB
LOST = (OSError, EOFError, AssertionError)
"""How the server may end a hostile connection."""

DEEP = b"\x91" * 10_000 + b"\x01"
CLAIMS = b"\xdd\xff\xff\xff\xff\x09"
LONG = b"\xdd\x00\x0f\x42\x40" + bytes(1_000_000)
WIDE = b"\x92\x01\xdf\x00\x0f\x42\x40" + b"".join(
    b"\xce" + n.to_bytes(4, "big") + b"\x00" for n in range(300_000)
)


# -- the kinds; each ends when the server closes it, or when the round is over


async def say(wire: Raw, *blocks: bytes) -> None:
    for block in blocks:
        wire.write(block)
        await wire.writer.drain()


async def once(server: Running, *blocks: bytes, hello: bool = True) -> None:
    """Send this, and wait for the end."""
    async with raw(server, hello=hello) as wire:
        await say(wire, *blocks)
        await wire.closing()


async def begun(wire: Raw) -> bytes:
    """A piece of an upload that is open, as a frame."""
    wire.send(CREATE, 1, {"name": "hostile", "size": CELL, "chunk_size": CELL})
    while (await wire.message())[0] != OPENED:
        pass
    return frame(BINARY, msgpack.packb([CHUNK, 1, 0, 0, bytes(CELL)]))


async def half_sent(server: Running) -> None:
    async with raw(server) as wire:
        await say(wire, (await begun(wire))[: CELL // 2])
        await wire.closing()


async def endless_fragments(server: Running) -> None:
    more = frame(CONT, bytes(512), fin=False) * 64
    async with raw(server) as wire:
        await say(wire, frame(BINARY, b"", fin=False))
        while True:
            await say(wire, more)


async def empty_fragments(server: Running) -> None:
    many = frame(CONT, fin=False) * 10_000
    await once(server, frame(BINARY, fin=False), *[many] * 100)


async def oversize(server: Running) -> None:
    await once(server, frame(BINARY, bytes(MIB), length=2**30))


async def compressed(server: Running) -> None:
    await once(server, frame(BINARY, bytes(MIB), compressed=True))


async def bombs(server: Running) -> None:
    for bomb in (DEEP, CLAIMS):
        await once(server, frame(BINARY, bomb))


async def large_bombs(server: Running) -> None:
    for bomb in (LONG, WIDE):
        await once(server, frame(BINARY, bomb))


async def text(server: Running) -> None:
    await once(server, frame(TEXT, b"x" * MIB))


async def before_hello(server: Running) -> None:
    await once(server, frame(BINARY, msgpack.packb([CHUNK, 1, 0, 0, bytes(MIB)])), hello=False)


async def trickled(server: Running) -> None:
    async with raw(server) as wire:
        piece = await begun(wire)
        for start in range(0, len(piece), 100):
            await say(wire, piece[start : start + 100])
            await asyncio.sleep(0.1)


async def pings_without_reading(server: Running) -> None:
    async with raw(server, narrow=True) as wire:
        for _ in range(20):
            await say(wire, frame(PING, b"x" * 125) * 400)
        await asyncio.Event().wait()


async def by_drops(server: Running, head: bytes, drop: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.1)
    finally:
        writer.transport.abort()


async def endless_headers(server: Running) -> None:
    await by_drops(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-More: more\r\n")


async def body_by_drops(server: Running) -> None:
    bearer = f"Authorization: Bearer {server.token}\r\n".encode()
    head = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\n" + bearer
    await by_drops(server, head + b"Content-Length: 10000000\r\n\r\n", b"drop")


Kind = Callable[[Running], Awaitable[None]]

KINDS: tuple[Kind, ...] = (
    half_sent,
    endless_fragments,
    empty_fragments,
    oversize,
    compressed,
    bombs,
    large_bombs,
    text,
    before_hello,
    trickled,
    pings_without_reading,
    endless_headers,
    body_by_drops,
)


# -- the rounds


async def attack(server: Running, kind: Kind, ends: Counter[str]) -> None:
    """Attack until the server closes the connection, or the round is over."""
    with suppress(*LOST):
        await kind(server)
    ends[kind.__name__] += 1


async def attacked(server: Process, ends: Counter[str]) -> tuple[int, float]:
    """One round; the most memory that the server had meanwhile, and the seconds that the honest
    upload took."""
    hostile = Running(server.url, user("mallory"), server.data)
    server.forget_peak()
    began = time.monotonic()
    attacks = [
        asyncio.create_task(attack(hostile, KINDS[number % len(KINDS)], ends))
        for number in range(COUNT)
    ]
    try:
        await upload(server)
        took = time.monotonic() - began
        await asyncio.sleep(max(0.0, ROUND_SECONDS - took))
        peak = server.peak
    finally:
        for task in attacks:
            task.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)
    assert server.child.poll() is None
    return peak, took


async def upload(server: Running) -> None:
    """The honest one: another user, whose bytes arrive as they were."""
    data = os.urandom(HONEST)
    async with Client(server.url, user("ann"), patience=60) as client:
        file = await client.upload(io.BytesIO(data), name="honest.bin")
    assert file.sha256 == hashlib.sha256(data).hexdigest()


async def test_memory_is_flat_under_hostile_connections(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**JWT, "byte_budget": BUDGET, "user_byte_budget": BUDGET // 2}
    with process(tmp_path, database_url, free_space_floor=0, **settings) as server:
        await upload(server)
        idle = server.resident
        ends: Counter[str] = Counter()
        rounds = [await attacked(server, ends) for _ in range(WARM_ROUNDS + ROUNDS)]
        left = server.resident
        log = server.log.read_text()
    with capsys.disabled():
        shown = ", ".join(f"{peak / MIB:.0f} MiB (upload {took:.1f} s)" for peak, took in rounds)
        print(f"\nidle {idle / MIB:.0f} MiB; peaks {shown}; afterwards {left / MIB:.0f} MiB")
        print(f"connections ended: {dict(ends)}")
    peaks = [peak for peak, _ in rounds]
    # How many attacks meet at their worst moment differs from round to round, and only adds to a
    # peak (of 60 rounds without any growth: 120 to 140 MiB). What was leaked is in all that follow.
    half = WARM_ROUNDS + ROUNDS // 2
    first, last = min(peaks[WARM_ROUNDS:half]), min(peaks[half:])
    assert last <= (1 + FLAT) * first, "memory grows from round to round"
    assert max(peaks) - idle <= BUDGET + COUNT * EACH
    assert set(ends) >= {kind.__name__ for kind in (oversize, empty_fragments, before_hello, bombs)}
    assert '"event": "fault"' not in log, log[-3000:]
