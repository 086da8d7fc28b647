"""From a credential to a principal."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from lading.protocol.errors import NotFound, Unauthorized
from lading.protocol.manifest import Manifest
from lading.server.access.principal import (
    OpenAuthenticator,
    Principal,
    TokenAuthenticator,
    admin_token,
)


def owned_by(user_id: str) -> Manifest:
    return Manifest(
        id="0" * 24,
        user_id=user_id,
        name="a",
        size=0,
        chunk_size=1024,
        created_at=0,
        updated_at=0,
        expires_at=None,
    )


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


def test_what_is_anothers_does_not_exist() -> None:
    mine = owned_by("ann")
    assert Principal("ann").check_owner(mine, mine.id) is mine
    with pytest.raises(NotFound) as others:
        Principal("bob").check_owner(mine, mine.id)
    with pytest.raises(NotFound) as absent:
        Principal("bob").check_owner(None, mine.id)
    assert others.value.problem() == absent.value.problem()


def test_an_admin_token_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    token = admin_token(tmp_path)
    assert len(token) >= 43, "256 bits in base64"
    assert admin_token(tmp_path) == token
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert admin_token(tmp_path / "..") != token
    (tmp_path.parent / "admin-token").unlink()


def test_of_servers_that_start_at_once_all_have_one_token(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        tokens = set(pool.map(admin_token, [tmp_path] * 16))
    assert len(tokens) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["admin-token"]
