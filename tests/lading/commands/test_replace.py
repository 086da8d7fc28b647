"""`lading put --replace`, small and large, and its `SyncClient`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell


@pytest.mark.parametrize("size", [10, 2**20 + 3])
def test_a_file_is_replaced(shell: Shell, movie: Path, tmp_path: Path, size: int) -> None:
    made = shell.put(movie, "--name", f"re-{size}", "--directory", "re", "--tag", "kept")
    other = tmp_path / "other.bin"
    other.write_bytes(b"r" * size)
    (line,) = shell.lines("put", other, "--replace", f"re/re-{size}")
    assert line.split()[0] == made
    assert line.endswith(f" re/re-{size}")
    shell.lines("get", made, "-o", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == other.read_bytes()
    assert shell.lines("tag", made) == [f"{made} re/re-{size}: kept"]
    (event,) = [each for each in shell.events("put", other, "--replace", made) if "id" in each]
    assert (event["id"], event["skipped"]) == (made, True), "it has these bytes already"
    assert shell.lines("ls", "--uploads", "--name", "re-") == []


def test_what_it_does_not_go_with(shell: Shell, movie: Path, tmp_path: Path) -> None:
    made = shell.put(movie, "--name", "re-alone")
    assert shell.run("put", movie, "--replace", made, "--name", "x").exit_code == 2
    assert shell.run("put", movie, movie, "--replace", made).exit_code == 2
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"a")
    result = shell.run("put", tmp_path / "folder", "--replace", made)
    assert result.exit_code == 2
    assert "--replace cannot be used with a directory." in result.stderr
    assert shell.run("put", movie, "--replace", "re-none").exit_code == 2
