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
from lading.server.http.people.script import Script, find
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
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The `Content-Security-Policy` of the page: its own files, and previews of chosen files."""

DOCS_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # Scalar writes its theme, and the sizes of what it measures, into styles while it runs.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        # Trying an operation out asks this server, and what it answers may be played.
        "connect-src 'self'",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The same of `/docs`, the only page with styles that are not files: see `docs/decisions/0096`."""

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

_NO_DOCS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Lading HTTP API</title>
<h1>Lading HTTP API</h1>
<p>This page is not built: install Node.js 20.19 or later with npm, and restart the server with
<code>scripts/serve</code>. The same for programs is <a href="openapi.json">openapi.json</a>.
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
    assets: Mapping[str, Asset]
    scripts: Mapping[str, Script | None]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Pages:
        """The OpenAPI document as JSON, and the files of the web page."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        loaded = assets.load()
        scripts = {name: find(loaded, name) for name in ("request",)}
        return cls(text.encode(), loaded, scripts)


def script_of(request: Request, name: str) -> Script | None:
    """The script of a page for people; None where the page is not built."""
    return _pages(request).scripts[name]


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
    """Return this description as a page for people, who can search it and try it out there."""
    page = _pages(request).assets.get("docs.html")
    if page is None:
        return HTMLResponse(_NO_DOCS, headers={**_HEADERS, "Cache-Control": "no-cache"})
    return assets.send(request, page, {"Content-Security-Policy": DOCS_POLICY})
