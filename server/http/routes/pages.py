"""`/` with its assets, `/docs` and `/openapi.json`."""

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
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations, Reply
from lading.server.http.openapi.page import POLICY, render
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
"""The `Content-Security-Policy` of the page: its own files, and previews of chosen files."""

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Lading</title>
<h1>Lading is running.</h1>
<p>The web page is not built. Install Node.js 20.19 or later with npm, and restart the server with
<code>scripts/serve</code>, which builds it.
<p>Everything else works: <code>lading put FILE</code>, and <a href="docs">the HTTP API</a>.
"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

api = Operations("Service")

_HTML = {"text/html": {"type": "string"}}
_ASSET: dict[str, Any] = {
    "replies": {
        200: Reply(
            "The file.", common.ANYTHING, {"ETag": "Weak.", "Cache-Control": "How to cache it."}
        ),
        304: Reply("The browser's copy is current.", {}, {"ETag": "The tag of that copy."}),
    },
    "parameters": (common.header("If-None-Match", "The `ETag` of the browser's copy."),),
    "problems": (NotFound,),
    "public": True,
}

_FOR_ALL = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@dataclass(frozen=True, slots=True)
class Pages:
    """What is made once, at start."""

    description: bytes
    reference: bytes
    assets: Mapping[str, Asset]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Pages:
        """The OpenAPI document as JSON and as a page, and the files of the web page."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return cls(text.encode(), render(document).encode(), assets.load())


def _pages(request: Request) -> Pages:
    found: Pages = request.app.state.pages
    return found


@api.operation(
    "GET /",
    "getHome",
    {
        200: Reply("The page.", _HTML),
        303: Reply("The address of the page without the token.", headers={"Location": "The page."}),
    },
    public=True,
)
async def home(request: Request) -> Response:
    """Return the web page.

    With `?token=`, the token becomes the page's cookie, and the answer redirects to the page.
    """
    token = request.query_params.get("token")
    if token is not None:
        return await session.exchange(request, token)
    page = _pages(request).assets.get("index.html")
    if page is None:
        return HTMLResponse(_NOT_BUILT, headers={**_HEADERS, "Cache-Control": "no-cache"})
    return assets.send(request, page, {"Content-Security-Policy": PAGE_POLICY})


@api.operation("GET /assets/{file}", "getAsset", **_ASSET)
async def asset(request: Request) -> Response:
    """Return a script, style or picture of the web page."""
    return assets.send(request, _asset(request, "assets"))


@api.operation("GET /widget/{file}", "getWidget", **_ASSET)
async def widget(request: Request) -> Response:
    """Return a module of the browser client, for the pages of any site."""
    return assets.send(request, _asset(request, "widget"), _FOR_ALL)


def _asset(request: Request, folder: str) -> Asset:
    found = _pages(request).assets.get(f"{folder}/{request.path_params['file']}")
    if found is None:
        raise NotFound("There is no such file of the web page.")
    return found


@api.operation(
    "GET /openapi.json",
    "getDescription",
    {200: Reply("An OpenAPI 3.1 document.", {JSON: {"type": "object"}})},
    public=True,
)
async def description(request: Request) -> Response:
    """Return this description."""
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(_pages(request).description, headers=headers, media_type="application/json")


@api.operation("GET /docs", "getReference", {200: Reply("The page.", _HTML)}, public=True)
async def reference(request: Request) -> Response:
    """Return this description as a page for people."""
    headers = {**_HEADERS, "Content-Security-Policy": POLICY}
    return HTMLResponse(_pages(request).reference, headers=headers)
