"""One request, watched: answers that come early, late, in parts, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from lading.client.address import Address
from lading.client.errors import Unreachable
from lading.doctor.exchange import MOST_BODY, Exchange

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REFUSED = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
BODY = {"Content-Length": str(2**30)}


@asynccontextmanager
async def exchange(serve: Serve) -> AsyncIterator[Exchange]:
    """A request to a server that does `serve` after the head."""

    served = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(reader, writer)
        writer.close()
        served.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with Exchange(Address(f"http://127.0.0.1:{port}/below"), None, 5) as found:
            yield found
        await served.wait()


async def test_an_answer_is_heard_while_the_body_is_sent() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSED)
        await reader.read()

    async with exchange(refuse) as request:
        await request.begin("PUT", "/x", BODY)
        while not request.over:
            await request.send(bytes(1000))
            await asyncio.sleep(0)
        answer = await request.answer(5)
    assert (answer.status, answer.body, answer.from_server) == (413, b"no", False)


async def test_who_asks_for_the_body_admits_it() -> None:
    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.read()

    async with exchange(ask) as request:
        await request.begin("PUT", "/x", BODY)
        assert await request.admitted(5)


async def test_who_refuses_by_the_length_does_not() -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSED)

    async with exchange(refuse) as request:
        await request.begin("PUT", "/x", BODY)
        assert not await request.admitted(5)


async def test_a_connection_that_ends_without_an_answer_is_said() -> None:
    async def end(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    async with exchange(end) as request:
        await request.begin("GET", "/x", {})
        with pytest.raises(Unreachable, match="closed without an answer"):
            await request.answer(5)


async def test_a_server_that_is_silent_is_not_waited_for() -> None:
    silent = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await silent.wait()

    async with exchange(wait) as request:
        await request.begin("GET", "/x", {})
        assert await request.admitted(0.01)
        with pytest.raises(Unreachable, match="no answer"):
            await request.answer(0.01)
        silent.set()


async def test_a_long_answer_is_kept_in_part() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))

    async with exchange(talk) as request:
        await request.begin("GET", "/x", {})
        assert len((await request.answer(5)).body) == MOST_BODY
