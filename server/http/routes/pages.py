"""`/` with its assets, `/docs`, `/openapi.json`: what a person sees in a browser, and what
describes the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lading.protocol.errors import NotFound
from lading.server.http import assets
from lading.server.http.assets import Asset
from lading.server.http.reference import POLICY, render
from lading.server.http.routes import session

PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        # WebAssembly computes digests; compiling it is not evaluating text.
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The `Content-Security-Policy` of the page: its own files, and pictures of what is chosen."""

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Lading</title>
<h1>Lading is running.</h1>
<p>To have the web page here, install Node.js 20.19 or later with npm, and start the server again
with <code>scripts/serve</code>, which builds it.
<p>All else works without it: <code>lading put FILE</code>, and <a href="docs">the HTTP API</a>.
"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_FOR_ALL = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@dataclass(frozen=True, slots=True)
class Pages:
    """What is made once, when the server starts."""

    description: bytes
    reference: bytes
    assets: Mapping[str, Asset]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Pages:
        """The OpenAPI document as JSON and as a page to read, and the files of the web page."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return cls(text.encode(), render(document).encode(), assets.load())


def _pages(request: Request) -> Pages:
    found: Pages = request.app.state.pages
    return found


async def home(request: Request) -> Response:
    """`GET /`: the web page. With `?token=`, that becomes a cookie and leaves the address bar."""
    token = request.query_params.get("token")
    if token is not None:
        return await session.exchange(request, token)
    page = _pages(request).assets.get("index.html")
    if page is None:
        return HTMLResponse(_NOT_BUILT, headers={**_HEADERS, "Cache-Control": "no-cache"})
    return assets.send(request, page, {"Content-Security-Policy": PAGE_POLICY})


async def asset(request: Request) -> Response:
    """`GET /assets/{file}`: the scripts, styles and pictures of the page."""
    return assets.send(request, _asset(request, "assets"))


async def widget(request: Request) -> Response:
    """`GET /widget/{file}`: the browser client, for pages of any site to import."""
    return assets.send(request, _asset(request, "widget"), _FOR_ALL)


def _asset(request: Request, folder: str) -> Asset:
    found = _pages(request).assets.get(f"{folder}/{request.path_params['file']}")
    if found is None:
        raise NotFound("There is no such file.")
    return found


async def description(request: Request) -> Response:
    """`GET /openapi.json`: the API, for programs."""
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(_pages(request).description, headers=headers, media_type="application/json")


async def reference(request: Request) -> Response:
    """`GET /docs`: the API, for people."""
    headers = {**_HEADERS, "Content-Security-Policy": POLICY}
    return HTMLResponse(_pages(request).reference, headers=headers)
