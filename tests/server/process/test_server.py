"""What the end of a server means to the HTTP requests that are under way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.support.servers import Inside, Running, inside, process, until

SIZE = 8 * 2**20
"""Far more than the buffers between two sockets hold."""


@asynccontextmanager
async def line(
    server: Running, head: str, body: bytes = b""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A request that is written by hand; little is read of its answer before it is asked for."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=4096)
    fields = f"Host: localhost\r\nAuthorization: Bearer {server.token}\r\n"
    request, _, more = head.partition("\n")
    writer.write(f"{request} HTTP/1.1\r\n{fields}{more}\r\n".encode() + body)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


UPLOAD = f"POST /v1/files?name=a\nContent-Length: {SIZE}\r\n"


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """The status, the fields and the body of an answer that ends with its connection."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        body = b"".join([part async for part in _parts(reader)])
    fields = dict(field.lower().split(": ", 1) for field in head[1:] if field)
    return int(head[0].split()[1]), fields, body


async def _parts(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while part := await reader.read(65_536):
        yield part


async def end(server: Inside) -> None:
    """Tell it to stop, and wait until it does."""
    server.server.should_exit = True
    await until(lambda: server.services.draining)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests were under way when a server left its end to uvicorn."""
    found: list[int] = []
    shutdown = uvicorn.Server.shutdown

    async def noted(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        found.append(len(server.server_state.tasks))
        await shutdown(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "shutdown", noted)
    return found


async def at_work(server: Inside, requests: int = 1) -> None:
    """Wait until so many requests are being answered."""
    await until(lambda: len(server.server.server_state.tasks) == requests)


async def test_an_upload_that_is_under_way_is_taken_before_the_server_goes(
    tmp_path: Path, database_url: str, left: list[int]
) -> None:
    data = os.urandom(SIZE)
    async with inside(tmp_path, database_url) as server:
        async with line(server, UPLOAD, data[:1000]) as (reader, writer):
            await at_work(server)
            await end(server)
            writer.write(data[1000:])
            status, fields, body = await answer(reader)
            await server.served
        assert (status, fields["connection"]) == (201, "close")
        assert json.loads(body)["size"] == SIZE
    assert left == [0]


async def test_a_download_that_is_under_way_comes_whole_before_the_server_goes(
    tmp_path: Path, database_url: str, left: list[int]
) -> None:
    data = os.urandom(SIZE)
    async with inside(tmp_path, database_url) as server:
        async with server.http() as http:
            place = (await http.post("/v1/files?name=a", content=data)).headers["location"]
        async with line(server, f"GET {place}\n") as (reader, _):
            await at_work(server)
            await end(server)
            status, _, body = await answer(reader)
            await server.served
    assert status == 200
    assert body == data
    assert left == [0]


async def test_what_is_not_done_in_time_hears_that_the_server_goes(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        inside(tmp_path, database_url, drain_seconds="200ms") as server,
        line(server, UPLOAD, b"only the beginning") as (reader, _),
    ):
        await at_work(server)
        server.server.should_exit = True
        status, fields, body = await answer(reader)
    assert status == 503
    assert fields["content-type"] == "application/problem+json"
    assert int(fields["retry-after"]) > 0
    assert json.loads(body)["code"] == "shutting-down"


async def test_a_download_that_nobody_reads_does_not_keep_the_server(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url, drain_seconds="200ms") as server:
        async with server.http() as http:
            made = await http.post("/v1/files?name=a", content=bytes(SIZE))
        async with line(server, f"GET {made.headers['location']}\n") as (reader, _):
            await reader.readexactly(1)
            server.server.should_exit = True
            async with asyncio.timeout(4):
                await server.served


async def test_a_connection_that_waits_for_its_next_request_is_closed_at_once(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        inside(tmp_path, database_url) as server,
        line(server, UPLOAD, b"only the beginning") as (reader, writer),
        server.http() as http,
    ):
        assert (await http.get("/livez")).status_code == 200
        await end(server)
        await until(lambda: len(server.server.server_state.connections) == 1)
        with pytest.raises(httpx.TransportError):
            await http.get("/livez")
        writer.write(bytes(SIZE - len(b"only the beginning")))
        assert (await answer(reader))[0] == 201


async def test_a_second_signal_ends_it_at_once_and_without_a_trace(
    tmp_path: Path, database_url: str
) -> None:
    with process(tmp_path, database_url, drain_seconds=600) as server:
        async with line(server, UPLOAD, b"only the beginning"):
            async with server.http() as http:
                assert (await http.get("/livez")).status_code == 200
            server.child.send_signal(signal.SIGTERM)
            await until(lambda: b"draining" in server.log.read_bytes())
            server.child.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.child.wait, 10) == 0
        log = server.log.read_text()
    assert "Traceback" not in log
    assert "CancelledError" not in log
    assert '"level": "error"' not in log
