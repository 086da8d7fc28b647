"""The frame of a page: its style, its policy, and its headers.

The style stands in the page, and the policy names its digest. Everything that is put into a page
by others is escaped by `html.escape`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a4150);
  --soft: light-dark(#f4f5f8, #1d222b); --faint: light-dark(#59616e, #a3acba);
  --link: light-dark(#1d4ed8, #8ab4ff); --text: light-dark(#1a1f29, #e6e9ef);
  --back: light-dark(#fff, #14181f) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1rem/1.55 system-ui, sans-serif;
  background: var(--back); color: var(--text) }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
h1 { font-size: 1.4rem; line-height: 1.3; overflow-wrap: anywhere; margin: .5rem 0 }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p { margin: .5rem 0 }
.faint { color: var(--faint) }
.alert { border-left: 4px solid #b3201f; padding-left: .75rem }
.shown { display: block; max-width: 100%; height: auto; max-height: 75vh; margin: 1rem 0;
  border-radius: .5rem; background: var(--soft) }
video.shown, audio.shown { width: 100% }
.button, form button { display: inline-block; min-height: 2.75rem; padding: .55rem 1.1rem;
  border: 0; border-radius: .5rem; font: inherit; font-weight: 600; text-decoration: none;
  cursor: pointer; background: light-dark(#1d4ed8, #8ab4ff); color: light-dark(#fff, #10141b) }
.row { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; margin: 1rem 0 }
label { display: block; font-weight: 600; margin-bottom: .25rem }
input { min-height: 2.75rem; width: 100%; max-width: 24rem; padding: .5rem .75rem; font: inherit;
  color: inherit; background: var(--soft); border: 1px solid var(--faint); border-radius: .5rem }
nav ol { display: flex; flex-wrap: wrap; gap: .25rem .5rem; margin: 0; padding: 0;
  list-style: none }
nav li + li::before { content: "/"; margin-right: .5rem; color: var(--faint) }
ul.list { margin: 0; padding: 0; list-style: none; border-top: 1px solid var(--line) }
ul.list li { display: flex; gap: .75rem; align-items: center; min-height: 3.5rem; padding: .35rem 0;
  border-bottom: 1px solid var(--line) }
ul.list .name { flex: 1; min-width: 0; overflow-wrap: anywhere; padding: .5rem 0 }
ul.list img, ul.list .none { flex: none; width: 3rem; height: 3rem; object-fit: cover;
  border-radius: .35rem; background: var(--soft) }
details { margin: 1rem 0 }
summary { cursor: pointer; min-height: 2.75rem; padding: .55rem 0 }
.code { margin: 0; padding: .75rem; overflow: auto; border-radius: .5rem; background: var(--soft);
  font-size: .9rem; white-space: pre-wrap; overflow-wrap: anywhere }
.size { color: var(--faint); white-space: nowrap; font-size: .92rem }
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")

STYLE_SOURCE = f"'sha256-{_HASH}'"
"""The style, as a policy allows it."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src {STYLE_SOURCE}",
        "img-src 'self'",
        "media-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The `Content-Security-Policy` of every page: no script, and nothing of other sites."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # The address is the credential.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "private, no-store",
    "Vary": "Accept",
}


def page(
    title: str,
    body: str,
    status: int = 200,
    *,
    head: str = "",
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A page. `title` is text; `body` and `head` are HTML."""
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)}</title>\n{head}<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status, {**HEADERS, **(headers or {})})


def until(expires_at: float) -> str:
    """Until when a link works, as HTML."""
    end = datetime.fromtimestamp(expires_at, UTC)
    shown = f"{end.day} {end:%B %Y, %H:%M} UTC"
    when = end.isoformat(timespec="seconds")
    return f'<p class="faint">This link works until <time datetime="{when}">{shown}</time>.</p>\n'


def size_text(size: int | None) -> str:
    """A number of bytes as the web page writes it, in decimal units."""
    if size is None:
        return ""
    value, units = float(size), iter(("bytes", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    # A value that would round to 1000.0 is 1.0 of the next unit.
    while value >= 999.95 and (larger := next(units, None)) is not None:
        value, unit = value / 1000, larger
    if unit == "bytes":
        return "1 byte" if size == 1 else f"{size} bytes"
    return f"{value:.1f} {unit}"
