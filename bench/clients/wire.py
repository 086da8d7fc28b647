"""One connection to the channel of a Lading server, for the clients that speak `lading.v1`.

It owns the socket and the first two messages. It refuses to know what is said after them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.clients import Job
from lading.memory import keep_freed
from lading.protocol.codec import decode_server, encode
from lading.protocol.errors import from_problem
from lading.protocol.messages import (
    SUBPROTOCOL,
    ClientMessage,
    Hello,
    Problem,
    Refused,
    ServerMessage,
    Welcome,
)

WRITE_LIMIT = 2**20
"""The next piece is handed over when a quarter of this many bytes is left in the buffer."""

T = TypeVar("T")
M = TypeVar("M")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a client as the `lading` command is run.

    uvloop sends a message without copying what the socket does not take at once, as asyncio does
    from Python 3.12 on.
    """
    keep_freed()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


class Wire:
    """A connection, and the answer to HELLO."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    @asynccontextmanager
    async def open(cls, job: Job) -> AsyncIterator[Self]:
        """Connect to the server of the job, without HELLO."""
        async with connect(
            job["url"].replace("http", "ws", 1) + "/v1/ws",
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            proxy=None,
            max_size=2**20,
            write_limit=WRITE_LIMIT,
            ping_interval=None,
            open_timeout=60,
            close_timeout=1,
        ) as socket:
            yield cls(socket)

    async def hello(self, job: Job) -> Welcome:
        """Send HELLO."""
        await self.send(Hello(job["token"], "lading-bench"))
        return await self.expect(Welcome)

    async def send(self, message: ClientMessage) -> None:
        await self._socket.send(encode(message))

    async def receive(self) -> ServerMessage:
        return decode_server(await self._socket.recv(decode=False))

    async def expect(self, kind: type[M]) -> M:
        """The next message of a kind. Raises the error of a PROBLEM or REFUSED."""
        while True:
            message = await self.receive()
            if isinstance(message, kind):
                return message
            if isinstance(message, Problem | Refused):
                raise from_problem(message.problem)
