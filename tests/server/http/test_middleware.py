"""The names that the server answers to, and the pages that may call it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from lading.server.app import create_app
from lading.server.hooks import Hooks
from lading.server.http.endpoints import routes
from lading.server.http.middleware import allowed_hosts, middleware
from lading.server.http.openapi.operation import Operations
from lading.server.net.record import Record
from lading.server.settings import load


async def _hello(_request: Request) -> Response:
    return PlainTextResponse("hello", headers={"ETag": '"1"'})


@asynccontextmanager
async def site(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Route("/", _hello)], middleware=middleware(load(**settings)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def status(client: httpx.AsyncClient, host: str) -> int:
    return (await client.get("/", headers={"Host": host})).status_code


async def test_with_a_credential_any_name_will_do_until_some_are_set() -> None:
    assert allowed_hosts(load()) is None
    async with site() as client:
        assert await status(client, "anything.example") == 200


async def test_without_a_credential_only_names_of_this_machine_will_do() -> None:
    async with site(auth="none") as client:
        for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "LOCALHOST"):
            assert await status(client, host) == 200, host
        for host in ("evil.example", "localhost.evil.example", "", "[::1", "127.0.0.2"):
            refused = await client.get("/", headers={"Host": host})
            assert refused.status_code == 400, host
            assert refused.json()["code"] == "invalid-argument"


async def test_the_allow_list_is_exact_and_holds_the_public_address() -> None:
    names = {"allowed_hosts": "files.example", "public_url": "https://cdn.example/x"}
    async with site(**names) as client:
        for host in ("files.example", "FILES.example:443", "cdn.example", "localhost"):
            assert await status(client, host) == 200, host
        for host in ("a.files.example", "files.example.evil"):
            assert await status(client, host) == 400, host


async def test_listed_pages_may_call_and_see_what_they_need() -> None:
    async with site(allowed_origins="https://site.example") as client:
        asked = {
            "Origin": "https://site.example",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, x-lading-crc32c, content-digest",
        }
        preflight = await client.options("/", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://site.example"
        answer = await client.get("/", headers={"Origin": "https://site.example"})
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "https://site.example.evil", "null"])
async def test_other_pages_may_not(origin: str) -> None:
    async with site(allowed_origins="https://site.example") as client:
        answer = await client.get("/", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        assert (await client.options("/", headers=asked)).status_code == 400


# -- metrics


Seen = list[tuple[str, str, int]]


@asynccontextmanager
async def observed(seen: Seen, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A site whose requests are noted in `seen`."""

    async def chunks() -> AsyncIterator[bytes]:
        assert seen == [], "the response has not ended"
        yield b"x"
        assert seen == []

    async def stream(_request: Request) -> Response:
        return StreamingResponse(chunks(), 206)

    async def fault(_request: Request) -> Response:
        raise RuntimeError("fault")

    api = Operations("Files")
    for endpoint, handler in (
        ("GET /v1/files/{id}", stream),
        ("DELETE /v1/files/{id}", fault),
        ("GET /v1/tags/{name:path}", _hello),
    ):
        api.operation(endpoint, endpoint, {})(handler)

    def observe(record: Record) -> None:
        assert 0 <= record.seconds < 60
        seen.append((record.method, record.route, record.status))

    hooks = Hooks(request=observe)
    app = Starlette(routes=routes(api), middleware=middleware(load(**settings), hooks))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/v1/files/123", ("GET", "/v1/files/{id}", 206)),
        ("HEAD", "/v1/files/123", ("HEAD", "/v1/files/{id}", 206)),
        ("DELETE", "/v1/files/123", ("DELETE", "/v1/files/{id}", 500)),
        ("PUT", "/v1/files/123", ("PUT", "/v1/files/{id}", 405)),
        ("GET", "/v1/tags/a/b", ("GET", "/v1/tags/{name}", 200)),
        ("GET", "/v1/other/123", ("GET", "", 404)),
        ("BREW", "/v1/files/123", ("", "/v1/files/{id}", 405)),
    ],
)
async def test_each_request_is_reported_once_by_its_route(
    method: str, path: str, wanted: tuple[str, str, int]
) -> None:
    seen: Seen = []
    async with observed(seen) as client:
        await client.request(method, path)
    assert seen == [wanted]


async def test_requests_that_are_refused_before_the_routes_are_reported_too() -> None:
    seen: Seen = []
    async with observed(seen, allowed_hosts="files.example") as client:
        await client.get("/v1/files/123", headers={"Host": "evil.example"})
    assert seen == [("GET", "", 400)]


async def test_the_application_passes_the_hook_on() -> None:
    seen: Seen = []
    app = create_app(load(), observe=lambda it: seen.append((it.method, it.route, it.status)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.get("/livez")
    assert seen == [("GET", "/livez", 200)]


def test_without_a_hook_nothing_stands_before_the_routes() -> None:
    assert middleware(load()) == []
