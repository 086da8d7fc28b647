"""Tokens of grants: how they are made, told apart, kept out of the log, and honoured.

It owns the form of a token and the authenticator that knows it. It refuses to know what a grant
allows (`protocol/grants.py`) and how it is kept and counted (`storage/grants.py`).
Source: page 4 of the design (grants), page 5, security list, items 3 and 19.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from lading.protocol.errors import Forbidden, Unauthorized
from lading.protocol.grants import Action
from lading.server.access.principal import Authenticator, Principal
from lading.storage.collections.grants import Grants

# An admin token has 43 characters and a JSON Web Token has dots: neither can look like this.
TOKEN = re.compile(r"lg_[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """A fresh token of 256 random bits, safe in a URL."""
    return f"lg_{secrets.token_urlsafe(32)}"


def is_token(text: str) -> bool:
    """Whether this is a grant's token by its form."""
    return TOKEN.fullmatch(text) is not None


def redact(text: str) -> str:
    """The text without the tokens of grants in it, for the log."""
    return TOKEN.sub("lg_...", text)


class GrantAuthenticator:
    """Knows the bearers of grants, and leaves every other credential to `otherwise`."""

    def __init__(
        self, grants: Grants, otherwise: Authenticator, clock: Callable[[], float]
    ) -> None:
        self._grants = grants
        self._otherwise = otherwise
        self._clock = clock

    async def principal(self, token: str | None) -> Principal:
        """Who the bearer is; raises Unauthorized, and Forbidden for an expired grant.

        An expired grant is honoured if uploads were created with it, for those may still end;
        creating another is refused where it is counted.
        """
        if token is None or not is_token(token):
            return await self._otherwise.principal(token)
        now = self._clock()
        grant = await self._grants.find(token, now)
        if grant is None:
            raise Unauthorized("There is no such grant; it may have been revoked.")
        begun = grant.action is Action.UPLOAD and grant.used > 0
        if grant.expires_at <= now and not begun:
            raise Forbidden("The grant expired; ask for a new one.")
        return Principal(grant.user_id, expires=grant.expires_at, grant=grant)
