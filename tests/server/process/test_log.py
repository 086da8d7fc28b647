"""The log of a server, as its operator reads it: one line a request, one a channel, no token."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lading import Client
from lading.protocol.messages import SUBPROTOCOL
from lading.server.net.record import VALID, Record
from tests.support.servers import Process, process
from tests.support.users import JWT, client, mint, user

Line = dict[str, Any]


@pytest.fixture(scope="module")
def server(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of these tests' own, since its log is read."""
    url = mongod.replace("/?", "/logs?")
    with process(tmp_path_factory.mktemp("log"), url, log_level="debug", **JWT) as running:
        yield running


def lines(server: Process) -> list[Line]:
    """What the log says, without the lines that say that the server is ready."""
    found = server.log.read_text().splitlines()
    return [json.loads(line) for line in found if line.startswith("{")]


def wait_for(server: Process, wanted: Callable[[Line], object]) -> Line:
    """The first such line; it is written after the answer was sent."""
    for _ in range(400):
        for line in lines(server):
            if wanted(line):
                return line
        time.sleep(0.01)
    raise AssertionError(server.log.read_text())


def named(request_id: str) -> Callable[[Line], bool]:
    return lambda line: line.get("request_id") == request_id and "status" in line


async def test_each_request_is_one_line_with_what_an_operator_asks_for(server: Process) -> None:
    async with client(server, user("ann"), request_id=None) as browser:
        told = await browser.post(
            "/v1/files?name=a.txt", content=b"hello", headers={"X-Request-Id": "from-proxy.1"}
        )
        file = told.json()["_id"]
        assert told.headers["x-request-id"] == "from-proxy.1"
        line = wait_for(server, named("from-proxy.1"))
        assert line["event"] == "request"
        assert line["level"] == "info"
        assert line["timestamp"].endswith("Z")
        assert 0 < line["ms"] < 30_000
        assert line["bytes_out"] == len(told.content)
        wanted = {"method": "POST", "route": "/v1/files", "status": 201, "bytes_in": 5}
        wanted |= {"user_id": "ann", "upload_id": file}
        assert line.items() >= wanted.items()
        assert "code" not in line

        got = await browser.get(f"/v1/files/{file}", headers={"Range": "bytes=0-1"})
        line = wait_for(server, named(got.headers["x-request-id"]))
        wanted = {"route": "/v1/files/{id}", "status": 206, "bytes_out": 2, "upload_id": file}
        assert line.items() >= wanted.items()


async def test_uploads_by_tus_and_by_the_draft_are_named_too(server: Process) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    length = {"Upload-Length": "5"}
    token = (await mint(server))["token"]
    async with client(server, user("ann"), request_id=None) as browser:
        for number, (path, headers, route) in enumerate(
            (
                ("/v1/tus", tus | length, "/v1/tus"),
                (f"/v1/g/{token}", tus | length, "/v1/g/{token}"),
                ("/v1/resumable", {"Upload-Complete": "?0"}, "/v1/resumable"),
            )
        ):
            begun = f"begins-{number}"
            made = await browser.post(path, headers=headers | {"X-Request-Id": begun})
            assert made.status_code == 201
            upload_id = made.headers["location"].rsplit("/", 1)[1]
            line = wait_for(server, named(begun))
            wanted = {"route": route, "upload_id": upload_id, "user_id": "ann"}
            assert line.items() >= wanted.items()

        refused = await browser.patch(
            f"/v1/tus/{upload_id}", headers=tus | {"X-Request-Id": "refused"}
        )
        assert refused.status_code == 415
        line = wait_for(server, named("refused"))
        wanted = {"upload_id": upload_id, "code": "unsupported-media-type"}
        assert line.items() >= wanted.items()


async def test_a_refusal_names_its_request_in_the_document_the_header_and_the_log(
    server: Process,
) -> None:
    async with client(server, request_id=None) as browser:
        for method, path, status, code in (
            ("GET", "/v1/files", 401, "unauthorized"),
            ("GET", "/nowhere/at/all", 404, "not-found"),
            ("PUT", "/livez", 405, "method-not-allowed"),
            ("GET", "/public/000000000000000000000000", 404, "not-found"),
        ):
            told = await browser.request(method, path)
            assert (told.status_code, told.json()["code"]) == (status, code)
            request_id = told.json()["request_id"]
            assert told.headers["x-request-id"] == request_id
            line = wait_for(server, named(request_id))
            assert (line["status"], line["code"], line["method"]) == (status, code, method)
    assert "nowhere" not in server.log.read_text()


