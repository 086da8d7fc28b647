"""The credential of the web page: from the address bar or a field to a cookie, and away again."""

from __future__ import annotations

from http.cookies import SimpleCookie

import httpx
import pytest

from tests.support.servers import Process
from tests.support.users import client, mint, refusal, shown, user
from tests.support.wire import HELLO, dial

OWN = {"Sec-Fetch-Site": "same-origin"}


def cookie_of(answer: httpx.Response) -> SimpleCookie:
    return SimpleCookie(answer.headers["Set-Cookie"])


async def test_the_printed_address_leads_to_the_page_with_the_token_in_a_cookie(
    server: Process,
) -> None:
    async with client(server) as browser:
        answer = await browser.get("/", params={"token": server.token or ""})
        assert answer.status_code == 303
        assert answer.headers["Location"] == "./"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        kept = cookie_of(answer)["lading_token"]
        assert kept["httponly"]
        assert (kept["samesite"], kept["path"], kept["secure"]) == ("strict", "/", "")
        assert (await browser.get("/v1/usage")).status_code == 200
        body = {"name": "a", "size": 1}
        made = await browser.post("/v1/uploads", json=body, headers=OWN)
        assert made.status_code == 201
        address = made.headers["Location"]
        for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            assert refusal(await browser.delete(address, headers=headers)) == (401, "unauthorized")
        assert (await browser.delete(address, headers={"Origin": server.url})).status_code == 204


async def test_a_wrong_token_leads_to_the_page_too_which_asks_for_another(server: Process) -> None:
    async with client(server) as browser:
        for token in ("wrong", "", "lg_" + "x" * 43):
            answer = await browser.get("/", params={"token": token})
            assert (answer.status_code, answer.headers["Location"]) == (303, "./#refused")
            assert "Set-Cookie" not in answer.headers


async def test_a_bearer_token_becomes_a_cookie_and_is_forgotten(server: Process) -> None:
    async with client(server) as browser:
        answer = await browser.post("/v1/session", headers=server.headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await browser.get("/v1/usage")).status_code == 200
        answer = await browser.delete("/v1/session")
        assert answer.status_code == 204
        assert refusal(await browser.get("/v1/usage")) == (401, "unauthorized")


async def test_a_wrong_one_does_not(server: Process) -> None:
    async with client(server) as browser:
        for headers in ({}, shown("wrong")):
            answer = await browser.post("/v1/session", headers=headers)
            assert refusal(answer) == (401, "unauthorized")
            assert "Set-Cookie" not in answer.headers


async def test_the_cookie_of_a_user_lives_as_long_as_the_users_token(
    users_server: Process,
) -> None:
    async with client(users_server) as browser:
        answer = await browser.get("/", params={"token": user("ann")})
        # The leeway for the clocks of issuers is included.
        assert 3000 < int(cookie_of(answer)["lading_token"]["max-age"]) <= 3660
        assert (await browser.get("/v1/usage")).json()["user_id"] == "ann"


async def test_a_grant_does_not_become_a_cookie(users_server: Process) -> None:
    token = (await mint(users_server))["token"]
    async with client(users_server) as browser:
        answer = await browser.get("/", params={"token": token})
        assert answer.headers["Location"] == "./#refused"
        answer = await browser.post("/v1/session", headers=shown(token))
        assert refusal(answer) == (403, "forbidden")
        assert not browser.cookies


@pytest.mark.parametrize("origin", [None, "same-site"])
async def test_a_channel_from_elsewhere_gets_nothing_by_the_cookie(
    server: Process, origin: str | None
) -> None:
    headers = {"Cookie": f"lading_token={server.token}"}
    if origin is not None:
        headers |= {"Origin": server.url, "Sec-Fetch-Site": origin}
    async with dial(server, additional_headers=headers) as wire:
        await wire.send(HELLO, {})
        assert (await wire.problem(None))["code"] == "unauthorized"


async def test_a_token_in_hello_counts_wherever_the_cookie_does_not(server: Process) -> None:
    headers = {"Cookie": "lading_token=wrong"}
    async with dial(server, additional_headers=headers) as wire:
        await wire.hello(server.token)


async def test_the_token_is_not_in_the_log(server: Process) -> None:
    async with client(server) as browser:
        await browser.get("/", params={"token": server.token or ""})
        await browser.get("/", params={"token": "a-wrong-token"})
        await browser.post("/v1/session", headers=server.headers)
    lines = server.log.read_text("utf-8").splitlines()
    ready = [line for line in lines if server.token and server.token in line]
    assert [line.split()[0] for line in ready] == ["page"], "only the ready lines name it"
    assert not [line for line in lines if "a-wrong-token" in line]
