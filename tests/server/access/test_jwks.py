"""Keys that are fetched: who waits for a fetch, and who does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey, Key

from lading.protocol.errors import Unavailable
from lading.server.access.jwks import (
    KEYS_SECONDS,
    RETRY_SECONDS,
    UNKNOWN_KEY_SECONDS,
    FetchedKeys,
    jwks_fetcher,
)
from tests.support.network import certificate, fronting, proxying
from tests.support.servers import until


def key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def text_of(*keys: ECKey) -> str:
    return json.dumps({"keys": [each.as_dict(private=False) for each in keys]})


class Site:
    """A JWKS address that changes its keys."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys = keys
        self.asked = 0
        self.down = False

    async def fetch(self) -> str:
        self.asked += 1
        if self.down:
            raise httpx.ConnectError("down")
        return text_of(*self.keys)


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def kid_of(found: Awaitable[Key | None]) -> str | None:
    got = await found
    return None if got is None else got.kid


async def patiently(keys: FetchedKeys, kid: str) -> Key | None:
    """Ask again as long as the answer is to try again."""
    while True:
        try:
            return await keys.find(kid)
        except Unavailable:
            continue


async def test_a_rotated_key_is_found_and_the_site_is_not_asked_at_every_request() -> None:
    clock, site = Clock(), Site(key("old"))
    keys = FetchedKeys(site.fetch, clock)
    assert await kid_of(keys.find("old")) == "old"
    site.keys = (key("new"),)
    assert await keys.find("new") is None, "so soon after a fetch there is no other"
    assert site.asked == 1
    clock.now += UNKNOWN_KEY_SECONDS
    assert await kid_of(keys.find("new")) == "new"
    assert site.asked == 2
    assert await keys.find("old") is None


async def test_old_keys_are_fetched_again_beside_the_request() -> None:
    clock, site = Clock(), Site(key("old"))
    keys = FetchedKeys(site.fetch, clock)
    await keys.find("old")
    site.keys = (key("new"),)
    clock.now += KEYS_SECONDS + 1
    assert await kid_of(keys.find("old")) == "old"
    await until(lambda: site.asked == 2)
    assert await keys.find("old") is None, "the site does not vouch for it any more"


async def test_an_outage_of_the_site_is_none_here() -> None:
    clock, site = Clock(), Site(key("k"))
    keys = FetchedKeys(site.fetch, clock)
    await keys.find("k")
    site.down = True
    clock.now += 10_000
    for _ in range(3):
        assert await kid_of(keys.find("k")) == "k"
        await until(lambda: site.asked == 2)
    assert await kid_of(keys.find("k")) == "k"
    assert site.asked == 2


async def test_failed_fetches_are_repeated_after_growing_pauses() -> None:
    clock, site = Clock(), Site(key("k"))
    keys = FetchedKeys(site.fetch, clock)
    site.down = True
    for pause in (1, 2, 4, 8, 16, 30, 30):
        asked = site.asked
        for _ in range(3):
            with pytest.raises(Unavailable):
                await keys.find("k")
        assert site.asked == asked + 1
        clock.now += pause * RETRY_SECONDS - 0.1
        with pytest.raises(Unavailable):
            await keys.find("k")
        assert site.asked == asked + 1
        clock.now += 0.2
    site.down = False
    assert await kid_of(keys.find("k")) == "k"


@pytest.mark.parametrize("answer", ["", "{}", "[", '{"keys": 5}'])
async def test_an_answer_that_is_no_key_set_is_a_failed_fetch(answer: str) -> None:
    async def fetch() -> str:
        return answer

    with pytest.raises(Unavailable):
        await FetchedKeys(fetch).find("k")


async def test_many_requests_share_one_fetch() -> None:
    site = Site(key("k"))
    keys = FetchedKeys(site.fetch)
    found = await asyncio.gather(*(kid_of(keys.find("k")) for _ in range(50)))
    assert found == ["k"] * 50
    assert site.asked == 1


# -- against a real server


class Hanging:
    """A JWKS address over HTTP that answers while `open` is set, and otherwise hangs."""

    def __init__(self, *keys: ECKey) -> None:
        self.body = text_of(*keys).encode()
        self.open = asyncio.Event()
        self.open.set()
        self.hangs = asyncio.Event()
        self.port = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not self.open.is_set():
            self.hangs.set()
        await self.open.wait()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def hanging(*keys: ECKey) -> AsyncIterator[Hanging]:
    site = Hanging(*keys)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    site.url = f"http://127.0.0.1:{site.port}/keys"
    try:
        yield site
    finally:
        site.open.set()
        server.close()
        await server.wait_closed()


async def test_keys_are_fetched_by_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hanging(key("known")) as site, proxying(site.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert "known" in await jwks_fetcher("http://issuer.test/keys")()
        assert proxy.methods == ["GET"]
        assert "known" in await jwks_fetcher(site.url)()
        assert proxy.methods == ["GET"]


async def test_the_certificates_of_the_environment_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    async with hanging(key("known")) as site, fronting(site.port, certificate=path) as port:
        fetch = jwks_fetcher(f"https://127.0.0.1:{port}/keys")
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            await fetch()
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        assert "known" in await fetch()


async def test_a_known_key_is_answered_while_the_fetch_of_an_unknown_one_hangs() -> None:
    clock = Clock()
    async with hanging(key("known"), key("other")) as site:
        keys = FetchedKeys(jwks_fetcher(site.url), clock, wait_seconds=60)
        assert await kid_of(keys.find("known")) == "known"
        clock.now += KEYS_SECONDS + 1
        site.open.clear()
        waiting = asyncio.create_task(kid_of(keys.find("new")))
        await site.hangs.wait()
        async with asyncio.timeout(5):
            for kid in ("known", "other", "known"):
                assert await kid_of(keys.find(kid)) == kid
        assert not waiting.done()
        site.body = text_of(key("new")).encode()
        site.open.set()
        assert await waiting == "new"


async def test_an_unknown_key_waits_for_a_limited_time() -> None:
    clock = Clock()
    async with hanging(key("known")) as site:
        keys = FetchedKeys(jwks_fetcher(site.url), clock, wait_seconds=0.05)
        assert await kid_of(patiently(keys, "known")) == "known"
        clock.now += UNKNOWN_KEY_SECONDS
        site.open.clear()
        with pytest.raises(Unavailable):
            await keys.find("new")
        assert await kid_of(keys.find("known")) == "known"
        site.body = text_of(key("new")).encode()
        site.open.set()
        assert await kid_of(patiently(keys, "new")) == "new", "the fetch went on meanwhile"
