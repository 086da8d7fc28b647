"""What is no passkey, or not the caller's.

That one works, and once only, is tested with a browser's authenticator in
`widget/e2e/passkeys.spec.ts`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.storage.collections.passkeys import MOST, Passkey
from tests.support.accounts import NOW, PASSWORD, accounts_server, add, browser, signed_in
from tests.support.clock import Clock
from tests.support.servers import Inside, Process
from tests.support.users import refusal


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def site(tmp_path: Path, accounts_url: str, clock: Clock) -> AsyncIterator[Inside]:
    async with accounts_server(tmp_path, accounts_url, clock=clock) as running:
        await add(running)
        yield running


@pytest.fixture
async def ann(site: Inside) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(site) as page:
        await signed_in(page)
        yield page


NO_KEY = (
    "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVg6EsoXtJryKJQ28wPgFmAwoh5SXSZuIJJnQzgBqP1AcaBFAAAAAWFh"
    "YWFhYWFhYWFhYWFhYWEAAmlkgA"
)
"""An attestation object for this host whose key is an empty list; the library falls over it."""


def credential(
    challenge: str, kind: str = "webauthn.get", origin: str = "http://127.0.0.1"
) -> dict[str, Any]:
    """What a browser would send, with nothing in it that a key signed."""
    told = {"type": kind, "challenge": challenge, "origin": origin}
    data = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    answer = {"clientDataJSON": data, "attestationObject": "oA", "authenticatorData": "oA"}
    return {
        "id": "aWQ",
        "rawId": "aWQ",
        "type": "public-key",
        "response": {**answer, "signature": "oA"},
    }


async def ask(page: httpx.AsyncClient, password: str | None = PASSWORD) -> httpx.Response:
    return await page.post("/v1/passkeys/options", json={"password": password})


async def keep(site: Inside, number: int = 0, user_id: str = "ann") -> str:
    """Store a passkey, and return its id."""
    passkey = Passkey(
        id=b"id" if number == 0 else f"id{number}".encode(),
        user_id=user_id,
        public_key=b"no key",
        label="phone",
        sign_count=0,
        created_at=NOW,
    )
    passkeys = site.services.passkeys
    assert passkeys is not None
    await passkeys._passkeys.insert(passkey)
    return passkey.text_id


async def test_a_new_one_needs_the_password_of_the_account(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    for password in (None, "wrong horse"):
        assert refusal(await ask(ann, password)) == (401, "unauthorized")
    asked = (await ask(ann)).json()["options"]
    assert asked["rp"]["id"] == "127.0.0.1"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert b"ann" not in base64.urlsafe_b64decode(asked["user"]["id"] + "==")
    async with site.http() as admin:
        assert refusal(await ask(admin)) == (403, "forbidden")


async def test_what_no_device_made_is_not_kept(
    site: Inside, ann: httpx.AsyncClient, clock: Clock
) -> None:
    async def add_one(state: str, shown: dict[str, Any]) -> tuple[int, str]:
        body = {"state": state, "credential": shown, "label": "phone"}
        return refusal(await ann.post("/v1/passkeys", json=body))

    asked = (await ask(ann)).json()
    good = credential(asked["options"]["challenge"], "webauthn.create")
    assert await add_one("invented", good) == (401, "unauthorized")
    assert await add_one(asked["state"], good) == (401, "unauthorized")
    for shown in ({}, {"id": 1}, {"id": "a", "rawId": [], "response": {}, "type": "x"}):
        state = (await ask(ann)).json()["state"]
        assert await add_one(state, shown) == (401, "unauthorized")
    asked = (await ask(ann)).json()
    fallen = credential(asked["options"]["challenge"], "webauthn.create", site.url)
    fallen["response"]["attestationObject"] = NO_KEY
    assert await add_one(asked["state"], fallen) == (401, "unauthorized")
    late = (await ask(ann)).json()
    clock.now += 301
    await ann.post("/v1/session/refresh")
    assert await add_one(late["state"], good) == (401, "unauthorized")
    assert (await ann.get("/v1/passkeys")).json()["passkeys"] == []


async def test_nobody_signs_in_without_the_key(site: Inside) -> None:
    await keep(site)
    async with browser(site) as page:
        for known in ("aWQ", "eHl6"):
            question = (await page.post("/v1/session/passkey/options")).json()
            shown = {**credential(question["options"]["challenge"]), "id": known, "rawId": known}
            body = {"state": question["state"], "credential": shown}
            answer = await page.post("/v1/session/passkey", json=body)
            assert refusal(answer) == (401, "unauthorized")
            assert "Set-Cookie" not in answer.headers
        question = (await page.post("/v1/session/passkey/options")).json()
        body = {"state": question["state"], "credential": {"id": "\u00fc"}}
        answer = await page.post("/v1/session/passkey", json=body)
        assert answer.status_code in (400, 401)
        page.headers["Origin"] = "https://evil.example"
        assert refusal(await page.post("/v1/session/passkey", json=body)) == (403, "forbidden")


async def test_a_state_of_one_purpose_is_none_of_the_other(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    asked = (await ask(ann)).json()
    body = {"state": asked["state"], "credential": credential(asked["options"]["challenge"])}
    answer = await ann.post("/v1/session/passkey", json=body)
    assert refusal(answer) == (401, "unauthorized")
    assert answer.json()["detail"] == "This took too long; try again."


async def test_they_are_listed_and_deleted_by_their_owner(
    site: Inside, ann: httpx.AsyncClient
) -> None:
    mine, others = await keep(site), await keep(site, 1, "eve")
    (shown,) = (await ann.get("/v1/passkeys")).json()["passkeys"]
    assert (shown["id"], shown["label"], shown["used_at"]) == (mine, "phone", None)
    assert refusal(await ann.delete(f"/v1/passkeys/{others}")) == (404, "not-found")
    assert (await ann.delete(f"/v1/passkeys/{mine}")).status_code == 204
    assert refusal(await ann.delete(f"/v1/passkeys/{mine}")) == (404, "not-found")
    async with site.http() as admin:
        assert (await admin.delete("/v1/users/eve")).status_code == 200
        found = await admin.get("/v1/passkeys", params={"user_id": "eve"})
        assert found.json()["passkeys"] == []


async def test_there_are_not_too_many(site: Inside, ann: httpx.AsyncClient) -> None:
    for number in range(MOST):
        await keep(site, number)
    assert refusal(await ask(ann)) == (403, "forbidden")


async def test_a_server_without_accounts_has_none(server: Process) -> None:
    async with browser(server) as page:
        assert refusal(await page.post("/v1/session/passkey/options")) == (404, "not-found")
        page.headers.update(server.headers)
        assert refusal(await page.get("/v1/passkeys")) == (404, "not-found")
