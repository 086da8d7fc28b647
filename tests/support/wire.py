"""A client of `lading.v1` for the tests, written from page 3 of the design alone.

It sends whatever a test asks for, right or wrong, so it shares no code with `protocol/`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import crc32c
import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.servers import Running

HELLO, CREATE, RESUME, CHUNK, FINISH, ABORT, DETACH, TOKEN, PING = range(1, 10)
WELCOME, OPENED, STORED, REFUSED, WINDOW, COMPLETE = range(65, 71)
CLOSED, PROBLEM, GOAWAY, PONG, VERIFYING = range(71, 76)

Message = list[Any]


def checksum(data: bytes) -> int:
    return int(crc32c.crc32c(data))


class Closing(Exception):
    """The server closed the connection where a message was expected."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Wire:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    async def send(self, *items: Any) -> None:
        """Send one message."""
        await self.socket.send(msgpack.packb(items, use_bin_type=True))

    async def receive(self) -> Message:
        """The next message; Closing at the end."""
        try:
            data = await self.socket.recv()
        except ConnectionClosed as end:
            received = end.rcvd
            if received is None:
                raise Closing(1006, "no close frame") from None
            raise Closing(received.code, received.reason) from None
        assert isinstance(data, bytes)
        message: Message = msgpack.unpackb(data)
        return message

    async def expect(self, number: int) -> Message:
        """The items of the next message, which must have this number.

        WINDOW and VERIFYING may come at any time and are passed over.
        """
        while True:
            message = await self.receive()
            if message[0] == number:
                return message[1:]
            assert message[0] in (WINDOW, VERIFYING), message

    async def rest(self) -> tuple[list[Message], Closing]:
        """The remaining messages, and the close after them."""
        heard: list[Message] = []
        while True:
            try:
                heard.append(await self.receive())
            except Closing as end:
                return heard, end

    async def closing(self) -> Closing:
        """Wait for the close, and skip the messages before it."""
        _, end = await self.rest()
        return end

    async def problem(self, ref: int | None) -> dict[str, Any]:
        """The problem that is expected next for `ref`."""
        told, problem = await self.expect(PROBLEM)
        assert told == ref
        assert set(problem) >= {"code", "title", "retryable"}
        found: dict[str, Any] = problem
        return found

    async def hello(self, token: str | None) -> dict[str, Any]:
        await self.send(HELLO, {"token": token, "client": "tests"})
        (self.welcome,) = await self.expect(WELCOME)
        return self.welcome

    async def create(self, ref: int, size: int | None, **fields: Any) -> dict[str, Any]:
        """CREATE; returns the content of OPENED."""
        await self.send(CREATE, ref, {"name": "a.bin", "size": size, **fields})
        return await self.opened(ref)

    async def resume(self, ref: int, upload_id: str) -> dict[str, Any]:
        await self.send(RESUME, ref, upload_id)
        return await self.opened(ref)

    async def opened(self, ref: int) -> dict[str, Any]:
        told, upload = await self.expect(OPENED)
        assert told == ref
        found: dict[str, Any] = upload
        return found

    async def chunk(self, ref: int, start: int, data: bytes) -> None:
        await self.send(CHUNK, ref, start, checksum(data), data)

    async def stored(self, count: int) -> tuple[set[tuple[int, int, int]], int]:
        """Wait until this many pieces are durable: (ref, start, size) of each, and the last
        `upload_size`."""
        pieces: set[tuple[int, int, int]] = set()
        upload_size = 0
        while len(pieces) < count:
            ref, told, upload_size = await self.expect(STORED)
            pieces |= {(ref, start, size) for start, size in told}
        assert len(pieces) == count
        return pieces, upload_size

    async def refused(self, ref: int, start: int) -> dict[str, Any]:
        told, where, problem = await self.expect(REFUSED)
        assert (told, where) == (ref, start)
        found: dict[str, Any] = problem
        return found

    async def finish(self, ref: int, **fields: Any) -> dict[str, Any]:
        """FINISH; returns the content of COMPLETE."""
        await self.send(FINISH, ref, fields)
        return await self.complete(ref)

    async def complete(self, ref: int) -> dict[str, Any]:
        told, file = await self.expect(COMPLETE)
        assert told == ref
        found: dict[str, Any] = file
        return found

    async def upload(self, ref: int, data: bytes, **fields: Any) -> dict[str, Any]:
        """A whole upload, piece by piece; returns the content of COMPLETE."""
        upload = await self.create(ref, len(data), **fields)
        for start, piece in cells(data, upload["chunk_size"]):
            await self.chunk(ref, start, piece)
            await self.stored(1)
        return await self.finish(ref)


def cells(data: bytes, size: int) -> list[tuple[int, bytes]]:
    """The cells of a file: where each begins, and its bytes."""
    return [(start, data[start : start + size]) for start in range(0, len(data), size)]


@asynccontextmanager
async def dial(server: Running, **options: Any) -> AsyncIterator[Wire]:
    """A connection that has not said HELLO."""
    usual: dict[str, Any] = {
        "subprotocols": ["lading.v1"],
        "compression": None,
        "max_size": None,
        "proxy": None,
        "ping_interval": None,
    }
    async with connect(server.channel, **(usual | options)) as socket:
        yield Wire(socket)


@asynccontextmanager
async def channel(server: Running, **options: Any) -> AsyncIterator[Wire]:
    """A connection that was welcomed."""
    async with dial(server, **options) as wire:
        await wire.hello(server.token)
        yield wire
