"""Signing in with a name and a password: sessions begin, go on, are listed, and end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from tests.support.accounts import (
    NOW,
    PASSWORD,
    accounts_server,
    add,
    browser,
    cheap,
    sign_in,
    signed_in,
)
from tests.support.clock import Clock
from tests.support.servers import Inside, Process
from tests.support.users import refusal, shown

MONTH = 30 * 24 * 3600


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def site(tmp_path: Path, accounts_url: str, clock: Clock) -> AsyncIterator[Inside]:
    """A server with an account."""
    async with accounts_server(tmp_path, accounts_url, clock=clock) as running:
        await add(running)
        yield running


@pytest.fixture
async def ann(site: Inside) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which ann is signed in."""
    async with browser(site, **{"User-Agent": "Firefox"}) as page:
        await signed_in(page)
        yield page


async def refreshed(page: httpx.AsyncClient) -> httpx.Response:
    return await page.post("/v1/session/refresh")


async def is_known(page: httpx.AsyncClient) -> bool:
    answer = await page.get("/v1/usage")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


# -- signing in


async def test_how_one_signs_in_is_public(site: Inside, server: Process) -> None:
    for each, wanted in ((site, ["password", "passkey", "token"]), (server, ["token"])):
        async with browser(each) as page:
            assert (await page.get("/v1/session/ways")).json()["ways"] == wanted


async def test_a_name_and_a_password_begin_a_session(site: Inside, clock: Clock) -> None:
    async with browser(site) as page:
        answer = await sign_in(page)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        signed = answer.json()
        assert signed["user_id"] == "ann"
        assert await is_known(page)
        async with browser(site) as program:
            found = await program.get("/v1/usage", headers=shown(signed["token"]))
            assert found.json()["user_id"] == "ann"
        clock.now += 899
        assert await is_known(page)
        clock.now += 2
        assert refusal(await page.get("/v1/usage")) == (401, "unauthorized")


async def test_no_script_reads_the_cookies_and_no_other_site_sends_them(site: Inside) -> None:
    async with browser(site) as page:
        answer = await sign_in(page)
    kept: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        kept.load(line)
    assert {name: cookie["path"] for name, cookie in kept.items()} == {
        "lading_token": "/",
        "lading_refresh": "/v1/session",
        "lading_device": "/v1/session",
    }
    for cookie in kept.values():
        assert cookie["httponly"]
        assert (cookie["samesite"], cookie["secure"]) == ("strict", "")
    assert int(kept["lading_token"]["max-age"]) <= 900
    assert int(kept["lading_refresh"]["max-age"]) == MONTH


async def test_cookies_are_for_https_and_the_path_of_the_public_address(
    tmp_path: Path, accounts_url: str
) -> None:
    public = "https://example.org/files/"
    async with accounts_server(tmp_path, accounts_url, public_url=public) as site:
        await add(site)
        async with browser(site, Origin="https://example.org") as page:
            answer = await sign_in(page)
    assert answer.status_code == 200
    lines = answer.headers.get_list("Set-Cookie")
    assert all("; Secure" in line for line in lines)
    assert sum("Path=/files/v1/session;" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "wrong horse"),
        ("ann", ""),
        ("bob", PASSWORD),
        ("", PASSWORD),
        ("\0", PASSWORD),
        ("x" * 256, PASSWORD),
    ],
)
async def test_a_wrong_one_is_refused_in_the_same_words(
    site: Inside, name: str, password: str
) -> None:
    async with browser(site) as page:
        answer = await sign_in(page, name, password)
        other = await sign_in(page, "ann", "wrong")
    assert refusal(answer) == (401, "unauthorized")
    assert answer.json() == other.json()
    assert "Set-Cookie" not in answer.headers


async def test_a_name_is_typed_in_any_case_and_form(site: Inside) -> None:
    await add(site, "Zo\u00eb")
    async with browser(site) as page:
        assert (await signed_in(page, "ZOE\u0308"))["user_id"] == "Zo\u00eb"


