"""HTTP/1.1 over a bare socket, for what a client library hides: interim answers, broken bodies.

It sends what it is told, and reads one answer after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.servers import Running


@dataclass
class Answer:
    """One answer: its status, its headers by lower-case name, and its content."""

    status: int
    headers: dict[str, str]
    content: bytes = b""
    interim: list[Answer] = field(default_factory=list)
    """The interim answers before it."""

    def __getitem__(self, name: str) -> str:
        return self.headers[name.lower()]

    def get(self, name: str) -> str | None:
        return self.headers.get(name.lower())


class Raw:
    """One connection."""

    def __init__(
        self, server: Running, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self.reader = reader
        self.writer = writer
        self._method = "GET"

    async def head(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Send the head of a request."""
        self._method = method
        known = {"host": f"127.0.0.1:{self._server.port}", **self._server.headers, **headers}
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in known.items()),
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        """Send bytes of a body."""
        self.writer.write(data)
        await self.writer.drain()

    async def one(self) -> Answer:
        """The next answer, interim or not, with its content."""
        status = (await self.reader.readuntil(b"\r\n")).split(b" ")[1]
        headers: dict[str, str] = {}
        while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        answer = Answer(int(status), headers)
        bare = self._method == "HEAD" or answer.status < 200 or answer.status in (204, 304)
        if not bare and "content-length" in headers:
            answer.content = await self.reader.readexactly(int(headers["content-length"]))
        while not bare and headers.get("transfer-encoding") == "chunked":
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            answer.content += (await self.reader.readexactly(size + 2))[:-2]
            if not size:
                break
        return answer

    async def answer(self) -> Answer:
        """The final answer, with the interim ones before it."""
        interim = []
        while (found := await self.one()).status < 200:
            interim.append(found)
        found.interim = interim
        return found

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, data: bytes = b""
    ) -> Answer:
        """Send a request with its whole body and read the final answer."""
        given = dict(headers or {})
        if data or method in ("POST", "PATCH", "PUT"):
            given.setdefault("content-length", str(len(data)))
        await self.head(method, path, given)
        if data:
            await self.send(data)
        return await self.answer()

    async def ended(self) -> bool:
        """Whether the server closes the connection; what it still sends is thrown away."""
        try:
            async with asyncio.timeout(10):
                while await self.reader.read(65536):
                    pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True

    def cut(self) -> None:
        """Let the connection die without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def raw(server: Running) -> AsyncIterator[Raw]:
    """A connection to a server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Raw(server, reader, writer)
    finally:
        writer.close()
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()  # the server reads no more of it
        with suppress(OSError):
            await writer.wait_closed()


async def ask(
    server: Running,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    data: bytes = b"",
) -> Answer:
    """One request over a connection of its own."""
    async with raw(server) as connection:
        return await connection.ask(method, path, headers, data)
