"""The MUSTs of RFC 9112 for a server, over raw sockets; and who may read a refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lading.server.limits import Limits, NetLimits
from lading.server.services import Services
from tests.support.servers import Inside, inside

HOST = b"Host: localhost\r\n"
GET = b"GET /livez HTTP/1.1\r\n" + HOST
POST = b"POST /v1/uploads HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SITE = "https://site.example"
LIMITS = Limits(net=NetLimits(linger_seconds=0.5, header_seconds=0.5, patience_seconds=0.5))


@pytest.fixture
async def server(tmp_path: Path, database_url: str) -> AsyncIterator[Inside]:
    origins = f"https://other.example,{SITE}"
    async with inside(tmp_path, database_url, limits=LIMITS, allowed_origins=origins) as running:
        yield running


async def talk(server: Inside, request: bytes) -> bytes:
    """All that the server says to `request` until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def parts(answer: bytes) -> tuple[int, dict[str, str], Any]:
    """The status, fields and JSON of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, json.loads(body)


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        pytest.param(
            400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", id="6.1"
        ),
        pytest.param(400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", id="6.3-two"),
        pytest.param(400, POST + b"Content-Length: 5, 6\r\n\r\n", id="6.3-list"),
        pytest.param(400, POST + b"Content-Length: +5\r\n\r\n", id="6.3-plus"),
        pytest.param(400, POST + b"Content-Length: %d\r\n\r\n" % 10**30, id="6.3-overflow"),
        pytest.param(400, POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", id="6.3-not-last"),
        pytest.param(501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="6.1-unknown"),
        pytest.param(501, POST + b"Transfer-Encoding: identity\r\n\r\n", id="6.1-identity"),
        pytest.param(
            400, CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n", id="6.1-of-1.0"
        ),
        pytest.param(400, CHUNKED + b"xyz\r\nhello", id="7.1-no-number"),
        pytest.param(400, CHUNKED + b"-5\r\nhello", id="7.1-negative"),
        pytest.param(400, CHUNKED + b"f" * 17 + b"\r\nhello", id="7.1-overflow"),
        pytest.param(400, CHUNKED + b"0x5\r\nhello", id="7.1-prefix"),
        pytest.param(400, CHUNKED + b"5\r\nhelloworld", id="7.1-no-end"),
        pytest.param(400, GET + b"X-A: b\r\n c\r\n\r\n", id="5.2-folded"),
        pytest.param(400, GET + b"X-A : b\r\n\r\n", id="5.1-space-before-colon"),
        pytest.param(400, b"GET /livez HTTP/1.1\r\n " + HOST + b"\r\n", id="2.2-space-first"),
        pytest.param(400, GET + b"X-A: a\x00b\r\n\r\n", id="nul"),
        pytest.param(400, GET + b"X-A: a\rb\r\n\r\n", id="2.2-bare-cr"),
        pytest.param(400, b"GET /livez HTTP/1.1\r\n\r\n", id="3.2-no-host"),
        pytest.param(400, GET + HOST + b"\r\n", id="3.2-two-hosts"),
        pytest.param(400, b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n", id="3.2-no-such-host"),
        pytest.param(400, b"GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", id="3.2-path-in-host"),
        pytest.param(505, b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", id="2.3-version"),
        pytest.param(505, b"GET /livez\r\n\r\n", id="2.3-no-version"),
        pytest.param(431, GET + b"X-A: " + b"a" * 70_000, id="too-long"),
        pytest.param(408, GET, id="too-slow"),
    ],
)
async def test_a_request_that_must_be_refused_is_refused_with_a_problem_and_closed(
    server: Inside, status: int, request_: bytes
) -> None:
    found, fields, problem = parts(await talk(server, request_))
    assert (found, problem["status"]) == (status, status)
    assert problem["code"] == ("request-timeout" if status == 408 else "invalid-argument")
    assert fields["content-type"] == "application/problem+json"
    assert fields["connection"] == "close"
    assert "access-control-allow-origin" not in fields


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n" + GET,  # section 2.2
        b"GET http://localhost/livez HTTP/1.1\r\n" + HOST,  # section 3.2.2
        b"GET /livez HTTP/1.1\r\nHost:\r\n",
        b"GET /livez HTTP/1.1\r\nHost: [::1]:80\r\n",
        b"GET /livez HTTP/1.0\r\n",
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
    ],
)
async def test_a_request_that_must_be_taken_is_taken(server: Inside, request_: bytes) -> None:
    answer = await talk(server, request_ + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_requests_behind_an_upgrade_that_is_ignored_are_answered(server: Inside) -> None:
    upgrade = GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = await talk(server, upgrade + upgrade + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize("before", [1, 2, 3])
async def test_a_refused_body_does_not_answer_the_requests_before_it(
    server: Inside, capsys: pytest.CaptureFixture[str], before: int
) -> None:
    answer = await talk(server, (GET + b"\r\n") * before + CHUNKED + b"zz\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == answer.count(b"HTTP/1.1 ") == before
    assert "fault" not in capsys.readouterr().out


async def test_many_of_them_at_once_are_no_deep_recursion(server: Inside) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost:a\r\nConnection:upgrade\r\nUpgrade:x\r\n\r\n"
    answer = await talk(server, upgrade * 3000 + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 3001


async def test_the_host_of_the_target_counts_and_not_the_field(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url, allowed_hosts="files.example") as server:
        end = b"Connection: close\r\n\r\n"
        evil = b"GET http://evil.example/livez HTTP/1.1\r\nHost: files.example\r\n" + end
        assert (await talk(server, evil)).startswith(b"HTTP/1.1 400 ")
        good = b"GET http://files.example/livez HTTP/1.1\r\nHost: evil.example\r\n" + end
        assert (await talk(server, good)).startswith(b"HTTP/1.1 200 ")


async def test_a_trailer_is_no_header(server: Inside) -> None:
    assert server.token is not None
    trailer = b"0\r\nAuthorization: Bearer " + server.token.encode() + b"\r\n\r\n"
    answer = await talk(server, CHUNKED + trailer + GET + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1 200 " in answer


async def test_a_bad_request_does_not_cut_the_answer_before_it(server: Inside) -> None:
    async with server.http() as http:
        size = 4 * 2**20
        file = (await http.post("/v1/files?name=a", content=bytes(size))).json()
    get = b"GET /v1/files/%b HTTP/1.1\r\n" % file["_id"].encode() + HOST
    assert server.token is not None
    get += b"Authorization: Bearer " + server.token.encode() + b"\r\n\r\n"
    answer = await talk(server, get + b"what is this\r\n\r\n")
    _, _, body = answer.partition(b"\r\n\r\n")
    assert body == bytes(size)


# -- who may read it


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, b"Content-Length: x\r\n\r\n"),
        (408, b"X-Slow: "),
        (408, b"Content-Length: 1000\r\n\r\nx"),
        (431, b"X-A: " + b"a" * 70_000),
        (501, b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("origin", [SITE, "https://evil.example"])
async def test_allowed_pages_can_read_a_refusal_of_the_socket(
    server: Inside, status: int, request_: bytes, origin: str
) -> None:
    assert server.token is not None
    start = b"POST /v1/files?name=a HTTP/1.1\r\n" + HOST + b"Origin: " + origin.encode() + b"\r\n"
    start += b"Authorization: Bearer " + server.token.encode() + b"\r\n"
    found, fields, _ = parts(await talk(server, start + request_))
    assert found == status
    assert fields.get("access-control-allow-origin") == (SITE if origin == SITE else None)
    if origin == SITE:
        assert "retry-after" in fields["access-control-expose-headers"]
        assert fields["vary"] == "origin"


async def test_allowed_pages_can_read_that_the_server_is_full(
    tmp_path: Path, database_url: str
) -> None:
    settings: dict[str, Any] = {"allowed_origins": SITE, "max_connections": 1}
    async with inside(tmp_path, database_url, limits=LIMITS, **settings) as server:
        _, held = await asyncio.open_connection("127.0.0.1", server.port)
        field = b"Origin: " + SITE.encode() + b"\r\n"
        preflight = b"OPTIONS /v1/uploads HTTP/1.1\r\n" + HOST + field
        answer = await talk(server, preflight + b"Access-Control-Request-Method: POST\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert b"access-control-allow-methods: " in answer.lower()
        found, fields, problem = parts(await talk(server, POST + field + b"\r\n"))
        assert (found, problem["code"]) == (503, "too-many-connections")
        assert fields["access-control-allow-origin"] == SITE
        assert fields["retry-after"] == "2"
        held.close()


async def test_allowed_pages_can_read_that_there_was_a_fault(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fault(*_: object) -> None:
        raise RuntimeError("fault")

    monkeypatch.setattr(Services, "principal", fault)
    async with server.http() as http:
        answer = await http.get("/v1/usage", headers={"Origin": SITE})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert answer.headers["access-control-allow-origin"] == SITE
        answer = await http.get("/v1/usage", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers


# -- handshakes

HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: keep-alive\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: lading.v1\r\n"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Upgrade: websocket\r\n", b""),
        (b"Connection: Upgrade\r\n", b""),
        (b"Version: 13", b"Version: 8"),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
    ],
)
async def test_an_incomplete_handshake_is_426(server: Inside, before: bytes, after: bytes) -> None:
    request = HANDSHAKE.replace(before, after) + b"Origin: " + SITE.encode() + b"\r\n"
    request = request.replace(b"keep-alive", b"close")
    answer = await talk(server, request + b"\r\n")
    found, fields, problem = parts(answer)
    assert (found, problem["code"]) == (426, "invalid-argument")
    assert (fields["upgrade"], fields["sec-websocket-version"]) == ("websocket", "13")
    assert b"\r\nconnection: upgrade\r\n" in answer.lower()
    assert fields["access-control-allow-origin"] == SITE


async def test_a_handshake_with_two_connection_fields_is_one(server: Inside) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HANDSHAKE + b"\r\n")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 101 ")
    writer.close()


async def test_a_handshake_at_another_address_is_not_found(server: Inside) -> None:
    found, _, problem = parts(await talk(server, HANDSHAKE.replace(b"/v1/ws", b"/v1/wx") + b"\r\n"))
    assert (found, problem["code"]) == (404, "not-found")
