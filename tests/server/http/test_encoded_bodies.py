"""Bodies that are not what they stand for: encoded, or a part of something, on every route."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.server.app import OPERATIONS
from tests.conftest import Kept
from tests.support.accounts import OF_ACCOUNTS, accounts_server, add, browser, signed_in
from tests.support.servers import Process

DATA = b"hello world"

TUS = {
    "Tus-Resumable": "1.0.0",
    "Upload-Offset": "0",
    "Content-Type": "application/offset+octet-stream",
    "Accept": "application/json",
}
NEW_TUS = {**TUS, "Upload-Length": "11"}
OVERRIDDEN = {**TUS, "X-HTTP-Method-Override": "PATCH"}
DRAFT = {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?0"}
APPENDED = {**DRAFT, "Upload-Offset": "0", "Content-Type": "application/partial-upload"}
HEADERS: dict[str, dict[str, str]] = {
    "createTus": NEW_TUS,
    "appendTus": TUS,
    "overrideTus": OVERRIDDEN,
    "createResumable": DRAFT,
    "appendResumable": APPENDED,
    "appendWithGrant": TUS,
    "overrideWithGrant": OVERRIDDEN,
}
"""What the operations of tus and of the drafts say beside their body."""


async def addresses(http: httpx.AsyncClient) -> dict[str, tuple[str, str, Any]]:
    """A real address, method and body for each operation that takes a body."""
    file = (await http.post("/v1/files", content=DATA)).json()["_id"]
    upload = (await http.post("/v1/uploads", json={"name": "x", "size": 11})).json()["_id"]
    granted = (await http.post("/v1/grants", json={"action": "upload", "user_id": "admin"})).json()
    medium = (await http.post("/v1/media", json={"size": 1, "sha256": "0" * 64})).json()["media"][
        "_id"
    ]
    begun = (
        await http.post(granted["url"], headers={**NEW_TUS, "Content-Type": "", "Accept": ""})
    ).headers["location"]
    hook = {"url": "https://8.8.8.8/hook", "events": ["file.ready"]}
    webhook = (await http.post("/v1/webhooks", json=hook)).json()["id"]
    await http.post("/v1/tags", json={"name": "encoded"})
    shared = {"action": "share", "directory": "encoded"}
    link = (await http.post("/v1/grants", json=shared)).json()
    asked = (await http.post("/v1/grants", json={**shared, "action": "request"})).json()
    return {
        "createFile": ("POST", "/v1/files", DATA),
        "createFiles": ("POST", "/v1/files/batch", DATA),
        "replaceFile": ("PUT", f"/v1/files/{file}", DATA),
        "restoreFile": ("POST", f"/v1/files/{file}/restore", {}),
        "createUpload": ("POST", "/v1/uploads", {"name": "x", "size": 1}),
        "putPiece": ("PUT", f"/v1/uploads/{upload}/chunks/0", DATA),
        "finishUpload": ("POST", f"/v1/uploads/{upload}/finish", {}),
        "changeFile": ("PATCH", f"/v1/files/{file}", {"name": "y"}),
        "createGrant": ("POST", "/v1/grants", {"action": "upload"}),
        "uploadWithGrant": ("PUT", granted["url"], DATA),
        "postWithGrant": ("POST", granted["url"], DATA),
        "createTus": ("POST", "/v1/tus", DATA),
        "appendTus": ("PATCH", f"/v1/tus/{upload}", DATA),
        "overrideTus": ("POST", f"/v1/tus/{upload}", DATA),
        "createResumable": ("POST", "/v1/resumable", DATA),
        "appendResumable": ("PATCH", f"/v1/resumable/{upload}", DATA),
        "appendWithGrant": ("PATCH", begun, DATA),
        "overrideWithGrant": ("POST", begun, DATA),
        "createMedium": ("POST", "/v1/media", {"size": 1, "sha256": "0" * 64}),
        "finalizeMedium": ("POST", f"/v1/media/{medium}/finalize", {}),
        "beginSession": ("POST", "/v1/session", {}),
        "addWebhook": ("POST", "/v1/webhooks", hook),
        "changeWebhook": ("PATCH", f"/v1/webhooks/{webhook}", {"enabled": True}),
        "testWebhook": ("POST", f"/v1/webhooks/{webhook}/test", {}),
        "createTag": ("POST", "/v1/tags", {"name": "encoded2"}),
        "renameTag": ("PATCH", "/v1/tags/encoded", {"name": "encoded3"}),
        "moveDirectory": ("PATCH", "/v1/directories?directory=a", {"directory": "b"}),
        "changeGrant": ("PATCH", f"/v1/grants/{granted['id']}", {"uses": 2}),
        "nameSender": ("POST", f"/v1/g/{asked['token']}/senders", {"name": "Ann"}),
        "unlockLink": ("POST", f"/s/{link['token']}", {"password": "x"}),
        "setQuota": ("PUT", "/v1/users/encoded/quota", {"quota": 1}),
    }


async def test_an_encoded_body_is_refused_on_every_route_that_takes_one(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    every = await addresses(http)
    with_body = {operation.name for operation in OPERATIONS if operation.body is not None}
    assert set(every) == with_body - OF_ACCOUNTS
    before = kept()
    for name, (method, path, body) in every.items():
        plain = body if isinstance(body, bytes) else json.dumps(body).encode()
        for coding in ("gzip", "br", "identity, x-gzip"):
            refused = await http.request(
                method,
                path,
                content=gzip.compress(plain),
                headers={**HEADERS.get(name, {}), "Content-Encoding": coding},
            )
            assert (refused.status_code, refused.json()["code"]) == (
                415, "unsupported-media-type",
            ), name  # fmt: skip
            assert refused.headers["accept-encoding"] == "identity"
    assert kept() == before


async def test_an_encoded_body_is_refused_on_every_route_of_accounts(
    tmp_path: Path, accounts_url: str
) -> None:
    found = {each.name: each for each in OPERATIONS if each.name in OF_ACCOUNTS}
    async with (
        accounts_server(tmp_path, accounts_url, signup="open") as site,
        browser(site) as page,
        site.http() as admin,
    ):
        await add(site)
        await signed_in(page)
        for name, operation in found.items():
            refused = await (admin if name in ("createUser", "changeUser") else page).request(
                operation.method,
                operation.path.replace("{user_id}", "ann"),
                content=gzip.compress(b"{}"),
                headers={"Content-Encoding": "gzip"},
            )
            assert (refused.status_code, refused.json()["code"]) == (
                415, "unsupported-media-type",
            ), name  # fmt: skip


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
