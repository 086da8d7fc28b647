"""`/`: what a person sees who opens the server's address in a browser."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_TEXT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Lading</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }
:root { color-scheme: light dark }</style>
<h1>Lading is running.</h1>
<p>Upload a file with <code>lading put FILE</code>; fetch it with <code>lading get ID</code>.
"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def home(_request: Request) -> Response:
    """The start page."""
    return HTMLResponse(_TEXT, headers=_HEADERS)
