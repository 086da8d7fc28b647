"""The admin token in the data directory."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from lading.server.access.grants import is_token
from lading.server.access.kept_secrets import ServerSecret, admin_token


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


def test_the_server_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first, again = ServerSecret.of(tmp_path), ServerSecret.of(tmp_path)
    assert first.mac("a", "b") == again.mac("a", "b")
    assert (tmp_path / "server-secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "server-secret").write_text("")
    with pytest.raises(ValueError, match="empty"):
        ServerSecret.of(tmp_path)


def test_purposes_and_texts_have_bytes_of_their_own() -> None:
    secret, other = ServerSecret("one"), ServerSecret("two")
    found = {
        secret.mac("a", "b"),
        secret.mac("ab", ""),
        secret.mac("a", "c"),
        secret.mac("b", "b"),
        other.mac("a", "b"),
    }
    assert len(found) == 5
    assert is_token(secret.grant_token("x"))


def test_what_is_sealed_is_read_with_the_same_secret_alone() -> None:
    secret, other = ServerSecret("one"), ServerSecret("two")
    sealed = secret.seal(b"lg_token")
    assert secret.unseal(sealed) == b"lg_token"
    assert secret.seal(b"lg_token") != sealed
    assert other.unseal(sealed) is None
    changed = sealed[:-1] + ("A" if sealed[-1] != "A" else "B")
    for broken in (changed, "", "a.b.c.d.e", sealed[:40]):
        assert secret.unseal(broken) is None


def test_what_is_sealed_may_be_long() -> None:
    """As the answer for a form with many files: the library's own bound is 64 KiB."""
    secret, answer = ServerSecret("one"), bytes(range(256)) * 4096
    assert secret.unseal(secret.seal(answer)) == answer