async def test_a_name_and_a_password_belong_together(site: Inside) -> None:
    async with browser(site) as page:
        for body in ({"name": "ann"}, {"password": PASSWORD}, {"name": "ann", "passwort": "x"}):
            answer = await page.post("/v1/session", json=body)
            assert refusal(answer) == (400, "invalid-argument")
        long = await sign_in(page, "ann", "x" * 1025)
        assert refusal(long) == (400, "invalid-argument")


async def test_the_admin_token_works_beside_accounts(site: Inside) -> None:
    async with browser(site) as page:
        answer = await page.get("/", params={"token": site.token or ""})
        assert answer.headers["Location"] == "./"
        assert (await page.get("/v1/usage")).json()["user_id"] == "admin"
        assert refusal(await page.get("/v1/usage", headers=shown("wrong")))[0] == 401


async def test_the_audit_log_names_who_signed_in_and_who_changed_an_account(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    async with site.http() as admin:
        await admin.patch("/v1/users/ann", json={"disabled": True})
        found = (await admin.get("/v1/audit")).json()["entries"]
    told = [(each["act"], each["user_id"], each["detail"]) for each in reversed(found)]
    assert told == [
        ("user-created", "admin", None),
        ("signed-in", "ann", None),
        ("user-changed", "admin", "disabled"),
    ]


async def test_a_server_without_accounts_says_so(server: Process) -> None:
    async with browser(server) as page:
        assert refusal(await sign_in(page)) == (404, "not-found")
        assert refusal(await refreshed(page)) == (404, "not-found")
        page.headers.update(server.headers)
        assert refusal(await page.get("/v1/sessions")) == (404, "not-found")
        body = {"name": "ann", "password": PASSWORD}
        assert refusal(await page.post("/v1/users", json=body)) == (404, "not-found")


async def test_better_parameters_make_a_better_hash_at_the_next_sign_in(
    tmp_path: Path, accounts_url: str
) -> None:
    async with accounts_server(tmp_path / "a", accounts_url) as site:
        await add(site)
    async with accounts_server(tmp_path / "a", accounts_url, limits=cheap(passes=2)) as site:
        accounts = site.services.accounts
        assert accounts is not None
        for _ in range(2):
            async with browser(site) as page:
                await signed_in(page)
        (user,) = await accounts.page(after=None, most=2)
        assert ",t=2," in (user.password or "")


# -- going on


async def test_a_session_goes_on_by_its_cookie(
    site: Inside, ann: httpx.AsyncClient, clock: Clock
) -> None:
    first = ann.cookies.get("lading_refresh")
    clock.now += 1000
    assert not await is_known(ann)
    answer = await refreshed(ann)
    assert answer.status_code == 200
    assert ann.cookies.get("lading_refresh") != first
    assert await is_known(ann)


async def test_a_session_that_is_not_used_for_a_month_is_over(
    ann: httpx.AsyncClient, clock: Clock
) -> None:
    clock.now += MONTH - 1
    assert (await refreshed(ann)).status_code == 200
    clock.now += MONTH - 1
    assert (await refreshed(ann)).status_code == 200
    clock.now += MONTH + 1
    assert refusal(await refreshed(ann)) == (401, "unauthorized")


async def test_two_tabs_that_ask_at_once_get_the_same(
    site: Inside, ann: httpx.AsyncClient, clock: Clock
) -> None:
    token = ann.cookies["lading_refresh"]
    kept = []
    for seconds in (0, 10, 20):
        clock.now += seconds
        async with browser(site, Cookie=f"lading_refresh={token}") as tab:
            answer = await refreshed(tab)
            assert answer.status_code == 200
            kept.append(tab.cookies["lading_refresh"])
    assert len(set(kept)) == 1
    async with browser(site, Cookie=f"lading_refresh={kept[0]}") as tab:
        assert (await refreshed(tab)).status_code == 200


async def test_an_invented_refresh_token_ends_nothing(site: Inside, ann: httpx.AsyncClient) -> None:
    token = ann.cookies["lading_refresh"]
    for invention in (token[:-1], token.replace("_1_", "_2_"), "", "x" * 5000):
        async with browser(site, Cookie=f"lading_refresh={invention}") as thief:
            assert refusal(await refreshed(thief)) == (401, "unauthorized")
    assert (await refreshed(ann)).status_code == 200


# -- which sessions there are, and how they end


async def test_sessions_are_listed_and_ended(site: Inside, ann: httpx.AsyncClient) -> None:
    async with browser(site, **{"User-Agent": "Phone"}) as phone:
        other = await signed_in(phone)
        found = (await ann.get("/v1/sessions")).json()["sessions"]
        assert {each["agent"]: each["current"] for each in found} == {
            "Firefox": True,
            "Phone": False,
        }
        assert {each["address"] for each in found} == {"127.0.0.1"}
        assert (await ann.delete(f"/v1/sessions/{other['session_id']}")).status_code == 204
        assert not await is_known(phone)
        assert refusal(await refreshed(phone)) == (401, "unauthorized")
        again = await ann.delete(f"/v1/sessions/{other['session_id']}")
        assert refusal(again) == (404, "not-found")
    assert await is_known(ann)


async def test_all_others_end_at_once(site: Inside, ann: httpx.AsyncClient) -> None:
    async with browser(site) as phone, browser(site) as tablet:
        await signed_in(phone)
        await signed_in(tablet)
        assert (await ann.delete("/v1/sessions")).json() == {"ended": 2}
        assert [await is_known(each) for each in (ann, phone, tablet)] == [True, False, False]


async def test_sessions_of_others_do_not_exist_but_for_an_admin(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    await add(site, "bob")
    mine = (await ann.get("/v1/sessions")).json()["sessions"][0]["id"]
    async with browser(site) as page:
        await signed_in(page, "bob")
        for_ann = {"user_id": "ann"}
        for answer in (
            await page.delete(f"/v1/sessions/{mine}"),
            await page.delete(f"/v1/sessions/{mine}", params=for_ann),
            await page.get("/v1/sessions", params=for_ann),
            await page.delete("/v1/sessions", params=for_ann),
        ):
            assert refusal(answer) == (404, "not-found")
    assert await is_known(ann)
    async with site.http() as admin:
        assert (await admin.delete("/v1/sessions", params=for_ann)).json() == {"ended": 1}
    assert not await is_known(ann)


async def test_signing_out_ends_the_session(site: Inside, ann: httpx.AsyncClient) -> None:
    kept = dict(ann.cookies)
    answer = await ann.delete("/v1/session")
    assert answer.status_code == 204
    assert not dict(ann.cookies).keys() - {"lading_device"}
    lines = "; ".join(f"{name}={token}" for name, token in kept.items())
    async with browser(site, Cookie=lines) as thief:
        assert not await is_known(thief)
        assert refusal(await refreshed(thief)) == (401, "unauthorized")


async def test_signing_out_works_after_the_access_token_is_gone(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    token = ann.cookies["lading_refresh"]
    ann.cookies.delete("lading_token")
    assert (await ann.delete("/v1/session")).status_code == 204
    async with browser(site, Cookie=f"lading_refresh={token}") as thief:
        assert refusal(await refreshed(thief)) == (401, "unauthorized")


# -- another password


async def test_another_password_ends_all_sessions_and_begins_one(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    async with browser(site) as phone:
        await signed_in(phone)
        body = {"password": PASSWORD, "new_password": "battery staple"}
        before = ann.cookies["lading_token"]
        assert (await ann.post("/v1/session/password", json=body)).status_code == 200
        assert await is_known(ann)
        assert not await is_known(phone)
        async with browser(site) as thief:
            assert not (await thief.get("/v1/usage", headers=shown(before))).is_success
            assert refusal(await sign_in(thief)) == (401, "unauthorized")
            assert (await sign_in(thief, "ann", "battery staple")).status_code == 200


async def test_it_takes_the_present_password_and_a_good_new_one(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    for body, wanted in (
        ({"password": "wrong", "new_password": "battery staple"}, (401, "unauthorized")),
        ({"password": PASSWORD, "new_password": "short"}, (400, "invalid-argument")),
        ({"password": PASSWORD}, (400, "invalid-argument")),
    ):
        assert refusal(await ann.post("/v1/session/password", json=body)) == wanted
    assert await is_known(ann)
    body = {"password": PASSWORD, "new_password": "battery staple"}
    async with site.http() as admin:
        assert refusal(await admin.post("/v1/session/password", json=body)) == (403, "forbidden")
