"""Where the files of a directory go."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lading.commands.remote_files import RemoteFile, arranged
from tests.lading.commands.test_sync_plan import NOW, remote

OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_the_directory_keeps_its_own_name() -> None:
    found = arranged([remote("a"), remote("in/b")], "top")
    assert [each.place for each in found.files] == [("top", "a"), ("top", "in", "b")]
    assert [each.place for each in arranged([remote("in/b")], "top/in").files] == [("in", "b")]
    assert [each.place for each in arranged([remote("a")], "").files] == [("top", "a")]


def test_no_part_leads_out() -> None:
    evil = replace(remote("a"), directory="top/../.ssh/..", name="..")
    ((_, *parts, last),) = (each.place for each in arranged([evil], "top").files)
    assert parts == ["_", "_ssh", "_"]
    assert last == evil.id
    assert not any(part in ("..", ".") or "/" in part for part in (*parts, last))


def test_the_newest_of_one_path_is_fetched() -> None:
    newest, older, other = (
        remote("A", number=3),
        remote("a", number=2),
        remote("b", number=1),
    )
    found = arranged([newest, older, other], "top")
    assert [each.file for each in found.files] == [newest, other]
    assert found.left_out == [f"{older.id} top/a has the path of a newer file."]


def test_what_is_here_already(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = RemoteFile(replace(remote("a"), sha256=OF_HELLO), ("a",))
    assert not file.is_at(path)
    path.write_bytes(b"hello")
    assert file.is_at(path)  # by its SHA-256
    path.write_bytes(b"HELLO")
    assert not file.is_at(path)
    at = int(NOW.timestamp() * 1000) * 10**6
    os.utime(path, ns=(at, at + 999_999))
    assert file.is_at(path)  # by size and time
    path.write_bytes(b"longer")
    os.utime(path, ns=(at, at))
    assert not file.is_at(path)
    path.unlink()
    path.mkdir()
    assert not file.is_at(path)


def test_a_time_before_1970(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    old = replace(remote("a"), modified_at=datetime(1960, 1, 1, tzinfo=UTC), sha256=None)
    os.utime(path, (-315_619_200, -315_619_200))
    assert RemoteFile(old, ("a",)).is_at(path)
