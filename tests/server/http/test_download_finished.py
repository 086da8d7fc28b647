"""From a request for a file to the bytes of its answer: conditions, ranges, headers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator
from email.message import Message
from email.parser import BytesParser
from random import Random
from typing import cast

import httpx
import pytest
from starlette.requests import Request

from lading.server.http.download.stream import paced
from tests.support.servers import Process
from tests.support.wire import channel

CELL = 1024
SIZE = 5 * CELL + 100
DATA = Random(1).randbytes(SIZE)  # two bytes in 32,000 look like an image


@pytest.fixture
async def url(server: Process) -> str:
    """A finished file of several pieces."""
    async with channel(server) as wire:
        file = await wire.upload(1, DATA, name="film.mp4", chunk_size=CELL)
    return str(file["url"])


# -- the whole file


async def test_a_file_with_its_headers(http: httpx.AsyncClient, url: str) -> None:
    response = await http.get(url)
    assert response.status_code == 200
    assert response.content == DATA
    headers = response.headers
    assert headers["content-length"] == str(SIZE)
    assert headers["content-type"] == "video/mp4"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"')
    assert headers["last-modified"].endswith("GMT")
    assert headers["content-disposition"] == 'inline; filename="film.mp4"'
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; media-src 'self';")
    assert "private" in headers["cache-control"]


async def test_head_is_get_without_the_bytes(http: httpx.AsyncClient, url: str) -> None:
    got, head = await http.get(url), await http.head(url)
    assert head.content == b""
    assert head.status_code == 200
    own = {"date": "", "x-request-id": ""}  # each request has its own
    assert {**head.headers, **own} == {**got.headers, **own}
    # A range has a meaning for GET only (RFC 9110, 14.2).
    ranged = await http.head(url, headers={"Range": "bytes=0-0"})
    assert (ranged.status_code, ranged.headers["content-length"]) == (200, str(SIZE))


async def test_an_attachment_on_demand(http: httpx.AsyncClient, url: str) -> None:
    response = await http.get(url + "?download=1")
    assert response.headers["content-disposition"].startswith("attachment; ")


async def test_a_digest_where_it_is_known(http: httpx.AsyncClient, url: str) -> None:
    assert "repr-digest" not in (await http.get(url)).headers
    made = await http.post("/v1/files", content=DATA)
    header = (await http.get(made.headers["location"])).headers["repr-digest"]
    algorithm, _, value = header.partition("=")
    assert algorithm == "sha-256"
    assert base64.b64decode(value.strip(":")) == hashlib.sha256(DATA).digest()


# -- conditions


async def test_what_the_client_has_is_not_sent_again(http: httpx.AsyncClient, url: str) -> None:
    first = await http.get(url)
    etag, changed = first.headers["etag"], first.headers["last-modified"]
    for fields in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": changed},
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"If-None-Match": etag, "If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"If-None-Match": etag, "Range": "bytes=0-0"},
    ):
        response = await http.get(url, headers=fields)
        assert response.status_code == 304, fields
        assert response.content == b""
        assert response.headers["etag"] == etag
    for fields in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": changed},
        {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"If-Modified-Since": "Mon, 01 Jan 0001 00:00:00 +2300"},
        {"If-Modified-Since": "Mon, 99 Jan 2001 00:00:00 +9999"},
    ):
        assert (await http.get(url, headers=fields)).status_code == 200, fields


async def test_a_part_of_what_the_client_has_the_rest_of(http: httpx.AsyncClient, url: str) -> None:
    first = await http.get(url)
    etag, changed = first.headers["etag"], first.headers["last-modified"]
    for condition, status in (
        (etag, 206),
        (changed, 206),
        ('"other"', 200),
        (f"W/{etag}", 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("nonsense", 200),
    ):
        fields = {"Range": "bytes=5-9", "If-Range": condition}
        response = await http.get(url, headers=fields)
        assert response.status_code == status, condition
        assert response.content == (DATA[5:10] if status == 206 else DATA)


# -- ranges


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        ("0-", 0, SIZE),
        ("-1", SIZE - 1, SIZE),
        (f"-{SIZE * 2}", 0, SIZE),
        ("-99999999999999999", 0, SIZE),
        (f"{CELL - 1}-{CELL}", CELL - 1, CELL + 1),
        (f"{CELL}-{2 * CELL - 1}", CELL, 2 * CELL),
        (f"10-{4 * CELL}", 10, 4 * CELL + 1),
        (f"{SIZE - 1}-", SIZE - 1, SIZE),
        (f"{SIZE - 10}-{SIZE + 10}", SIZE - 10, SIZE),
    ],
)
async def test_one_range(
    http: httpx.AsyncClient, url: str, asked: str, start: int, end: int
) -> None:
    response = await http.get(url, headers={"Range": f"bytes={asked}"})
    assert response.status_code == 206
    assert response.content == DATA[start:end]
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert response.headers["content-length"] == str(end - start)
    assert response.headers["etag"]


@pytest.mark.parametrize(
    "asked", [f"{SIZE}-", "-0", f"{SIZE + 5}-{SIZE + 9}", "99999999999999999-"]
)
async def test_a_range_that_is_not_there(http: httpx.AsyncClient, url: str, asked: str) -> None:
    response = await http.get(url, headers={"Range": f"bytes={asked}"})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{SIZE}"
    assert response.json()["code"] == "range-not-satisfiable"


@pytest.mark.parametrize("field", ["items=0-1", "bytes=", "bytes=a-b", "0-1", "bytes 0-1"])
async def test_a_range_that_is_none_is_ignored(
    http: httpx.AsyncClient, url: str, field: str
) -> None:
    response = await http.get(url, headers={"Range": field})
    assert (response.status_code, response.content) == (200, DATA)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("0-0,-1", [(0, 1), (SIZE - 1, SIZE)]),
        (f"{2 * CELL}-{3 * CELL},5-9", [(2 * CELL, 3 * CELL + 1), (5, 10)]),
        (f"0-9,{SIZE}-", [(0, 10)]),
        ("0-9,5-19", [(0, 20)]),
    ],
)
async def test_several_ranges(
    http: httpx.AsyncClient, url: str, asked: str, wanted: list[tuple[int, int]]
) -> None:
    response = await http.get(url, headers={"Range": f"bytes={asked}"})
    assert response.status_code == 206
    assert response.headers["content-length"] == str(len(response.content))
    if len(wanted) == 1:
        ((start, end),) = wanted
        assert response.content == DATA[start:end]
        return
    kind = response.headers["content-type"]
    assert kind.startswith("multipart/byteranges; boundary=")
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    parts = cast("list[Message]", BytesParser().parsebytes(head + response.content).get_payload())
    assert [part["Content-Range"] for part in parts] == [
        f"bytes {start}-{end - 1}/{SIZE}" for start, end in wanted
    ]
    assert {part.get_content_type() for part in parts} == {"video/mp4"}


async def test_an_empty_file(server: Process, http: httpx.AsyncClient) -> None:
    async with channel(server) as wire:
        file = await wire.upload(1, b"")
    response = await http.get(file["url"])
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "0"
    assert (await http.get(file["url"], headers={"Range": "bytes=0-"})).status_code == 416


# -- a reader that does not read


async def test_the_next_piece_is_taken_when_the_one_before_is_on_its_way() -> None:
    sent, closed, taken = asyncio.Event(), asyncio.Event(), 0

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal taken
        try:
            for number in range(3):
                taken += 1
                yield bytes([number])
        finally:
            closed.set()

    request = Request({"type": "http", "lading.sent": sent.wait})
    body = paced(request, pieces())
    assert await anext(body) == b"\0"
    waiting = asyncio.ensure_future(anext(body))
    for _ in range(10):
        await asyncio.sleep(0)
    assert taken == 1
    sent.set()
    assert await waiting == b"\1"
    await body.aclose()
    assert closed.is_set()
    unpaced = paced(Request({"type": "http"}), pieces())
    assert [data async for data in unpaced] == [b"\0", b"\1", b"\2"]
