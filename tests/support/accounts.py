"""A server with accounts, and browsers that sign in to it. Knows nothing of what is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from lading.server.limits import USUAL_LIMITS, AccountLimits, Limits
from lading.storage.collections.manifests import new_id
from lading.storage.collections.sessions import Session
from tests.support.clock import Clock
from tests.support.servers import Inside, Running, inside

NOW = 4_000_000_000.25
"""Far in the future: the database goes by its own clock in what it forgets."""


def session(**changes: Any) -> Session:
    """A session of ann's that nobody has used yet."""
    plain = Session(
        id=new_id(),
        user_id="ann",
        scopes=("grant",),
        revision="r1",
        created_at=NOW,
        used_at=NOW,
        rotated_at=NOW,
        expires_at=NOW + 60,
        address="127.0.0.1",
        agent="tests",
    )
    return replace(plain, **changes)


CHEAP = AccountLimits(passes=1, memory_kib=64, lanes=1)
"""Hashes that cost next to nothing."""

PASSWORD = "correct horse"


def cheap(**changes: Any) -> Limits:
    """The usual limits with cheap hashes; `changes` are to those of accounts."""
    return replace(USUAL_LIMITS, accounts=replace(CHEAP, **changes))


OF_ACCOUNTS = {
    "createUser",
    "changeUser",
    "signUp",
    "refreshSession",
    "changePassword",
    "askForNewPasskey",
    "addPasskey",
    "askForPasskey",
    "beginSessionWithPasskey",
}
"""Operations with a body; without accounts there is nothing at their addresses."""


@asynccontextmanager
async def accounts_server(
    data: Path, database_url: str, *, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[Inside]:
    """A server with accounts and a clock that a test moves; `changes` are settings or `limits`."""
    settings = {"auth": "accounts", "limits": cheap(), "imaging": 0, **changes}
    moved = clock or Clock(NOW)
    async with inside(data, database_url, clock=moved, **settings) as running:
        yield running


def browser(server: Running, **headers: str) -> httpx.AsyncClient:
    """A browser on the server's own page: it keeps cookies, and states where it is."""
    return httpx.AsyncClient(
        base_url=server.url,
        headers={"Origin": server.url, "X-Request-Id": "the-same", **headers},
        timeout=30,
        trust_env=False,
    )


async def add(server: Running, name: str = "ann", **fields: Any) -> dict[str, Any]:
    """An account that an admin makes."""
    async with server.http() as admin:
        answer = await admin.post("/v1/users", json={"name": name, "password": PASSWORD, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def sign_in(
    visitor: httpx.AsyncClient, name: str = "ann", password: str = PASSWORD
) -> httpx.Response:
    """The answer to a name and a password."""
    return await visitor.post("/v1/session", json={"name": name, "password": password})


async def signed_in(visitor: httpx.AsyncClient, name: str = "ann") -> dict[str, Any]:
    """A session that has begun."""
    answer = await sign_in(visitor, name)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
