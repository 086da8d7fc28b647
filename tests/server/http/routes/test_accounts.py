"""Accounts as an admin manages them: made, changed, disabled, listed, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.accounts import PASSWORD, accounts_server, add, browser, sign_in, signed_in
from tests.support.servers import Inside
from tests.support.users import refusal, shown

OTHER = "battery staple"


@pytest.fixture
async def site(tmp_path: Path, accounts_url: str) -> AsyncIterator[Inside]:
    async with accounts_server(tmp_path, accounts_url) as running:
        yield running


@pytest.fixture
async def admin(site: Inside) -> AsyncIterator[httpx.AsyncClient]:
    async with site.http() as found:
        yield found


async def status(page: httpx.AsyncClient) -> int:
    return (await page.get("/v1/usage")).status_code


async def test_an_account_is_made_and_shown(site: Inside, admin: httpx.AsyncClient) -> None:
    body = {"name": "ann", "password": PASSWORD, "scopes": ["grant"], "quota": 1000}
    answer = await admin.post("/v1/users", json=body)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/v1/users/ann")
    entry = answer.json()
    created = entry["account"].pop("created_at")
    assert created.endswith("Z")
    assert entry == {
        "user_id": "ann",
        "used": 0,
        "reserved": 0,
        "quota": 1000,
        "account": {"scopes": ["grant"], "disabled": False, "has_password": True},
    }
    assert PASSWORD not in repr(await site.services.database.users.find({}).to_list(None))


async def test_a_name_is_taken_once(admin: httpx.AsyncClient) -> None:
    assert (await admin.post("/v1/users", json={"name": "ann"})).status_code == 201
    for name in ("ann", "Ann"):
        answer = await admin.post("/v1/users", json={"name": name, "password": PASSWORD})
        assert refusal(answer) == (409, "name-taken")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "../ann"},
        {"name": {"$ne": None}},
        {"name": "ann", "password": "short"},
        {"name": "ann-lee-1", "password": "Ann-Lee-1"},
        {"name": "ann", "scopes": ["root"]},
        {"name": "ann", "scopes": "admin"},
        {"name": "ann", "quota": -1},
        {"name": "ann", "is_admin": True},
    ],
    ids=str,
)
async def test_what_no_account_can_be_is_refused(
    admin: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert refusal(await admin.post("/v1/users", json=body)) == (400, "invalid-argument")
    assert (await admin.get("/v1/users")).json()["users"] == []


async def test_only_an_admin_may(site: Inside) -> None:
    await add(site)
    await add(site, "bob", scopes=["grant"])
    async with browser(site) as page:
        await signed_in(page, "bob")
        for answer in (
            await page.get("/v1/users"),
            await page.post("/v1/users", json={"name": "eve"}),
            await page.patch("/v1/users/bob", json={"scopes": ["admin"]}),
            await page.patch("/v1/users/ann", json={"password": OTHER}),
            await page.delete("/v1/users/ann"),
        ):
            assert refusal(answer) == (403, "forbidden")


async def test_an_account_with_the_scope_is_an_admin_and_one_with_grant_makes_grants(
    site: Inside,
) -> None:
    await add(site, "ann", scopes=["admin"])
    await add(site, "bob", scopes=["grant"])
    await add(site, "eve")
    body = {"action": "upload", "user_id": "eve"}
    for name, users, grants in (("ann", 200, 201), ("bob", 403, 201), ("eve", 403, 403)):
        async with browser(site) as page:
            await signed_in(page, name)
            assert (await page.get("/v1/users")).status_code == users
            assert (await page.post("/v1/grants", json=body)).status_code == grants


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"password": OTHER}, {"scopes": ["grant"]}], ids=str
)
async def test_a_change_ends_the_sessions(
    site: Inside, admin: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    await add(site)
    async with browser(site) as page:
        await signed_in(page)
        assert (await admin.patch("/v1/users/ann", json=change)).status_code == 200
        assert await status(page) == 401
        assert (await page.post("/v1/session/refresh")).status_code == 401


async def test_another_quota_ends_none(site: Inside, admin: httpx.AsyncClient) -> None:
    await add(site)
    async with browser(site) as page:
        await signed_in(page)
        for quota in (5, None):
            answer = await admin.patch("/v1/users/ann", json={"quota": quota})
            assert answer.json()["quota"] == quota
        assert await status(page) == 200


async def test_a_disabled_account_says_so_to_those_who_know_its_password(
    site: Inside, admin: httpx.AsyncClient
) -> None:
    await add(site, disabled=True)
    async with browser(site) as page:
        assert refusal(await sign_in(page)) == (403, "forbidden")
        assert refusal(await sign_in(page, "ann", "wrong")) == (401, "unauthorized")
        assert (await admin.patch("/v1/users/ann", json={"disabled": False})).status_code == 200
        await signed_in(page)


async def test_an_account_without_a_password_takes_none(site: Inside) -> None:
    await add(site, password=None)
    async with browser(site) as page:
        for password in ("", "null", PASSWORD):
            assert refusal(await sign_in(page, "ann", password)) == (401, "unauthorized")


async def test_what_is_not_there_cannot_be_changed(admin: httpx.AsyncClient) -> None:
    for change in ({"disabled": True}, {"quota": 1}, {}):
        answer = await admin.patch("/v1/users/nobody", json=change)
        assert refusal(answer) == (404, "not-found")
    assert (await admin.get("/v1/users")).json()["users"] == []


async def test_a_session_that_begins_while_its_account_changes_is_over(
    site: Inside, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(site)
    accounts = site.services.accounts
    assert accounts is not None
    insert = accounts.sessions._sessions.insert

    async def late(session: Any) -> None:
        await admin.patch("/v1/users/ann", json={"disabled": True})
        await insert(session)

    monkeypatch.setattr(accounts.sessions._sessions, "insert", late)
    async with browser(site) as page:
        assert refusal(await sign_in(page)) == (401, "unauthorized")
    assert await accounts.sessions.of_user("ann") == []


async def test_users_with_and_without_an_account_are_one_list(
    site: Inside, admin: httpx.AsyncClient
) -> None:
    for name in ("bob", "dan"):
        await add(site, name)
    for name in ("ann", "cleo", "dan"):
        await admin.put(f"/v1/users/{name}/quota", json={"quota": 7})
    found, cursor = [], None
    while True:
        params = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await admin.get("/v1/users", params=params)).json()
        found += [(each["user_id"], each["quota"], "account" not in each) for each in page["users"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == [
        ("ann", 7, True),
        ("bob", None, False),
        ("cleo", 7, True),
        ("dan", 7, False),
    ]


async def test_a_deleted_user_is_gone_and_a_namesake_gets_nothing(
    site: Inside, admin: httpx.AsyncClient
) -> None:
    await add(site)
    async with browser(site) as page:
        signed = await signed_in(page)
        made = await page.post("/v1/files", content=b"bytes", params={"name": "a"})
        assert made.status_code == 201
        answer = await admin.delete("/v1/users/ann")
        assert (answer.json()["files"], answer.status_code) == (1, 200)
        assert await status(page) == 401
        await add(site)
        assert await status(page) == 401
        assert (await page.get("/v1/usage", headers=shown(signed["token"]))).status_code == 401
        await signed_in(page)
        assert (await page.get("/v1/files")).json()["files"] == []
