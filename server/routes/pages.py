"""`/`, `/docs`, `/openapi.json`: what a person sees in a browser, and what describes the API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from server.reference import POLICY, render

_TEXT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Lading</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }
:root { color-scheme: light dark }</style>
<h1>Lading is running.</h1>
<p>Upload a file with <code>lading put FILE</code>; fetch it with <code>lading get ID</code>.
<p>Programs use <a href="docs">the HTTP API</a>.
"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def home(_request: Request) -> Response:
    """The start page."""
    return HTMLResponse(_TEXT, headers=_HEADERS)


@dataclass(frozen=True, slots=True)
class Pages:
    """What is made once, when the server starts, of the OpenAPI document."""

    description: bytes
    reference: bytes

    @classmethod
    def of(cls, document: dict[str, Any]) -> Pages:
        """The document as JSON, and as a page to read."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return cls(text.encode(), render(document).encode())


async def description(request: Request) -> Response:
    """`GET /openapi.json`: the API, for programs."""
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    pages: Pages = request.app.state.pages
    return Response(pages.description, headers=headers, media_type="application/json")


async def reference(request: Request) -> Response:
    """`GET /docs`: the API, for people."""
    pages: Pages = request.app.state.pages
    return HTMLResponse(pages.reference, headers={**_HEADERS, "Content-Security-Policy": POLICY})
