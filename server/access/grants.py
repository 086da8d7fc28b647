"""Tokens of grants: their form, their authenticator, and how they stay out of the log.

What a grant allows stands in `protocol/grants.py`. Source: page 5 of the design, security list,
items 3 and 19.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from lading.protocol.errors import Forbidden, Unauthorized
from lading.protocol.grants import Action
from lading.server.access.authenticate import Authenticator
from lading.server.access.principal import Principal
from lading.storage.collections.grants import Grants

# An admin token has 43 characters and a JSON Web Token has dots: neither can look like this.
TOKEN = re.compile(r"lg_[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """A fresh token of 256 random bits, safe in a URL."""
    return f"lg_{secrets.token_urlsafe(32)}"


def is_token(text: str) -> bool:
    """Whether `text` has the form of a grant's token."""
    return TOKEN.fullmatch(text) is not None


def check_token(text: str) -> None:
    """Raise Unauthorized for an address without the token of a grant."""
    if not is_token(text):
        raise Unauthorized("This address needs the token of a grant.")


def redact(text: str) -> str:
    """The text with the tokens of grants removed, for the log."""
    return TOKEN.sub("lg_...", text)


class GrantAuthenticator:
    """Knows the bearers of grants, and passes every other credential to `otherwise`."""

    def __init__(
        self, grants: Grants, otherwise: Authenticator, clock: Callable[[], float]
    ) -> None:
        self._grants = grants
        self._otherwise = otherwise
        self._clock = clock

    async def principal(self, token: str | None, /) -> Principal:
        """The bearer of the grant; raises Unauthorized, and Forbidden for an expired grant.

        An expired grant is still accepted if uploads were created with it, so that they can be
        finished. A further creation is refused where uses are counted.
        """
        if token is None or not is_token(token):
            return await self._otherwise.principal(token)
        now = self._clock()
        grant = await self._grants.find(token, now)
        if grant is None:
            raise Unauthorized("There is no such grant; it may have been revoked.")
        if grant.action is Action.REQUEST:
            grant = grant.sent_by(grant.id)
        begun = grant.action is Action.UPLOAD and grant.used > 0
        if grant.expires_at <= now and not begun:
            raise Forbidden("The grant expired; ask for a new one.")
        return Principal(grant.user_id, expires=grant.expires_at, grant=grant)
