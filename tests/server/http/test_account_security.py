"""What an attacker tries on accounts, one test each. Source: page 13 of the design, "Accounts"."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from tests.support.servers import Inside
from tests.support.users import refusal, shown

WRONG = "wrong horse"
PROXY = {"trusted_proxies": "127.0.0.1"}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def site(tmp_path: Path, accounts_url: str, clock: Clock) -> AsyncIterator[Inside]:
    async with accounts_server(tmp_path, accounts_url, clock=clock) as running:
        await add(running)
        yield running


async def guess(page: httpx.AsyncClient, name: str, times: int) -> list[int]:
    answers = await asyncio.gather(*(sign_in(page, name, WRONG) for _ in range(times)))
    return [answer.status_code for answer in answers]


# -- brute force


async def test_brute_force_at_one_name_is_slowed_down_on_all_servers(
    site: Inside, tmp_path: Path, accounts_url: str, clock: Clock
) -> None:
    second = accounts_server(tmp_path / "2", accounts_url, clock=clock)
    async with second as other, browser(site) as page, browser(other) as elsewhere:
        one, two = await asyncio.gather(guess(page, "ann", 20), guess(elsewhere, "ann", 20))
        assert sorted(one + two) == [401] * 10 + [429] * 30
        answer = await sign_in(elsewhere, "Ann", PASSWORD)
        assert refusal(answer) == (429, "rate-limited")
        wait = int(answer.headers["Retry-After"])
        assert answer.json()["retry_after"] == wait
        assert 0 < wait <= 600
        clock.now += wait
        assert (await sign_in(elsewhere)).status_code == 200


async def test_one_address_at_many_names_is_slowed_down_unless_it_succeeds(
    tmp_path: Path, accounts_url: str
) -> None:
    few = cheap(tries_of_address=5)
    async with accounts_server(tmp_path, accounts_url, limits=few) as site:
        await add(site)
        for _ in range(7):
            async with browser(site) as page:
                await signed_in(page)
        async with browser(site) as page:
            answers = [await sign_in(page, f"name{number}", WRONG) for number in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


@asynccontextmanager
async def at(site: Inside, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at some other address."""
    async with browser(site, **{"X-Forwarded-For": address}) as page:
        yield page


async def test_a_stranger_locks_the_owner_out_of_nothing(
    tmp_path: Path, accounts_url: str, clock: Clock
) -> None:
    limits = cheap(tries_of_name=30)
    async with accounts_server(tmp_path, accounts_url, clock=clock, limits=limits, **PROXY) as site:
        await add(site)
        async with at(site, "192.0.2.1") as known, at(site, "192.0.2.2") as fresh:
            await signed_in(known)
            # One stranger, or two of one network: the owner elsewhere notices nothing.
            for address in ("2001:db8::1", "2001:db8::2"):
                async with at(site, address) as stranger:
                    await guess(stranger, "ann", 50)
            await signed_in(known)
            await signed_in(fresh)
            # Many networks at once use up the name; a browser that was there before still gets in.
            for number in range(9):
                async with at(site, f"198.51.100.{number}") as stranger:
                    await guess(stranger, "ann", 10)
            await known.delete("/v1/session")
            assert (await sign_in(known)).status_code == 200
            async with at(site, "192.0.2.3") as newcomer:
                answer = await sign_in(newcomer)
                assert refusal(answer) == (429, "rate-limited")
                clock.now += int(answer.headers["Retry-After"])
                assert (await sign_in(newcomer)).status_code == 200


async def test_a_stolen_device_token_is_worth_a_few_guesses_only(site: Inside) -> None:
    async with browser(site) as page:
        await signed_in(page)
        token = page.cookies["lading_device"]
    async with browser(site, Cookie=f"lading_device={token}") as thief:
        assert (await guess(thief, "ann", 12)).count(429) == 2


# -- fixation


