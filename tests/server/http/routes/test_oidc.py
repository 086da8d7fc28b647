"""What a wrong provider, a wrong browser or an attacker between them brings back: no session.

That the right one works is tested with a real provider, in `widget/e2e/oidc.spec.ts`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.accounts import NOW, accounts_server, add, browser
from tests.support.clock import Clock
from tests.support.oidc import CLIENT, OTHERS, FakeProvider, fake_provider
from tests.support.servers import Inside, Process
from tests.support.users import refusal

SECRET = "a:secret of the tests & more"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as found:
        found.claims = {"exp": NOW + 60, "iat": NOW}
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def site(
    tmp_path: Path, accounts_url: str, provider: FakeProvider, clock: Clock
) -> AsyncIterator[Inside]:
    chosen = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    async with accounts_server(
        tmp_path, accounts_url, clock=clock, oidc_issuer=provider.issuer, **chosen
    ) as running:
        yield running


async def begin(page: httpx.AsyncClient, provider: FakeProvider) -> dict[str, str]:
    """Go to the provider; what the address there says."""
    answer = await page.get("/oidc")
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    found = {name: value for name, (value,) in query.items()}
    provider.nonce = found.get("nonce", "")
    return found


async def back(page: httpx.AsyncClient, **answer: str) -> str:
    """Come back; where the browser is sent then."""
    found = await page.get("/oidc/callback", params=answer)
    assert found.status_code == 303
    is_in = (await page.get("/v1/usage")).status_code == 200
    assert is_in == (found.headers["Location"] == "../"), "a session, or none"
    return str(found.headers["Location"])


async def test_the_way_there_and_back(site: Inside, provider: FakeProvider) -> None:
    async with browser(site) as page:
        asked = await begin(page, provider)
        assert asked["response_type"] == "code"
        assert asked["redirect_uri"] == f"{site.url}/oidc/callback"
        assert asked["scope"] == "openid profile email groups"
        assert asked["code_challenge_method"] == "S256"
        assert await back(page, code="c", state=asked["state"], session_state="x") == "../"
        assert (await page.get("/v1/usage")).json()["user_id"] == "ann"
    form = dict(provider.asked)["/token"]
    digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
    credential = base64.b64decode(form["authorization"][0].removeprefix("Basic ")).decode()
    assert credential == "lading:a%3Asecret+of+the+tests+%26+more"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"claims": {"nonce": "another"}}, "unauthorized"),
        ({"claims": {"nonce": None}}, "unauthorized"),
        ({"claims": {"aud": "another"}}, "unauthorized"),
        ({"claims": {"azp": "another"}}, "unauthorized"),
        ({"claims": {"iss": "https://evil.example"}}, "unauthorized"),
        ({"claims": {"exp": NOW - 120}}, "unauthorized"),
        ({"claims": {"sub": None}}, "unauthorized"),
        ({"claims": {"sub": ""}}, "unauthorized"),
        ({"claims": {"sub": 7}}, "unauthorized"),
        pytest.param({"key": OTHERS}, "unauthorized", id="key of others"),
        ({"algorithm": "RS512"}, "unauthorized"),
        ({"userinfo": {"sub": "somebody else"}}, "unauthorized"),
        ({"status": 400}, "unauthorized"),
        ({"status": 500}, "unavailable"),
        ({"status": 302}, "unavailable"),
        ({"metadata": {"issuer": "https://evil.example"}}, "unavailable"),
        ({"metadata": {"token_endpoint": "http://evil.example/token"}}, "unavailable"),
        ({"userinfo": {"preferred_username": "no name!"}}, "forbidden"),
    ],
    ids=str,
)
async def test_a_wrong_provider_begins_no_session(
    site: Inside, provider: FakeProvider, wrong: dict[str, Any], code: str
) -> None:
    for name, value in wrong.items():
        usual = getattr(provider, name)
        setattr(provider, name, {**usual, **value} if isinstance(usual, dict) else value)
    async with browser(site) as page:
        asked = await begin(page, provider)
        found = await back(page, code="c", state=asked.get("state", ""))
    # What is published wrongly is noticed before the browser leaves.
    assert found == f"../#oidc={'unauthorized' if 'metadata' in wrong else code}"
    assert bool(asked) == ("metadata" not in wrong)


async def test_an_answer_belongs_to_the_browser_that_asked(
    site: Inside, provider: FakeProvider, clock: Clock
) -> None:
    async with browser(site) as page, browser(site) as victim:
        asked = await begin(page, provider)
        # Somebody leads a victim to an answer of the attacker's own sign-in.
        assert await back(victim, code="c", state=asked["state"]) == "../#oidc=unauthorized"
        assert await back(page, code="c", state="invented") == "../#oidc=unauthorized"
        # The cookie of the way there is good once.
        assert await back(page, code="c", state=asked["state"]) == "../#oidc=unauthorized"
        other = await begin(page, provider)
        evil = {"state": other["state"], "iss": "https://evil.example"}
        assert await back(page, code="c", **evil) == "../#oidc=unauthorized"
        third = await begin(page, provider)
        assert await back(page, error="access_denied", state=third["state"]) == "../#oidc=forbidden"
        late = await begin(page, provider)
        clock.now += 601
        assert await back(page, code="c", state=late["state"]) == "../#oidc=unauthorized"


async def test_a_person_is_known_by_the_subject_and_not_by_the_name(
    site: Inside, provider: FakeProvider
) -> None:
    await add(site, "taken")
    provider.userinfo = {"preferred_username": "taken", "email": "ann@example.org"}
    for name in ("taken", "renamed"):
        provider.userinfo["preferred_username"] = name
        async with browser(site) as page:
            asked = await begin(page, provider)
            assert await back(page, code="c", state=asked["state"]) == "../"
            assert (await page.get("/v1/usage")).json()["user_id"] == "ann@example.org"
    async with site.http() as admin:
        await admin.patch("/v1/users/ann@example.org", json={"disabled": True})
    async with browser(site) as page:
        asked = await begin(page, provider)
        assert await back(page, code="c", state=asked["state"]) == "../#oidc=forbidden"


async def test_an_address_that_is_not_verified_is_no_name(
    site: Inside, provider: FakeProvider
) -> None:
    provider.userinfo = {
        "preferred_username": None,
        "email": "boss@example.org",
        "email_verified": False,
    }
    async with browser(site) as page:
        asked = await begin(page, provider)
        assert await back(page, code="c", state=asked["state"]) == "../#oidc=forbidden"


async def test_groups_become_scopes_at_each_sign_in(
    tmp_path: Path, accounts_url: str, provider: FakeProvider, clock: Clock
) -> None:
    chosen = {"oidc_client_id": CLIENT, "oidc_admin_group": "ops", "oidc_grant_group": "staff"}
    async with (
        accounts_server(
            tmp_path, accounts_url, clock=clock, oidc_issuer=provider.issuer, **chosen
        ) as site,
        site.http() as admin,
    ):
        for groups, scopes in (
            (["ops", "staff", "x"], ["admin", "grant"]),
            (["staff"], ["grant"]),
            ("staff", []),
            (None, []),
        ):
            provider.userinfo["groups"] = groups
            async with browser(site) as page:
                asked = await begin(page, provider)
                assert await back(page, code="c", state=asked["state"]) == "../"
            (ann,) = (await admin.get("/v1/users")).json()["users"]
            assert ann["account"]["scopes"] == scopes
    # Without a secret the client names itself in the form.
    assert dict(provider.asked)["/token"]["client_id"] == [CLIENT]


async def test_a_server_without_a_provider_says_so(server: Process) -> None:
    async with browser(server) as page:
        for path in ("/oidc", "/oidc/callback"):
            assert refusal(await page.get(path)) == (404, "not-found")
