"""Tokens of grants: told apart from other credentials, kept out of the log, honoured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.protocol.errors import Forbidden, Unauthorized
from lading.protocol.grants import Action, Grant
from lading.server.access.authenticate import TokenAuthenticator
from lading.server.access.grants import GrantAuthenticator, is_token, new_token, redact
from lading.server.access.principal import Principal
from lading.storage.collections.grants import Grants
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database

NOW = 4_000_000_000.0


def grant(**changes: object) -> Grant:
    plain = Grant(
        id=new_id(),
        action=Action.UPLOAD,
        user_id="ann",
        minter="site",
        created_at=NOW - 60,
        expires_at=NOW + 60,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def authenticator(database: Database) -> GrantAuthenticator:
    return GrantAuthenticator(Grants(database), TokenAuthenticator("lg_secret"), lambda: NOW)


def test_tokens_have_256_bits_and_are_safe_in_a_url() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(is_token(token) and len(token) == 46 for token in tokens)


@pytest.mark.parametrize(
    "text",
    ["", "lg_", "lg_" + "x" * 42, "lg_" + "x" * 44, "lg_" + "x" * 40 + "a.b", "x" * 46,
     "lg_" + "x" * 43 + "\n", "lg_" + "x" * 40],
)  # fmt: skip
def test_what_is_not_one(text: str) -> None:
    assert not is_token(text)


def test_a_token_is_taken_out_of_what_is_logged() -> None:
    token = new_token()
    assert redact(f"/v1/g/{token}/3") == "/v1/g/lg_.../3"
    assert redact("/v1/files/lg_x") == "/v1/files/lg_x"


async def test_the_bearer_acts_for_the_grants_user(database: Database) -> None:
    minted, token = grant(), new_token()
    await Grants(database).insert(minted, token)
    bearer = await authenticator(database).principal(token)
    assert bearer == Principal("ann", expires=minted.expires_at, grant=minted)
    assert not bearer.admin
    assert not bearer.may_grant


async def test_other_credentials_are_left_to_the_usual_authenticator(database: Database) -> None:
    assert (await authenticator(database).principal("lg_secret")).admin
    for wrong in (None, "x", "lg_x"):
        with pytest.raises(Unauthorized):
            await authenticator(database).principal(wrong)


async def test_a_token_that_nobody_minted_is_no_credential(database: Database) -> None:
    with pytest.raises(Unauthorized):
        await authenticator(database).principal(new_token())


@pytest.mark.parametrize(
    ("changes", "honoured"),
    [
        ({"used": 0}, False),
        ({"used": 1}, True),
        ({"action": Action.DOWNLOAD, "file_id": "a" * 24}, False),
    ],
    ids=["unused", "with an upload", "for a download"],
)
async def test_an_expired_grant_is_good_only_for_what_it_began(
    database: Database, changes: dict[str, object], honoured: bool
) -> None:
    old, token = grant(expires_at=NOW, **changes), new_token()
    await Grants(database).insert(old, token)
    if honoured:
        assert (await authenticator(database).principal(token)).grant == old
    else:
        with pytest.raises(Forbidden):
            await authenticator(database).principal(token)
