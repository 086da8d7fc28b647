"""Where a request carries its credential: a bearer token, or the web page's cookie.

The cookie is accepted only from the server's own pages. Source: page 4 of the design, "Access";
Fetch Metadata (W3C).
"""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from lading.protocol.errors import Forbidden, Unauthorized

COOKIE = "lading_token"

REFRESH_COOKIE = "lading_refresh"
"""The refresh token of a session; the browser sends it only to `/v1/session` and below."""

FLOW_COOKIE = "lading_oidc"
"""What belongs to a sign-in at an OpenID provider, while the browser is there."""

DEVICE_COOKIE = "lading_device"
"""Says that somebody signed in here before; sent only where one signs in."""

COOKIE_SECONDS = 30 * 24 * 3600
"""How long a browser keeps a credential that does not expire."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def bearer(connection: HTTPConnection, public_url: str | None = None) -> str | None:
    """The credential of a request: its bearer token, otherwise the page's cookie."""
    header = connection.headers.get("authorization")
    if header is None:
        return cookie_token(connection, public_url)
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("The Authorization header must be: Bearer TOKEN.")
    return token.strip()


def cookie_token(connection: HTTPConnection, public_url: str | None = None) -> str | None:
    """The credential in the cookie; raises Unauthorized if another site's page may have sent it.

    A browser adds the cookie to every request to this server. For WebSocket connections and for
    methods that change something, the browser must also state that the page is the server's own.
    SameSite=Strict alone would admit pages of sibling domains and of other ports.
    """
    token = connection.cookies.get(COOKIE)
    if token is None or connection.scope.get("method") in SAFE or _is_own(connection, public_url):
        return token
    raise Unauthorized(
        "The cookie is accepted only from the server's own page; "
        "programs must send Authorization: Bearer TOKEN."
    )


def refresh_token(connection: HTTPConnection, public_url: str | None = None) -> str | None:
    """The refresh token in its cookie; raises Unauthorized as `cookie_token` does."""
    token = connection.cookies.get(REFRESH_COOKIE)
    if token is None or _is_own(connection, public_url):
        return token
    raise Unauthorized(
        "The cookie is accepted only from the server's own page; "
        "programs must send the server's own address as Origin."
    )


def check_not_foreign(connection: HTTPConnection, public_url: str | None = None) -> None:
    """Raise Forbidden if a browser states that another site's page sends this.

    Such a page could sign a visitor in to an account of its own, and read what they upload there.
    """
    stated = {"sec-fetch-site", "origin"} & set(connection.headers)
    if stated and not _is_own(connection, public_url):
        raise Forbidden("Sign in on the server's own page.")


def _is_own(connection: HTTPConnection, public_url: str | None) -> bool:
    """Whether the browser states that the request comes from a page of this server."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers leave this header out over plain HTTP and with WebSocket, but send Origin.
    return is_own_origin(connection.headers.get("origin", ""), connection, public_url)


def is_own_origin(origin: str, connection: HTTPConnection, public_url: str | None = None) -> bool:
    """Whether `origin` is this server's: the host of the connection, or the public address."""
    try:
        found, public = urlsplit(origin), urlsplit(public_url or "")
    except ValueError:
        return False
    if not found.netloc:
        return False
    if (found.scheme, found.netloc) == (public.scheme, public.netloc):
        return True
    return found.netloc == connection.headers.get("host")


def give_cookie(
    response: Response,
    connection: HTTPConnection,
    token: str,
    *,
    public_url: str | None,
    seconds: float | None,
    name: str = COOKIE,
) -> None:
    """Set a cookie, the page's or another, to `token` for `seconds`; None for a long time."""
    response.set_cookie(
        name,
        token,
        max_age=COOKIE_SECONDS if seconds is None else max(0, math.floor(seconds)),
        path=_path(name, public_url),
        secure=is_https(connection, public_url),
        httponly=True,
        # The browser comes back from another site, and must bring this one along.
        samesite="lax" if name == FLOW_COOKIE else "strict",
    )


def take_cookie(
    response: Response, connection: HTTPConnection, public_url: str | None, name: str = COOKIE
) -> None:
    """Delete a cookie, the page's or another."""
    secure, path = is_https(connection, public_url), _path(name, public_url)
    response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="strict")


def _path(name: str, public_url: str | None) -> str:
    """Where the browser sends it: the path as it sees it, before a proxy takes its part off."""
    if name == COOKIE:
        return "/"
    below = "/oidc" if name == FLOW_COOKIE else "/v1/session"
    return urlsplit(public_url or "").path.rstrip("/") + below


def is_https(connection: HTTPConnection, public_url: str | None) -> bool:
    """Whether browsers reach this server by https, so that cookies must not leave it."""
    return connection.url.scheme == "https" or (public_url or "").startswith("https:")
