"""From a token to a principal that may do what it asks."""

from __future__ import annotations

import pytest

from lading.protocol.errors import Forbidden, Unauthorized
from lading.protocol.grants import Action, Grant
from lading.server.access.authenticate import (
    OpenAuthenticator,
    TokenAuthenticator,
    authenticate,
)
from lading.server.access.principal import Principal


def grant(action: Action) -> Grant:
    return Grant(
        id="0" * 24,
        action=action,
        user_id="ann",
        minter="site",
        created_at=0,
        expires_at=600,
        file_id=None if action is Action.UPLOAD else "1" * 24,
    )


class Bearers:
    """Every token is the name of a grant's action."""

    async def principal(self, token: str | None) -> Principal:
        if token is None:
            raise Unauthorized
        return Principal("ann", grant=grant(Action(token)))


async def test_the_token_that_was_printed_is_the_admins() -> None:
    found = await TokenAuthenticator("secret").principal("secret")
    assert (found.user_id, found.admin, found.expires) == ("admin", True, None)


@pytest.mark.parametrize(
    "token", [None, "", "secre", "secret ", "SECRET", "sécret", "\ud800", "x" * 100_000]
)
async def test_any_other_is_not(token: str | None) -> None:
    with pytest.raises(Unauthorized) as told:
        await TokenAuthenticator("secret").principal(token)
    assert "secret" not in str(told.value.problem())


async def test_an_empty_token_lets_nobody_in() -> None:
    with pytest.raises(ValueError, match="empty"):
        TokenAuthenticator("")


async def test_without_authentication_everyone_is_the_same_user() -> None:
    everyone = OpenAuthenticator()
    assert await everyone.principal(None) == await everyone.principal("x")


async def test_other_credentials_than_grants_allow_every_action() -> None:
    for actions in ((), *((action,) for action in Action)):
        found = await authenticate(TokenAuthenticator("secret"), "secret", *actions)
        assert found.user_id == "admin"
    Principal("ann").check_quality(3)


@pytest.mark.parametrize("action", list(Action))
async def test_a_grant_allows_one_action(action: Action) -> None:
    others = set(Action) - {action}
    assert (await authenticate(Bearers(), action, action)).grant == grant(action)
    assert (await authenticate(Bearers(), action, *Action)).grant == grant(action)
    for refused in ((), *((other,) for other in others), tuple(others)):
        with pytest.raises(Forbidden):
            await authenticate(Bearers(), action, *refused)


async def test_a_credential_that_is_not_valid_is_refused_before_the_action() -> None:
    with pytest.raises(Unauthorized):
        await authenticate(Bearers(), None, Action.UPLOAD)
