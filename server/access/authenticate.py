"""From a token to a principal that may do what it asks: the one way in, for every transport."""

from __future__ import annotations

import secrets
from typing import Protocol

from lading.protocol.errors import Unauthorized
from lading.protocol.grants import Action
from lading.server.access.principal import Principal

ADMIN = "admin"


class Authenticator(Protocol):
    """Knows the principals of one kind of credential."""

    async def principal(self, token: str | None, /) -> Principal:
        """The principal of `token`; raises Unauthorized."""
        ...


async def authenticate(
    authenticator: Authenticator, token: str | None, *actions: Action
) -> Principal:
    """The principal of `token`. Raises Unauthorized for a credential that is not valid.

    A grant must be for one of `actions`, else Forbidden is raised; without actions no grant is
    accepted. Other credentials allow every action on their user's own resources.
    """
    principal = await authenticator.principal(token)
    principal.check_action(*actions)
    return principal


class TokenAuthenticator:
    """`LADING_AUTH=token`: one random token, for the server's one user."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("the admin token is empty: delete the file that holds it")
        self._token = token.encode()

    async def principal(self, token: str | None, /) -> Principal:
        if token is None:
            raise Unauthorized("Send the token that the server printed at its start.")
        if not secrets.compare_digest(token.encode("utf-8", "surrogatepass"), self._token):
            raise Unauthorized("The token is not the one that the server printed at its start.")
        return Principal(ADMIN, admin=True, may_grant=True)


class OpenAuthenticator:
    """`LADING_AUTH=none`: everyone who reaches the loopback interface is the same user."""

    async def principal(self, _token: str | None, /) -> Principal:
        return Principal(ADMIN, admin=True, may_grant=True)
