"""The bad inputs of page 5 that come over HTTP: each is refused by its code, stores nothing, and
costs little memory and time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from lading.protocol.names import canonical_directory
from tests.conftest import Kept
from tests.support.cost import costs_little, quickly
from tests.support.servers import Process
from tests.support.wire import channel

DATA = bytes(range(256)) * 12


@pytest.fixture(autouse=True)
def _costs_little(server: Process) -> Iterator[None]:
    with costs_little(server):
        yield


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/{id}",
        "/v1/files?cursor={id}",
        "/v1/manifests/{id}",
        "/v1/uploads/{id}",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "x",
        "%7B%22%24ne%22%3Anull%7D",
        "a.b",
        "%00",
        "0" * 24 + "%00",
        "%24where",
        "%F0%9F%9A%A2",
        "0" * 5000,
        "%0d%0aX:y",
    ],
)
async def test_what_is_no_id_is_refused(http: httpx.AsyncClient, path: str, value: str) -> None:
    response = await http.get(path.format(id=value))
    assert response.status_code == 400
    assert response.json()["code"] == "invalid-argument"


@pytest.mark.parametrize(
    "query",
    [
        "name=%00",
        "directory=a%00b",
        "name=" + "x" * 2000,
        "tag=.",
        "tag=..",
        "tag=%00",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1e3",
        "limit=true",
        "limit=%D9%A3",
        "limit=000000001" + "0" * 30,
        "limit=" + "1" * 5000,
    ],
    ids=lambda query: query[:30],
)
async def test_a_filter_that_is_not_allowed(http: httpx.AsyncClient, query: str) -> None:
    response = await http.get("/v1/files?" + query)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid-argument"


@pytest.mark.parametrize("field", ["name", "directory"])
@pytest.mark.parametrize("value", ['{"$ne": null}', "$where", "a.b", "[$ne]"])
async def test_operators_in_filters_are_text(
    http: httpx.AsyncClient, kept: Kept, field: str, value: str
) -> None:
    await http.post("/v1/files?name=plain", content=b"x")
    refused = await http.get("/v1/files", params={f"{field}[$ne]": ""})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert (await http.get("/v1/files", params={field: value})).json()["files"] == []
    await http.post("/v1/files", params={"name": "x", field: value}, content=b"x")
    (found,) = (await http.get("/v1/files", params={field: value})).json()["files"]
    assert found[field] == value
    assert kept() == (2, 2)


NAMES = [
    "../x",
    "../../../../etc/passwd",
    "%2e%2e",
    "..\\x",
    "C:\\windows\\x",
    "a\r\nSet-Cookie: b=c",
    "\u202egpj.exe",
    "x" * 300,
    'quo"te; filename=evil.exe',
    "日本語.png",
    "\U0001f6a2",
    " ",
    ".",
    "a\tb\x7f\x01",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_name_is_data(server: Process, http: httpx.AsyncClient, name: str) -> None:
    async with channel(server) as wire:
        file = await wire.upload(1, b"bytes", name=name, directory=name)
    response = await http.get(file["url"])
    assert response.content == b"bytes"
    header = response.headers["content-disposition"]
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith("attachment; filename=") or name.endswith(".png")
    assert "set-cookie" not in response.headers
    manifest = (await http.get(f"/v1/manifests/{file['id']}")).json()
    assert (manifest["name"], manifest["directory"]) == (name, canonical_directory(name))
    found = (await http.get("/v1/files", params={"directory": name})).json()["files"]
    assert file["id"] in [each["_id"] for each in found]
    assert len(found) == 1 or not canonical_directory(name)
    await http.delete(file["url"])


PAGES = {
    "html": b"<!doctype html><script>alert(1)</script>",
    "html-late": b"\xef\xbb\xbf \n\t<html><body onload=alert(1)>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "svg-xml": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
}


@pytest.mark.parametrize(
    "claimed", ["image/png", "text/html", "image/SVG+xml; charset=utf-8", None]
)
@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES)
async def test_a_page_is_never_shown_whatever_it_is_called(
    http: httpx.AsyncClient, content: bytes, claimed: str | None
) -> None:
    headers = {} if claimed is None else {"Content-Type": claimed}
    made = await http.post("/v1/files?name=x.png", content=content, headers=headers)
    assert made.status_code == 201
    response = await http.get(made.headers["location"])
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("ranges", "status"),
    [
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(10_000)), 416),
        ("bytes=" + "0-," * 10_000, 416),
        ("bytes=9-5", 416),
        ("bytes=-" + "9" * 16, 206),
        ("bytes=-" + "9" * 5000, 206),
        ("bytes=" + "9" * 16 + "-", 416),
        ("bytes=" + "9" * 5000 + "-", 416),
        ("bytes=0-" + "9" * 15, 206),
        ("bytes=--5", 200),
        ("bytes=1e3-", 200),
        ("bytes=٣-٤".encode().decode("latin-1"), 200),
        ("bytes=" + " " * 30_000 + "0-", 206),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_hostile_ranges_are_answered_quickly(
    server: Process, http: httpx.AsyncClient, ranges: str, status: int
) -> None:
    made = await http.post("/v1/files?name=x", content=DATA)

    async def ask() -> httpx.Response:
        fields = [(b"Range", ranges.encode("latin-1"))]
        return await http.get(made.headers["location"], headers=fields)

    response = await quickly(server, ask)
    assert response.status_code == status
    if status == 416:
        assert response.json()["code"] == "range-not-satisfiable"
        assert response.headers["content-range"] == f"bytes */{len(DATA)}"
    else:
        assert response.content == DATA


BODIES: dict[str, bytes] = {
    "empty": b"",
    "not-json": b"{",
    "not-utf-8": b'{"name": "\xff"}',
    "not-an-object": b"[]",
    "nan": b'{"name": "a", "size": NaN}',
    "infinity": b'{"name": "a", "size": 1e999}',
    "deep": b'{"name": ' + b"[" * 10_000,
    "operator": b'{"name": {"$ne": null}, "size": 1}',
    "nul": b'{"name": "a\\u0000b", "size": 1}',
    "surrogate": b'{"name": "\\ud800", "size": 1}',
    "negative": b'{"name": "a", "size": -1}',
    "too-large-a-number": b'{"name": "a", "size": 9223372036854775808}',
    "digits": b'{"name": "a", "size": ' + b"9" * 5000 + b"}",
    "true": b'{"name": "a", "size": true}',
    "text": b'{"name": "a", "size": "1e3"}',
    "fraction": b'{"name": "a", "size": 1.5}',
    "tag": b'{"name": "a", "size": 1, "tags": [".."]}',
    "tags": b'{"name": "a", "size": 1, "tags": {"a": "b"}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_describes_no_upload(
    server: Process, http: httpx.AsyncClient, kept: Kept, body: bytes
) -> None:
    response = await quickly(server, lambda: http.post("/v1/uploads", content=body))
    assert response.status_code == 400
    assert response.json()["code"] == "invalid-argument"
    assert kept() == (0, 0)


@pytest.mark.parametrize(
    "place", ["-1", "1e3", "true", "NaN", "0x0", "9" * 17, "0" * 17 + "9" * 17]
)
async def test_a_place_that_is_none(http: httpx.AsyncClient, kept: Kept, place: str) -> None:
    made = await http.post("/v1/uploads", content=json.dumps({"name": "a", "size": 3}))
    url = f"{made.headers['location']}/chunks/{place}"
    response = await http.put(url, content=b"abc")
    assert response.status_code == 400
    assert response.json()["code"] == "invalid-argument"
    assert kept() == (1, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"X-Lading-Crc32c": "-1"},
        {"X-Lading-Crc32c": "4294967296"},
        {"X-Lading-Crc32c": "0" * 11 + "1" * 5000},
        {"Content-Digest": "crc32c=1"},
        {"Content-Digest": "crc32c=:AAAAAAA=:"},
        {"Content-Digest": "crc32c=:?:"},
    ],
    ids=lambda fields: str(fields)[:40],
)
async def test_a_header_that_is_malformed(
    http: httpx.AsyncClient, kept: Kept, fields: dict[str, str]
) -> None:
    made = await http.post("/v1/uploads", content=json.dumps({"name": "a", "size": 3}))
    response = await http.put(
        f"{made.headers['location']}/chunks/0", content=b"abc", headers=fields
    )
    assert response.status_code == 400
    assert kept() == (1, 0)
