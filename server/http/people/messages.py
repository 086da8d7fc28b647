"""Why an address leads nowhere, for people who opened it in a browser.

Programs get problem documents. A browser that opens a page says so: it accepts `text/html`, and it
asks for a document, not for a part of one.
"""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import LadingError
from lading.server.http.people.layout import page
from lading.server.net.problems import problem_response
from lading.server.net.record import record_of

_HEADINGS = {
    "forbidden": "This cannot be opened",
    "gone": "This link has expired",
    "incomplete": "This file is not complete yet",
    "method-not-allowed": "This address cannot be opened",
    "not-found": "There is nothing at this address",
    "rate-limited": "Too many attempts",
    "shutting-down": "The server is restarting",
    "unauthorized": "This cannot be opened without a credential",
    "unavailable": "The server has a problem right now",
}
_OTHERWISE = "This did not work"
_CHECK = "Check the address, or ask whoever sent it to you for a new one."
_ADVICE = {
    **dict.fromkeys(("forbidden", "not-found", "unauthorized"), _CHECK),
    "gone": "Ask whoever sent it to you for a new one.",
}


def opens_page(request: Request) -> bool:
    """Whether a person opens this address in a browser or sends a form, and wants a page."""
    if request.method not in ("GET", "HEAD", "POST") or "range" in request.headers:
        return False
    return "download" not in request.query_params and is_document(request)


def is_document(request: Request) -> bool:
    """Whether a browser shows the answer to this request in a tab."""
    types = [each.partition(";")[0].strip() for each in _listed(request.headers.get("accept", ""))]
    return "text/html" in types and request.headers.get("sec-fetch-dest", "document") == "document"


def _listed(field: str) -> list[str]:
    return field.lower().split(",")


def explain(request: Request, error: LadingError, status: int | None = None) -> Response:
    """The page for an error, with the status and the headers that a program would get."""
    record_of(request.scope).code = error.code
    plain = problem_response(error, status)
    advice = f"<p>{_ADVICE[error.code]}</p>\n" if error.code in _ADVICE else ""
    heading = _HEADINGS.get(error.code, _OTHERWISE)
    body = f'<h1>{escape(heading)}</h1>\n<p class="faint">{escape(str(error))}</p>\n{advice}'
    left_out = ("content-length", "content-type", "cache-control")
    kept = {name: value for name, value in plain.headers.items() if name not in left_out}
    return page(heading, body, plain.status_code, headers=kept)
