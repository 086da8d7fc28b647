"""People who make their own account: by invitation, freely, or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.accounts import (
    NOW,
    PASSWORD,
    accounts_server,
    add,
    browser,
    cheap,
    signed_in,
)
from tests.support.clock import Clock
from tests.support.servers import Running
from tests.support.users import refusal


async def sign_up(page: httpx.AsyncClient, name: str = "ann", **fields: Any) -> httpx.Response:
    return await page.post("/v1/signup", json={"name": name, "password": PASSWORD, **fields})


async def invited(server: Running, **fields: Any) -> dict[str, Any]:
    """An invitation by the admin."""
    async with server.http() as admin:
        answer = await admin.post("/v1/grants", json={"action": "signup", **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def used(server: Running, invitation: dict[str, Any]) -> int:
    async with server.http() as admin:
        shape = (await admin.get(f"/v1/grants/{invitation['id']}")).json()
    assert shape["action"] == "signup"
    return int(shape["used"])


async def test_usually_nobody_can(tmp_path: Path, accounts_url: str) -> None:
    async with accounts_server(tmp_path, accounts_url) as site, browser(site) as page:
        assert (await page.get("/v1/session/ways")).json()["signup"] == "closed"
        assert refusal(await sign_up(page)) == (403, "forbidden")
        async with site.http() as admin:
            answer = await admin.post("/v1/grants", json={"action": "signup"})
            assert refusal(answer) == (403, "forbidden")


async def test_with_an_invitation_an_account_and_its_session_begin(
    tmp_path: Path, accounts_url: str
) -> None:
    async with (
        accounts_server(tmp_path, accounts_url, signup="invite") as site,
        browser(site) as page,
    ):
        assert (await page.get("/v1/session/ways")).json()["signup"] == "invite"
        assert refusal(await sign_up(page)) == (403, "forbidden")
        invitation = await invited(site)
        token = invitation["token"]
        assert invitation["url"] == f"/#invite={token}"
        answer = await sign_up(page, invitation=token)
        assert answer.status_code == 201
        assert (await page.get("/v1/usage")).json()["user_id"] == "ann"
        assert await used(site, invitation) == 1
        async with browser(site) as other:
            assert refusal(await sign_up(other, "bob", invitation=token)) == (403, "forbidden")
            await signed_in(other)
        # It has no scopes, and is good for nothing else.
        assert refusal(await page.get("/v1/users")) == (403, "forbidden")
        assert refusal(await page.get(f"/v1/g/{token}")) == (403, "forbidden")
        assert refusal(await page.put(f"/v1/g/{token}", content=b"x")) == (403, "forbidden")


async def test_an_invitation_is_used_up_by_accounts_only_and_never_twice(
    tmp_path: Path, accounts_url: str
) -> None:
    async with accounts_server(tmp_path, accounts_url, signup="invite") as site:
        await add(site, "taken")
        invitation = await invited(site, uses=2)
        token = invitation["token"]
        async with browser(site) as page:
            for name, wanted in (("taken", 409), ("x" * 65, 400), ("admin", 409)):
                assert (await sign_up(page, name, invitation=token)).status_code == wanted
            assert await used(site, invitation) == 0
            names = [f"guest{number}" for number in range(6)]
            done = await asyncio.gather(*(sign_up(page, each, invitation=token) for each in names))
        assert sorted(each.status_code for each in done) == [201] * 2 + [403] * 4
        assert await used(site, invitation) == 2


async def test_an_invitation_that_is_over_or_of_another_kind_is_none(
    tmp_path: Path, accounts_url: str
) -> None:
    clock = Clock(NOW)
    async with (
        accounts_server(tmp_path, accounts_url, signup="invite", clock=clock) as site,
        browser(site) as page,
        site.http() as admin,
    ):
        late = await invited(site, expires_in=60)
        revoked = await invited(site)
        await admin.delete(f"/v1/grants/{revoked['id']}")
        clock.now += 61
        upload = (await admin.post("/v1/grants", json={"action": "upload"})).json()
        for token, wanted in (
            (late["token"], (403, "forbidden")),
            (upload["token"], (403, "forbidden")),
            (revoked["token"], (401, "unauthorized")),
            ("lg_invented", (401, "unauthorized")),
        ):
            assert refusal(await sign_up(page, invitation=token)) == wanted


async def test_only_an_admin_invites(tmp_path: Path, accounts_url: str) -> None:
    async with accounts_server(tmp_path, accounts_url, signup="invite") as site:
        await add(site, scopes=["grant"])
        async with browser(site) as page:
            await signed_in(page)
            answer = await page.post("/v1/grants", json={"action": "signup"})
            assert refusal(answer) == (403, "forbidden")
            unknown = {"action": "signup", "user_id": "admin"}
            assert refusal(await page.post("/v1/grants", json=unknown))[0] == 400


async def test_nobody_signs_up_as_someone_who_has_files_already(
    tmp_path: Path, accounts_url: str
) -> None:
    async with (
        accounts_server(tmp_path, accounts_url, signup="open") as site,
        browser(site) as page,
        site.http() as admin,
    ):
        await admin.post("/v1/files", content=b"x", params={"name": "a", "user_id": "bob"})
        await admin.post("/v1/grants", json={"action": "upload", "user_id": "eve"})
        for name in ("bob", "eve", "admin", "Admin"):
            assert refusal(await sign_up(page, name)) == (409, "name-taken")
        assert (await sign_up(page)).status_code == 201


async def test_many_accounts_from_one_address_take_their_time(
    tmp_path: Path, accounts_url: str
) -> None:
    few = cheap(signups_of_address=3)
    async with (
        accounts_server(tmp_path, accounts_url, signup="open", limits=few) as site,
        browser(site) as page,
    ):
        codes = [(await sign_up(page, f"bot{number}")).status_code for number in range(5)]
        assert codes == [201] * 3 + [429] * 2


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}], ids=str)
async def test_no_other_site_signs_anyone_up(
    tmp_path: Path, accounts_url: str, headers: dict[str, str]
) -> None:
    async with (
        accounts_server(tmp_path, accounts_url, signup="open") as site,
        browser(site, **headers) as page,
    ):
        assert refusal(await sign_up(page)) == (403, "forbidden")
