"""Bodies that are not what they stand for: encoded, or a part of something, on every route."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest

from lading.server.app import OPERATIONS
from tests.conftest import Kept
from tests.support.servers import Process

DATA = b"hello world"


async def addresses(http: httpx.AsyncClient) -> dict[str, tuple[str, str, Any]]:
    """A real address, method and body for each operation that takes a body."""
    file = (await http.post("/v1/files", content=DATA)).json()["_id"]
    upload = (await http.post("/v1/uploads", json={"name": "x", "size": 11})).json()["_id"]
    granted = (await http.post("/v1/grants", json={"action": "upload", "user_id": "admin"})).json()
    medium = (await http.post("/v1/media", json={"size": 1, "sha256": "0" * 64})).json()["media"][
        "_id"
    ]
    await http.post("/v1/tags", json={"name": "encoded"})
    return {
        "createFile": ("POST", "/v1/files", DATA),
        "createUpload": ("POST", "/v1/uploads", {"name": "x", "size": 1}),
        "putPiece": ("PUT", f"/v1/uploads/{upload}/chunks/0", DATA),
        "finishUpload": ("POST", f"/v1/uploads/{upload}/finish", {}),
        "changeFile": ("PATCH", f"/v1/files/{file}", {"name": "y"}),
        "createGrant": ("POST", "/v1/grants", {"action": "upload"}),
        "uploadWithGrant": ("PUT", granted["url"], DATA),
        "postWithGrant": ("POST", granted["url"], DATA),
        "createMedium": ("POST", "/v1/media", {"size": 1, "sha256": "0" * 64}),
        "finalizeMedium": ("POST", f"/v1/media/{medium}/finalize", {}),
        "beginSession": ("POST", "/v1/session", {}),
        "createTag": ("POST", "/v1/tags", {"name": "encoded2"}),
        "renameTag": ("PATCH", "/v1/tags/encoded", {"name": "encoded3"}),
        "setQuota": ("PUT", "/v1/users/encoded/quota", {"quota": 1}),
    }


async def test_an_encoded_body_is_refused_on_every_route_that_takes_one(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    every = await addresses(http)
    with_body = {operation.name for operation in OPERATIONS if operation.body is not None}
    assert set(every) == with_body
    before = kept()
    for name, (method, path, body) in every.items():
        plain = body if isinstance(body, bytes) else json.dumps(body).encode()
        for coding in ("gzip", "br", "identity, x-gzip"):
            refused = await http.request(
                method, path, content=gzip.compress(plain), headers={"Content-Encoding": coding}
            )
            assert (refused.status_code, refused.json()["code"]) == (
                415, "unsupported-media-type",
            ), name  # fmt: skip
            assert refused.headers["accept-encoding"] == "identity"
    assert kept() == before


@pytest.mark.parametrize("coding", ["identity", "IDENTITY", ""])
async def test_a_body_that_is_said_to_be_plain_is_taken(
    http: httpx.AsyncClient, coding: str
) -> None:
    made = await http.post("/v1/files", content=DATA, headers={"Content-Encoding": coding})
    assert made.status_code == 201
    assert (await http.get(made.headers["location"])).content == DATA


async def test_a_part_of_a_file_is_not_taken_for_all_of_it(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    """RFC 9110, section 14.5: a server that knows no partial PUT refuses it."""
    minted = (await http.post("/v1/grants", json={"action": "upload"})).json()
    fields = {"Content-Range": "bytes 0-10/100"}
    refused = await http.put(minted["url"], content=DATA, headers=fields)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert kept() == (0, 0)


async def test_a_transfer_coding_that_is_not_known_is_refused(server: Process, kept: Kept) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip, chunked\r\n"
        b"Authorization: Bearer %b\r\n\r\n5\r\nhello\r\n0\r\n\r\n" % str(server.token).encode()
    )
    assert (await reader.readline()).split()[1] in (b"400", b"501")
    writer.close()
    await writer.wait_closed()
    assert kept() == (0, 0)
