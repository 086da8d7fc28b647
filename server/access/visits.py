"""Who visits a link: a browser by a cookie, everyone else by address and program.

The cookie of a link is a random number. Once the password was given, it also holds until when, and
a code that only the server can compute, over both, the link and the password. Another number, link
or password has another code; so a password that is changed ends all visits.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.grants import Grant
from lading.server.access.cookie import is_https
from lading.server.access.kept_secrets import ServerSecret
from lading.server.access.watching import watcher

_FORM = re.compile(r"([A-Za-z0-9_-]{22})(?:\.(\d{1,12})\.([A-Za-z0-9_-]{43}))?")


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit of a link. `unlocked` when it has no password, or the visitor gave it."""

    id: str
    unlocked: bool
    begun: bool
    """Whether it has a cookie already."""


def visit_of(request: Request, grant: Grant, secret: ServerSecret, now: float) -> Visit:
    """The visit that a request belongs to."""
    found = _FORM.fullmatch(request.cookies.get(_name(grant), ""))
    if found is None:
        return Visit(watcher(request, grant), grant.password is None, False)
    visit_id, until, code = found.groups()
    if grant.password is None:
        return Visit(visit_id, True, True)
    good = code is not None and float(until) > now
    unlocked = good and hmac.compare_digest(code, _code(secret, grant, visit_id, until))
    return Visit(visit_id, unlocked, True)


def begin(
    response: Response,
    request: Request,
    grant: Grant,
    secret: ServerSecret,
    *,
    public_url: str | None,
    now: float,
    seconds: float,
) -> None:
    """Give the browser a visit of its own, for which the password was given if there is one."""
    until = min(now + seconds, grant.expires_at)
    value = secrets.token_urlsafe(16)
    if grant.password is not None:
        value = f"{value}.{until:.0f}.{_code(secret, grant, value, f'{until:.0f}')}"
    response.set_cookie(
        _name(grant),
        value,
        max_age=max(0, int(until - now)),
        path="/",  # a proxy may serve the link below another path
        secure=is_https(request, public_url),
        httponly=True,
        samesite="lax",
    )


def _name(grant: Grant) -> str:
    return f"lading_visit_{grant.id}"


def _code(secret: ServerSecret, grant: Grant, visit_id: str, until: str) -> str:
    text = f"{grant.id}\0{visit_id}\0{until}\0{grant.password}"
    return urlsafe_b64encode(secret.mac("visit", text)).decode().rstrip("=")
