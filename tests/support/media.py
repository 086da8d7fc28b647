"""Media over HTTP, as a site's back end and its browsers use them."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.support.servers import Process
from tests.support.users import client, user

BODY = random.Random(7).randbytes(9 * 2**20 + 5)  # two whole cells, and a bit of a third
WRONG = BODY[: 5 * 2**20] + b"?" + BODY[5 * 2**20 + 1 :]
DIGEST = hashlib.sha256(BODY).hexdigest()


async def announce(
    server: Process, owner: str = "ann", body: bytes = BODY, **fields: Any
) -> dict[str, Any]:
    about = {"name": "film.mp4", "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    async with client(server, user(owner)) as site:
        answer = await site.post("/v1/media", json={**about, **fields})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/media/{told['media']['_id']}"
    return told


async def send(server: Process, told: dict[str, Any], body: Any = BODY) -> httpx.Response:
    """What a browser does with the answer, without any credential."""
    to = told["upload"]
    async with client(server) as browser:
        return await browser.request(to["method"], to["url"], headers=to["headers"], content=body)


async def finalize(server: Process, media: str, owner: str = "ann") -> httpx.Response:
    async with client(server, user(owner)) as site:
        return await site.post(f"/v1/media/{media}/finalize")


async def show(server: Process, media: str, owner: str = "ann") -> httpx.Response:
    async with client(server, user(owner)) as site:
        return await site.get(f"/v1/media/{media}")


async def stream(body: bytes) -> Any:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


def seconds_left(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()
