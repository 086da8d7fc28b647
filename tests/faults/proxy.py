"""A TCP proxy whose connections a test breaks: cut, stalled, slowed down, corrupted.

Each direction of a connection has a gate: it takes the blocks of bytes that arrive and yields those
that are passed on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

BLOCK = 64 * 1024

AFTER_END_SECONDS = 1.0
"""How long one direction may continue when the other has ended."""

Blocks = AsyncIterator[bytes]
Gate = Callable[[Blocks], Blocks]

Plan = tuple[Gate, Gate]
"""The gates of the bytes from the client to the server, and back."""


class Cut(Exception):
    """The connection ends here, without a word to either side."""


# -- gates


async def whole(blocks: Blocks) -> Blocks:
    """Passes everything on."""
    async for block in blocks:
        yield block


def at(count: int, action: Callable[[], Awaitable[None] | None]) -> Gate:
    """Does something once when `count` bytes were passed on, and not one more; then continues.

    The bytes of all connections that are given this gate are counted together.
    """
    left: int | None = count

    async def gate(blocks: Blocks) -> Blocks:
        nonlocal left
        async for block in blocks:
            if left is None or len(block) < left:
                left = None if left is None else left - len(block)
                yield block
                continue
            # Decided before anything is awaited: another connection may be here meanwhile.
            head, rest, left = block[:left], block[left:], None
            yield head
            waiting = action()
            if waiting is not None:
                await waiting
            if rest:
                yield rest

    return gate


def cut(count: int) -> Gate:
    """Cuts the connection after `count` bytes."""

    def action() -> None:
        raise Cut

    return at(count, action)


def swallow(count: int, seconds: float | None = None) -> Gate:
    """Passes `count` bytes on and throws the rest away; cuts `seconds` after the first of it, or
    when that end of the connection closes."""

    async def gate(blocks: Blocks) -> Blocks:
        left = count
        async for block in blocks:
            if left:
                yield block[:left]
            if len(block) > left:
                break
            left -= len(block)
        else:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in blocks:
                    pass
        raise Cut

    return gate


def freeze(count: int) -> Plan:
    """Both directions: when `count` bytes have gone up nothing passes any more, either way.

    What the server still says is thrown away, so that it can be seen when it closes.
    """
    frozen = asyncio.Event()

    async def stop() -> None:
        frozen.set()
        await asyncio.Event().wait()

    async def down(blocks: Blocks) -> Blocks:
        async for block in blocks:
            if not frozen.is_set():
                yield block

    return at(count, stop), down


def trickle(size: int, pause: float) -> Gate:
    """Passes on `size` bytes every `pause` seconds."""

    async def gate(blocks: Blocks) -> Blocks:
        async for block in blocks:
            for start in range(0, len(block), size):
                yield block[start : start + size]
                await asyncio.sleep(pause)

    return gate


def flip(position: int) -> Gate:
    """Flips the bit with this number, counted over the whole direction."""

    async def gate(blocks: Blocks) -> Blocks:
        place, bit = divmod(position, 8)
        async for block in blocks:
            if 0 <= place < len(block):
                changed = bytearray(block)
                changed[place] ^= 1 << bit
                yield bytes(changed)
            else:
                yield block
            place -= len(block)

    return gate


# -- connections


@dataclass(eq=False)
class Link:
    """One connection through the proxy: how many bytes passed each way, and when the server
    ended it (on the steady clock), if it did."""

    began: float
    up: int = 0
    down: int = 0
    ended_by_server: float | None = None


CLEAR: Plan = (whole, whole)


class Proxy:
    """Forwards connections to the TCP port `target`, which may change, on the loopback interface.

    Each new connection takes the next of `plans`, or `usual` when there is none.
    """

    def __init__(self, target: int = 0) -> None:
        self.target = target
        self.usual = CLEAR
        self.plans: list[Plan] = []
        self.links: list[Link] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut_all()

    async def cut_all(self) -> None:
        """Cut every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        link, plan = Link(time.monotonic()), self.plans.pop(0) if self.plans else self.usual
        self.links.append(link)
        try:
            with suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", self.target)
                try:
                    await self._serve(link, plan, (reader, writer), (there, back))
                finally:
                    _reset(back)
        finally:
            _reset(writer)
            self._tasks.discard(task)

    async def _serve(
        self,
        link: Link,
        plan: Plan,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        def went_up(size: int) -> None:
            link.up += size

        def went_down(size: int) -> None:
            link.down += size

        def server_ended() -> None:
            link.ended_by_server = time.monotonic()

        up = _pump(_read(client[0]), plan[0], server[1], went_up)
        down = _pump(_read(server[0], server_ended), plan[1], client[1], went_down)
        tasks = [asyncio.ensure_future(up), asyncio.ensure_future(down)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not any(task.exception() for task in done):
                await asyncio.wait(tasks, timeout=AFTER_END_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _read(
    reader: asyncio.StreamReader, ended: Callable[[], None] = lambda: None
) -> AsyncIterator[bytes]:
    try:
        while block := await reader.read(BLOCK):
            yield block
    except ConnectionError:
        ended()
        raise
    ended()


async def _pump(
    blocks: Blocks, gate: Gate, writer: asyncio.StreamWriter, passed: Callable[[int], None]
) -> None:
    async for block in gate(blocks):
        writer.write(block)
        await writer.drain()
        passed(len(block))
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset: no goodbye, and what was not sent yet is lost."""
    plain = writer.get_extra_info("socket")
    with suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
