"""HTTP connections below the application: deadlines, caps, and endings that can be heard.

The requests are written to the socket by hand, since no client library would send them.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from lading.server.limits import Limits, NetLimits
from lading.server.net.slow_clients import SlowClientTimer
from tests.support.servers import Inside, inside, until

UPLOAD = b"POST /v1/files?name=a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n"


@pytest.fixture
async def hasty(tmp_path: Path, database_url: str) -> AsyncIterator[Inside]:
    """A server that loses its patience soon."""
    limits = Limits(net=NetLimits(header_seconds=0.2, patience_seconds=0.2))
    async with inside(tmp_path, database_url, limits=limits) as server:
        yield server


class Line:
    """One connection, written to by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """The status and the problem of the first answer."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await self._reader.readexactly(int(fields["content-length"]))
        return int(lines[0].split()[1]), json.loads(body)

    async def end(self) -> bytes:
        """What still comes until the server closes."""
        return await asyncio.wait_for(self._reader.read(), 10)


Connect = Callable[[Inside], Awaitable[Line]]


@pytest.fixture
async def line() -> AsyncIterator[Connect]:
    """Opens connections, and closes them all at the end."""
    opened: list[Line] = []

    async def connect(server: Inside) -> Line:
        opened.append(Line(*await asyncio.open_connection("127.0.0.1", server.port)))
        return opened[-1]

    yield connect
    for each in opened:
        each.writer.close()
        with suppress(OSError):
            await each.writer.wait_closed()


def upload(server: Inside, *fields: bytes) -> bytes:
    assert server.token is not None
    return UPLOAD % server.token.encode() + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


async def test_a_connection_that_says_nothing_is_closed(hasty: Inside, line: Connect) -> None:
    silent = await line(hasty)
    assert (await silent.answer())[1]["code"] == "request-timeout"
    assert await silent.end() == b""


async def test_headers_that_never_end_are_closed(hasty: Inside, line: Connect) -> None:
    slow = await line(hasty)
    slow.writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    status, problem = await slow.answer()
    assert (status, problem["code"]) == (408, "request-timeout")
    assert await slow.end() == b""


async def test_a_second_request_has_its_own_deadline(hasty: Inside, line: Connect) -> None:
    slow = await line(hasty)
    slow.writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await slow.answer())[0] == 200
    slow.writer.write(b"GET /livez HTT")
    assert (await slow.answer())[0] == 408


async def test_a_body_that_trickles_is_closed_and_leaves_nothing(
    hasty: Inside, line: Connect, mongo: Any, database_url: str
) -> None:
    slow = await line(hasty)
    slow.writer.write(upload(hasty, b"Content-Length: 1000") + b"x")
    status, problem = await slow.answer()
    assert (status, problem["code"]) == (408, "request-timeout")
    await hasty.stop()
    name = database_url.rsplit("/", 1)[1].partition("?")[0]
    assert mongo[name]["chunks"].count_documents({}) == 0
    assert mongo[name]["manifests"].count_documents({"state": "uploading"}) == 0


async def test_a_body_that_goes_on_coming_is_taken(
    hasty: Inside, line: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = await line(hasty)
    size, arm = 1500, SlowClientTimer._arm

    def look(watched: SlowClientTimer) -> None:
        arm(watched)
        steady.writer.write(bytes(300))  # till the next look, 205 must come

    monkeypatch.setattr(SlowClientTimer, "_arm", look)
    steady.writer.write(upload(hasty, b"Content-Length: %d" % size))
    status, manifest = await steady.answer()
    assert (status, manifest["size"]) == (201, size)


async def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path, database_url: str) -> None:
    limits = Limits(net=NetLimits(unread_seconds=0.1))
    async with inside(tmp_path, database_url, limits=limits) as server:
        async with server.http() as http:
            answer = await http.post("/v1/files?name=a", content=bytes(16 * 2**20))
        await until(lambda: server.services.connection_counts.connections == 0)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        with closing(plain):
            await loop.sock_connect(plain, ("127.0.0.1", server.port))
            get = (
                b"GET /v1/files/%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
            )
            assert server.token is not None
            names = (answer.json()["_id"].encode(), server.token.encode())
            await loop.sock_sendall(plain, get % names)
            assert (await loop.sock_recv(plain, 100)).startswith(b"HTTP/1.1 200 ")
            await until(lambda: server.services.connection_counts.connections == 0)


async def test_headers_may_not_grow_for_ever(hasty: Inside, line: Connect) -> None:
    greedy = await line(hasty)
    greedy.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    for _ in range(20):
        greedy.writer.write(b"X-More: " + b"a" * 8000 + b"\r\n")
    status, problem = await greedy.answer()
    assert (status, problem["code"]) == (431, "invalid-argument")
    assert await greedy.end() == b""


@pytest.mark.parametrize(
    "endless", [b"0\r\n" + b"X-Trailer: a\r\n" * 99_999, b"1;" + b"a" * 999_999]
)
async def test_what_stands_around_a_body_may_not_grow_for_ever(
    hasty: Inside, line: Connect, endless: bytes
) -> None:
    greedy = await line(hasty)
    greedy.writer.write(upload(hasty, b"Transfer-Encoding: chunked") + b"1\r\na\r\n" + endless)
    status, problem = await greedy.answer()
    assert (status, problem["code"]) == (431, "invalid-argument")
    assert await greedy.end() == b""


async def test_a_refusal_is_heard_though_the_body_is_still_being_sent(
    hasty: Inside, line: Connect
) -> None:
    large = await line(hasty)
    large.writer.write(upload(hasty, b"Content-Length: 99000000") + bytes(2_000_000))
    status, problem = await large.answer()
    assert (status, problem["code"]) == (413, "too-large")
    assert await large.end() == b""


async def test_a_body_without_length_is_refused_at_the_byte(hasty: Inside, line: Connect) -> None:
    large = await line(hasty)
    large.writer.write(upload(hasty, b"Transfer-Encoding: chunked"))
    answered = asyncio.ensure_future(large.answer())
    piece = b"%x\r\n%b\r\n" % (2**20, bytes(2**20))
    while not answered.done():
        large.writer.write(piece)
        await large.writer.drain()
        await asyncio.sleep(0)
    status, problem = await answered
    assert (status, problem["code"], problem["limit"]) == (413, "too-large", 32_000_000)


@pytest.mark.parametrize("text", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00\xa5"])
async def test_what_is_not_http_is_refused(hasty: Inside, line: Connect, text: bytes) -> None:
    strange = await line(hasty)
    strange.writer.write(text)
    assert (await strange.end()).startswith((b"HTTP/1.1 400", b"HTTP/1.1 408", b"HTTP/1.1 505"))


async def test_more_connections_than_allowed_are_told_to_come_back(
    line: Connect, tmp_path: Path, database_url: str
) -> None:
    limits = Limits(net=NetLimits(linger_seconds=0.2))
    async with inside(tmp_path, database_url, limits=limits, max_connections=2) as server:
        held = [await line(server), await line(server)]
        for each in held:
            each.writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await each.answer())[0] == 200
        refused = await line(server)
        refused.writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, problem = await refused.answer()
        assert (status, problem["code"]) == (503, "too-many-connections")
        silent = await line(server)
        assert (await silent.answer())[0] == 503
        held[0].writer.close()
        await _until_free(line, server)


async def _until_free(line: Connect, server: Inside) -> None:
    for _ in range(200):
        again = await line(server)
        again.writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if (await again.answer())[0] == 200:
            return
    raise AssertionError("the place was not given to another")