async def test_what_is_refused_below_the_application_is_one_line_too(server: Process) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /livez HTTP/1.1\r\nX-Request-Id: no-host\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 400 ")
    assert "x-request-id: no-host\r\n" in answer.lower()
    assert '"request_id": "no-host"' in answer
    line = wait_for(server, named("no-host"))
    wanted = {"method": "GET", "route": "", "status": 400, "code": "invalid-argument"}
    assert line.items() >= wanted.items()


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (b"0af7651916cd43dd8448eb211c80319c", True),
        (b"Root=1-67891233-abcdef012345678912345678", True),
        (b"a b", False),
        (b'{"x":1}', False),
        (b"", False),
        (b"a" * 129, False),
        (b"lg_kxtyUW5rbY2Hq0rZ7v1nTgJ8mCwLxEoPsAqDfIuB3Ka", False),
        (b"line\nbreak", False),
    ],
)
def test_only_a_plain_id_is_taken_over(sent: bytes, taken: bool) -> None:
    assert bool(VALID.fullmatch(sent)) is taken


def test_a_request_about_several_uploads_is_about_none_in_particular() -> None:
    record = Record(request_id="1")
    record.note_upload("a")
    record.note_upload("a")
    assert (record.uploads, record.upload_id) == (1, "a")
    record.note_upload("b")
    assert (record.uploads, record.upload_id) == (2, None)


async def test_a_channel_is_one_line_when_it_ends(server: Process, tmp_path: Path) -> None:
    path = tmp_path / "film.bin"
    path.write_bytes(bytes(3 * 2**20))
    async with Client(server.url, user("ann")) as client:
        file = await client.upload(path)
    line = wait_for(server, lambda line: line["event"] == "channel")
    wanted = {"route": "/v1/ws", "method": "GET", "status": 101, "user_id": "ann"}
    wanted |= {"uploads": 1, "pieces": 3, "upload_id": file.id, "close_code": 1000}
    assert line.items() >= wanted.items()
    assert 3 * 2**20 < line["bytes_in"] < 4 * 2**20
    assert 0 < line["bytes_out"] < 10_000
    said = [other for other in lines(server) if other["level"] == "debug"]
    assert {other["request_id"] for other in said} == {line["request_id"]}


async def test_the_handshake_returns_the_id_of_the_channel(server: Process) -> None:
    given = {"X-Request-Id": "channel-1"}
    async with connect(
        server.channel,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers=given,
        proxy=None,
    ) as channel:
        assert channel.response is not None
        assert channel.response.headers["X-Request-Id"] == "channel-1"
    line = wait_for(server, named("channel-1"))
    assert (line["event"], line["uploads"], line["close_code"]) == ("channel", 0, 1000)


async def test_a_handshake_that_is_refused_is_a_request(server: Process) -> None:
    async with client(server, request_id=None) as browser:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        told = await browser.get("/v1/ws", headers=upgrade)
    assert told.status_code == 400
    line = wait_for(server, named(told.json()["request_id"]))
    wanted = {"event": "request", "route": "/v1/ws", "status": 400, "code": "invalid-argument"}
    assert line.items() >= wanted.items()


async def test_no_token_is_in_the_log(server: Process) -> None:
    admin = user("boss", "admin")
    token = (await mint(server))["token"]
    async with client(server, admin, request_id=None) as browser:
        stored = await browser.put(f"/v1/g/{token}", content=b"by grant")
        line = wait_for(server, named(stored.headers["x-request-id"]))
        wanted = {"route": "/v1/g/{token}", "status": 201, "user_id": "ann"}
        assert line.items() >= {**wanted, "upload_id": stored.json()["_id"]}.items()
        await browser.get(f"/v1/g/{token}")
        await browser.get("/", params={"token": admin})
        await browser.get("/livez", headers={"X-Request-Id": token})
        last = await browser.get(f"/v1/g/{token}x/{admin}")
    wait_for(server, named(last.headers["x-request-id"]))
    shown = server.log.read_text()
    assert token not in shown
    assert admin not in shown


SAID = """
from lading.server.process.log import configure_log, log_request
from lading.server.net.record import Record

configure_log({!r}, {!r})
log_request(Record(request_id="7", method="GET", route="/v1/files", status=200, user_id="\\x1b[2J"))
log_request(Record(request_id="8", method="GET", route="/v1/files", status=503))
"""


def said(level: str, form: str | None) -> list[str]:
    own = os.environ | {"NO_COLOR": "1"}
    command = [sys.executable, "-c", SAID.format(level, form)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
    return done.stdout.splitlines()


def test_the_format_can_be_chosen() -> None:
    first, second = said("info", "text")
    assert not first.startswith("{")
    assert "\x1b" not in first, "no terminal's cursor is moved by a name"
    assert "status=200" in first
    assert json.loads(said("info", None)[0])["user_id"] == "\x1b[2J"
    assert "warning" in second


def test_a_server_that_fails_is_told_at_the_level_of_warnings() -> None:
    (line,) = map(json.loads, said("warning", "json"))
    assert (line["request_id"], line["level"], line["status"]) == ("8", "warning", 503)
