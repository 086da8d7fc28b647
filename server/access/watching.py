"""Whoever has begun to watch may end: a download grant that expires during a film.

A player asks for the rest of a film by ranges, at an address that a page cannot change meanwhile.
So an expired grant is good for ranges for some more hours, for those who received bytes
while it was good. Why that is safe: docs/decisions/0038.
"""

from __future__ import annotations

import hashlib

from starlette.requests import Request

from lading.protocol.errors import Forbidden
from lading.protocol.grants import Action, Grant


def watcher(request: Request, grant: Grant) -> str:
    """Who asks: the network address and the program. A digest, since it is stored."""
    address = request.client.host if request.client else ""
    agent = request.headers.get("user-agent", "")
    return hashlib.sha256(f"{grant.id}\n{address}\n{agent}".encode()).hexdigest()[:32]


def check_watching(
    request: Request, grant: Grant | None, now: float, grace: float, error: Forbidden
) -> Grant:
    """The expired grant if the bearer may end what was begun; otherwise raises `error`."""
    if (
        grant is None
        or grant.action is not Action.DOWNLOAD
        or request.method != "GET"
        or "range" not in request.headers
        or not grant.expires_at <= now < grant.expires_at + grace
        or watcher(request, grant) not in grant.watchers
    ):
        raise error
    return grant
