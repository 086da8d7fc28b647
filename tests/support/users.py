"""Users, back ends and the bearers of grants, for the tests of who may do what.

Knows how credentials are made and shown. Refuses to know what they allow.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.servers import Running

SECRET = "a secret of the tests, of more than 256 bits"
AUDIENCE = "lading"
JWT: dict[str, Any] = {"auth": "jwt", "jwt_secret": SECRET, "jwt_audience": AUDIENCE}
"""Settings of a server that knows the users below."""


def user(name: str, scope: str = "") -> str:
    """The token of a user; `scope` may be `grant` or `admin`."""
    claims = {"sub": name, "aud": AUDIENCE, "exp": int(time.time()) + 3600, "scope": scope}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


def shown(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def client(
    server: Running, token: str | None = None, *, request_id: str | None = "the-same"
) -> httpx.AsyncClient:
    """A client with this credential, or without any.

    All of its requests have the same id, since that is in each refusal: so two refusals of what is
    another's and of what does not exist can be compared whole. With None each gets its own.
    """
    headers = {} if token is None else shown(token)
    if request_id is not None:
        headers["X-Request-Id"] = request_id
    return httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False)


async def mint(server: Running, token: str | None = None, **fields: Any) -> dict[str, Any]:
    """A grant of the site's, or of another back end's; an upload grant for `ann` if not said
    otherwise."""
    body = {"action": "upload", "user_id": "ann", **fields}
    async with client(server, token or user("site", "grant")) as site:
        answer = await site.post("/v1/grants", json=body)
    assert answer.status_code == 201, answer.text
    minted: dict[str, Any] = answer.json()
    return minted


async def used(server: Running, grant: dict[str, Any]) -> int:
    """How many uses of a grant of the site's are counted."""
    async with client(server, user("site", "grant")) as site:
        shape = (await site.get(f"/v1/grants/{grant['id']}")).json()
    return int(shape["used"])


async def put(
    server: Running, owner: str = "ann", data: bytes = b"bytes", name: str = "own.bin"
) -> str:
    """The id of a small file of a user's own."""
    async with client(server, user(owner)) as browser:
        answer = await browser.post("/v1/files", content=data, params={"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]
