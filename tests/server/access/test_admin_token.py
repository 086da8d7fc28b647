"""The admin token in the data directory."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from lading.server.access.admin_token import admin_token


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
