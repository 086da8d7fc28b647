"""Media: who may use them, and what cannot be announced."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import (
    DIGEST,
    announce,
    finalize,
    send,
    show,
)
from tests.support.servers import Process, inside
from tests.support.users import JWT, client, refusal, shown, user
from tests.support.wire import HELLO, dial

# -- who may


async def test_what_is_anothers_is_not_there(users_server: Process) -> None:
    told = await announce(users_server)
    media, absent = told["media"]["_id"], "0" * 24
    for act in (show, finalize):
        theirs, none = [await act(users_server, each, "bob") for each in (media, absent)]
        assert refusal(theirs) == refusal(none) == (404, "not-found")
        assert theirs.text.replace(media, absent) == none.text
    async with client(users_server) as nobody:
        for method, path in (
            ("POST", "/v1/media"),
            ("GET", f"/v1/media/{media}"),
            ("POST", f"/v1/media/{media}/finalize"),
        ):
            assert refusal(await nobody.request(method, path)) == (401, "unauthorized")


async def test_the_address_is_for_sending_the_bytes_and_nothing_else(
    users_server: Process,
) -> None:
    told, other = await announce(users_server), await announce(users_server)
    media, url = told["media"]["_id"], told["upload"]["url"]
    token = url.removeprefix("/v1/g/")
    async with client(users_server, token) as bearer:
        for method, path in (
            ("GET", url),
            ("GET", f"{url}/0"),
            ("GET", f"{url}/check"),
            ("GET", f"/v1/files/{media}"),
            ("PATCH", f"/v1/files/{media}"),
            ("DELETE", f"/v1/files/{media}"),
            ("GET", f"/v1/manifests/{media}"),
            ("GET", "/v1/uploads"),
            ("POST", "/v1/uploads"),
            ("GET", f"/v1/uploads/{media}"),
            ("DELETE", f"/v1/uploads/{media}"),
            ("PUT", f"/v1/uploads/{media}/chunks/0"),
            ("POST", f"/v1/uploads/{media}/finish"),
            ("POST", "/v1/files"),
            ("POST", "/v1/media"),
            ("GET", f"/v1/media/{media}"),
            ("POST", f"/v1/media/{media}/finalize"),
            ("GET", "/v1/tags"),
            ("GET", "/v1/grants"),
            ("POST", "/v1/grants"),
            ("GET", "/v1/usage"),
        ):
            answer = await bearer.request(method, path)
            assert refusal(answer) == (403, "forbidden"), (method, path)
    async with dial(users_server) as wire:
        await wire.send(HELLO, {"token": token})
        assert (await wire.problem(None))["code"] == "forbidden"
        assert (await wire.closing()).code == 4403
    assert (await show(users_server, media)).json()["media"]["upload_size"] == 0
    await send(users_server, told)
    assert (await show(users_server, other["media"]["_id"])).json()["media"]["upload_size"] == 0


async def test_addresses_are_not_among_the_grants_of_the_caller(users_server: Process) -> None:
    told = await announce(users_server, "ines")
    await send(users_server, told)
    await finalize(users_server, told["media"]["_id"], "ines")
    await show(users_server, told["media"]["_id"], "ines")
    async with client(users_server, user("ines", "grant")) as site:
        assert (await site.get("/v1/grants")).json()["grants"] == []


async def test_addresses_expire(database_url: str, tmp_path: Path) -> None:
    now = [time.time()]
    async with (
        inside(tmp_path, database_url, clock=lambda: now[0], upload_ttl=1000, **JWT) as server,
        server.http() as nobody,
    ):
        owner = shown(user("ann"))
        body = {"size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
        told = (await nobody.post("/v1/media", json=body, headers=owner)).json()
        media, url = f"/v1/media/{told['media']['_id']}", told["upload"]["url"]
        now[0] += 999
        assert (await nobody.put(url, content=b"abc")).status_code == 200
        now[0] += 1
        assert refusal(await nobody.put(url, content=b"abc")) == (403, "forbidden")
        assert (await nobody.post(f"{media}/finalize", headers=owner)).status_code == 200
        link = (await nobody.get(media, headers=owner)).json()["download"]["url"]
        now[0] += 899
        assert (await nobody.get(link)).content == b"abc"
        now[0] += 1
        assert refusal(await nobody.get(link)) == (403, "forbidden")


async def test_a_deleted_one_takes_no_bytes(users_server: Process) -> None:
    told = await announce(users_server)
    media = told["media"]["_id"]
    async with client(users_server, user("ann")) as site:
        await site.delete(f"/v1/files/{media}")
    for answer in (
        await send(users_server, told),
        await finalize(users_server, media),
        await show(users_server, media),
    ):
        assert refusal(answer) == (404, "not-found")


# -- bad inputs


@pytest.mark.parametrize(
    "change",
    [
        {"size": None},
        {"size": -1},
        {"size": 2**53},
        {"size": 1.5},
        {"size": "3"},
        {"size": True},
        {"sha256": None},
        {"sha256": "0" * 63},
        {"sha256": DIGEST.upper()},
        {"sha256": {"$ne": None}},
        {"name": ""},
        {"name": None},
        {"name": "a\0"},
        {"name": "a" * 1025},
        {"mime_type": "video"},
        {"directory": "a\0"},
        {"tags": [".."]},
        {"tags": "x"},
    ],
)
async def test_what_cannot_be_announced(users_server: Process, change: dict[str, Any]) -> None:
    body = {"name": "a", "size": 3, "sha256": DIGEST, **change}
    async with client(users_server, user("ann")) as site:
        assert refusal(await site.post("/v1/media", json=body)) == (400, "invalid-argument")


@pytest.mark.parametrize("field", ["size", "sha256"])
async def test_size_and_digest_are_needed(users_server: Process, field: str) -> None:
    body: dict[str, Any] = {"name": "a", "size": 3, "sha256": DIGEST}
    del body[field]
    async with client(users_server, user("ann")) as site:
        answer = await site.post("/v1/media", json=body)
    assert refusal(answer) == (400, "invalid-argument")
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("media", ["x", "0" * 23, "$ne", "A" * 24, "%00" * 24])
async def test_what_is_no_id(users_server: Process, media: str) -> None:
    for act in (show, finalize):
        assert refusal(await act(users_server, media)) == (400, "invalid-argument")
