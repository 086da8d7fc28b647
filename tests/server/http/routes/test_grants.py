"""Minting grants, and looking after them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.servers import Process, inside
from tests.support.users import client, mint, refusal, user

ABSENT = "0" * 24


# -- minting


async def test_a_back_end_or_an_admin_mints(users_server: Process) -> None:
    for scope in ("grant", "admin", "read grant"):
        minted = await mint(users_server, user("site", scope))
        assert set(minted) == {"id", "token", "url", "ws_url", "expires_at"}
        assert re.fullmatch("[0-9a-f]{24}", minted["id"])
        assert minted["url"] == f"/v1/g/{minted['token']}"
        assert minted["ws_url"] == "/v1/ws"


async def test_who_may_not_mint(users_server: Process) -> None:
    bearer = await mint(users_server)
    for token in (user("ann"), user("ann", "granted"), bearer["token"]):
        async with client(users_server, token) as other:
            answer = await other.post("/v1/grants", json={"action": "upload"})
        assert refusal(answer) == (403, "forbidden")
    async with client(users_server) as nobody:
        answer = await nobody.post("/v1/grants", json={"action": "upload"})
    assert refusal(answer) == (401, "unauthorized")


async def test_a_grant_lasts_as_long_as_is_said_or_an_hour(users_server: Process) -> None:
    for fields, seconds in (({}, 3600), ({"expires_in": 90}, 90), ({"expires_in": 0.5}, 0.5)):
        before = datetime.now(UTC)
        told = (await mint(users_server, **fields))["expires_at"]
        assert told.endswith("Z")
        left = (datetime.fromisoformat(told) - before).total_seconds()
        assert seconds - 1 < left < seconds + 5


async def test_addresses_are_public_where_the_public_address_is_known(
    database_url: str, tmp_path: Path
) -> None:
    public = "https://files.example.org/http"
    async with inside(tmp_path, database_url, public_url=public) as server:
        port = server.server.servers[0].sockets[0].getsockname()[1]
        async with server.http() as site:
            answer = await site.post(
                f"http://127.0.0.1:{port}/v1/grants", json={"action": "upload"}
            )
    minted = answer.json()
    assert minted["url"] == f"{public}/v1/g/{minted['token']}"
    assert minted["ws_url"] == "wss://files.example.org/http/v1/ws"
    assert answer.headers["Location"] == f"{public}/v1/grants/{minted['id']}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "action"),
        (b"nonsense", "JSON"),
        (b'["upload"]', "object"),
        (b'{"action": "delete"}', "action"),
        (b'{"action": {"$ne": null}}', "action"),
        (b'{"action": "upload", "max_sizes": 1}', "max_sizes"),
        (b'{"action": "upload", "file_id": "000000000000000000000000"}', "file_id"),
        (b'{"action": "upload", "user_id": {"$ne": null}}', "user_id"),
        (b'{"action": "upload", "user_id": ""}', "user_id"),
        (b'{"action": "upload", "user_id": "a\\u0000"}', "user_id"),
        (b'{"action": "upload", "user_id": "\\ud800"}', "user_id"),
        (b'{"action": "upload", "name": 1}', "name"),
        (b'{"action": "upload", "size": "1"}', "size"),
        (b'{"action": "upload", "size": 1.5}', "size"),
        (b'{"action": "upload", "size": true}', "size"),
        (b'{"action": "upload", "size": -1}', "size"),
        (b'{"action": "upload", "max_size": 9007199254740992}', "max_size"),
        (b'{"action": "upload", "size": 2, "max_size": 1}', "size"),
        (b'{"action": "upload", "uses": 0}', "uses"),
        (b'{"action": "upload", "uses": NaN}', "JSON"),
        (b'{"action": "upload", "sha256": "x"}', "sha256"),
        (b'{"action": "upload", "mime_types": "image/png"}', "mime_types"),
        (b'{"action": "upload", "mime_types": []}', "mime_types"),
        (b'{"action": "upload", "mime_types": ["*/*"]}', "mime_types"),
        (b'{"action": "upload", "expires_in": 0}', "expires_in"),
        (b'{"action": "upload", "expires_in": "1h"}', "expires_in"),
        (b'{"action": "upload", "expires_in": 1e300}', "expires_in"),
        (b'{"action": "upload", "expires_in": 1e400}', "expires_in"),
        (b'{"action": "download"}', "file_id"),
        (b'{"action": "download", "file_id": "x"}', "id"),
        (b'{"action": "download", "file_id": "000000000000000000000000", "uses": 1}', "uses"),
        (b'{"action": "download", "file_id": "000000000000000000000000", "quality": 7}', "quality"),
    ],
)
async def test_a_wrong_bound_is_told_and_nothing_is_minted(
    users_server: Process, body: bytes, field: str
) -> None:
    site = user(f"site-{hash(body)}", "grant")
    async with client(users_server, site) as back_end:
        answer = await back_end.post("/v1/grants", content=body)
        assert refusal(answer) == (400, "invalid-argument")
        assert field in answer.json()["detail"]
        assert (await back_end.get("/v1/grants")).json() == {"grants": [], "cursor": None}


async def test_a_body_without_end_is_not_read(users_server: Process) -> None:
    async with client(users_server, user("site", "grant")) as site:
        answer = await site.post("/v1/grants", content=b" " * 2**20)
    assert refusal(answer) == (413, "too-large")


# -- looking after them


async def test_a_grant_is_shown_with_its_bounds_and_uses_but_not_its_token(
    users_server: Process,
) -> None:
    bounds: dict[str, Any] = {
        "user_id": "bob",
        "name": "a.png",
        "directory": "d",
        "size": 5,
        "max_size": 9,
        "sha256": "0" * 64,
        "mime_types": ["image/*"],
        "uses": 3,
    }
    minted = await mint(users_server, **bounds)
    async with client(users_server, user("site", "grant")) as site:
        text = (await site.get(f"/v1/grants/{minted['id']}")).text
        listed = (await site.get("/v1/grants", params={"limit": 1})).json()
    shape = httpx.Response(200, text=text).json()
    assert minted["token"] not in text
    created = shape.pop("created_at")
    told = {"id": minted["id"], "action": "upload", "minter": "site", "used": 0, "kind": None}
    assert shape == {**bounds, **told, "expires_at": minted["expires_at"]}
    assert listed["grants"] == [{**shape, "created_at": created}]
    assert listed["cursor"] == minted["id"]


async def test_grants_are_listed_in_pages_each_back_end_its_own(users_server: Process) -> None:
    name = f"site-{id(object())}"
    minted = [(await mint(users_server, user(name, "grant")))["id"] for _ in range(3)]
    async with client(users_server, user(name, "grant")) as site:
        first = (await site.get("/v1/grants?limit=2")).json()
        second = (await site.get(f"/v1/grants?limit=2&cursor={first['cursor']}")).json()
    assert [each["id"] for each in first["grants"] + second["grants"]] == minted[::-1]
    assert second["cursor"] is None


async def test_anothers_grant_is_answered_like_one_that_does_not_exist(
    users_server: Process,
) -> None:
    minted = await mint(users_server)
    for other in (user("other", "grant"), user("ann")):
        async with client(users_server, other) as stranger:
            for method in ("GET", "DELETE"):
                theirs = await stranger.request(method, f"/v1/grants/{minted['id']}")
                absent = await stranger.request(method, f"/v1/grants/{ABSENT}")
                assert refusal(theirs) == refusal(absent) == (404, "not-found")
                assert theirs.text.replace(minted["id"], ABSENT) == absent.text
    async with client(users_server, user("root", "admin")) as admin:
        assert (await admin.get(f"/v1/grants/{minted['id']}")).status_code == 200
        assert (await admin.delete(f"/v1/grants/{minted['id']}")).status_code == 204
        assert refusal(await admin.get(f"/v1/grants/{minted['id']}")) == (404, "not-found")