async def test_nobody_is_led_into_a_session_of_somebody_else(site: Inside) -> None:
    await add(site, "eve")
    async with browser(site) as attacker, browser(site) as victim:
        signed = await signed_in(attacker, "eve")
        # A session in an address is not taken over.
        answer = await victim.get("/", params={"token": signed["token"]})
        assert answer.headers["Location"] == "./#refused"
        assert "Set-Cookie" not in answer.headers
        # Cookies that somebody planted are replaced, and what they stand for gains nothing.
        for name in ("lading_token", "lading_refresh"):
            victim.cookies.set(name, attacker.cookies[name], domain="127.0.0.1")
        mine = await signed_in(victim)
        assert mine["session_id"] != signed["session_id"]
        found = await attacker.get("/v1/usage", headers=shown(signed["token"]))
        assert found.json()["user_id"] == "eve"


# -- CSRF


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
async def test_no_other_site_signs_anyone_in_or_uses_a_session(
    site: Inside, headers: dict[str, str]
) -> None:
    async with browser(site) as page:
        await signed_in(page)
        del page.headers["Origin"]
        body = {"name": "ann", "password": PASSWORD}
        text = '{"name": "ann", "password": "correct horse"}'
        plain = {**headers, "Content-Type": "text/plain"}
        for answer in (
            await page.post("/v1/session", json=body, headers=headers),
            await page.post("/v1/session", content=text, headers=plain),
        ):
            assert refusal(answer) == (403, "forbidden")
            assert "Set-Cookie" not in answer.headers
        change = {"password": PASSWORD, "new_password": "battery staple"}
        for answer in (
            await page.post("/v1/session/refresh", headers=headers),
            await page.post("/v1/session/password", json=change, headers=headers),
            await page.delete("/v1/sessions", headers=headers),
        ):
            assert refusal(answer) == (401, "unauthorized")
        kept = dict(page.cookies)
        await page.delete("/v1/session", headers=headers)
    lines = "; ".join(f"{name}={token}" for name, token in kept.items())
    async with browser(site, Cookie=lines) as page:
        assert (await page.post("/v1/session/refresh")).status_code == 200


# -- enumeration


async def test_the_time_does_not_tell_which_names_exist(tmp_path: Path, accounts_url: str) -> None:
    # A hash takes several times as long as all else: an answer without one would stand out.
    costly = cheap(memory_kib=32768, passes=3, tries_of_pair=99, tries_of_address=999)
    async with accounts_server(tmp_path, accounts_url, limits=costly) as site:
        await add(site, "known")
        await add(site, "disabled", disabled=True)
        await add(site, "bare", password=None)
        names = ("known", "disabled", "bare", "nobody", "\0 no name")
        seconds: dict[str, list[float]] = {name: [] for name in names}
        async with browser(site) as page:
            for _ in range(5):
                for name in names:
                    begun = time.perf_counter()
                    assert (await sign_in(page, name, WRONG)).status_code == 401
                    seconds[name].append(time.perf_counter() - begun)
    medians = [statistics.median(each) for each in seconds.values()]
    assert max(medians) < 2 * min(medians), seconds


# -- a stolen refresh token


@pytest.mark.parametrize("first", ["owner", "thief"])
async def test_a_stolen_refresh_token_ends_its_session_for_both(
    site: Inside, clock: Clock, first: str
) -> None:
    async with browser(site) as owner:
        await signed_in(owner)
        stolen = owner.cookies["lading_refresh"]
        async with browser(site, Cookie=f"lading_refresh={stolen}") as thief:
            order = [owner, thief] if first == "owner" else [thief, owner]
            assert (await order[0].post("/v1/session/refresh")).status_code == 200
            clock.now += 31
            answer = await order[1].post("/v1/session/refresh")
            assert refusal(answer) == (401, "unauthorized")
            for each in order:
                assert (await each.post("/v1/session/refresh")).status_code == 401
                assert (await each.get("/v1/usage")).status_code == 401
        async with browser(site) as again:
            await signed_in(again)


async def test_a_token_of_long_ago_ends_it_even_in_the_time_of_grace(site: Inside) -> None:
    async with browser(site) as owner:
        await signed_in(owner)
        stolen = owner.cookies["lading_refresh"]
        for _ in range(2):
            assert (await owner.post("/v1/session/refresh")).status_code == 200
        async with browser(site, Cookie=f"lading_refresh={stolen}") as thief:
            assert (await thief.post("/v1/session/refresh")).status_code == 401
        assert (await owner.post("/v1/session/refresh")).status_code == 401
