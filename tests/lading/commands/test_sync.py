import os
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell

OLD = 1_600_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three files that nobody has touched for years."""
    for name in ("a.txt", "in/b.txt", "in/deep/c.txt"):
        write(tmp_path / "tree" / name, name.encode())
    return tmp_path / "tree"


def write(path: Path, data: bytes, when: float = OLD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))


def remote(shell: Shell, directory: str) -> dict[str, str]:
    """Paths on the server, and the ids there."""
    rows = [line.split("\t") for line in shell.lines("ls", "-r", directory)]
    return {row[-1]: row[0] for row in rows}


def sync(shell: Shell, *arguments: object) -> list[str]:
    result = shell.run("sync", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_only_what_is_new_or_changed_is_sent(shell: Shell, tree: Path) -> None:
    assert len(sync(shell, tree, "sync-1")) == 3
    first = remote(shell, "sync-1")
    assert set(first) == {"sync-1/a.txt", "sync-1/in/b.txt", "sync-1/in/deep/c.txt"}
    assert sync(shell, tree, "sync-1") == []
    write(tree / "in" / "b.txt", b"other bytes", OLD + 5)
    assert len(sync(shell, tree, "sync-1")) == 1
    second = remote(shell, "sync-1")
    assert set(second) == set(first)
    assert {path for path in first if first[path] != second[path]} == {"sync-1/in/b.txt"}
    assert shell.run("get", "sync-1/in/b.txt", "-o", "-").stdout == "other bytes"


def test_bytes_of_the_same_size_are_compared_where_the_time_differs(
    shell: Shell, tree: Path
) -> None:
    sync(shell, tree, "sync-2")
    first = remote(shell, "sync-2")
    write(tree / "a.txt", b"b.txt", OLD + 9)
    os.utime(tree / "in" / "b.txt", (OLD + 9, OLD + 9))  # only touched
    assert len(sync(shell, tree, "sync-2")) == 1
    changed = remote(shell, "sync-2")
    assert changed["sync-2/a.txt"] != first["sync-2/a.txt"]
    assert changed["sync-2/in/b.txt"] == first["sync-2/in/b.txt"]
    (file,) = shell.events("ls", "sync-2/in")
    assert file["modified_at"] == "2020-09-13T12:26:49.000Z"


def test_a_change_that_keeps_size_and_time_needs_checksum(shell: Shell, tree: Path) -> None:
    sync(shell, tree, "sync-3")
    write(tree / "a.txt", b"A.TXT")
    assert sync(shell, tree, "sync-3") == []
    assert len(sync(shell, tree, "sync-3", "--checksum")) == 1


def test_nothing_is_deleted_unless_told(shell: Shell, tree: Path) -> None:
    sync(shell, tree, "sync-4")
    (tree / "a.txt").unlink()
    assert sync(shell, tree, "sync-4") == []
    gone = remote(shell, "sync-4")["sync-4/a.txt"]
    dry = sync(shell, tree, "sync-4", "--delete", "--dry-run")
    assert dry == [f"would delete {gone} sync-4/a.txt"]
    assert "sync-4/a.txt" in remote(shell, "sync-4")
    assert sync(shell, tree, "sync-4", "--delete") == [f"deleted {gone} sync-4/a.txt"]
    assert "sync-4/a.txt" not in remote(shell, "sync-4")


def test_a_dry_run_sends_nothing(shell: Shell, tree: Path) -> None:
    assert sync(shell, tree, "sync-5", "-n") == [
        f"would upload sync-5/{name}" for name in ("a.txt", "in/b.txt", "in/deep/c.txt")
    ]
    assert remote(shell, "sync-5") == {}
    sync(shell, tree, "sync-5")
    write(tree / "a.txt", b"more bytes")
    assert sync(shell, tree, "sync-5", "-n") == ["would replace sync-5/a.txt"]


def test_what_is_excluded_is_left_alone_on_both_sides(shell: Shell, tree: Path) -> None:
    sync(shell, tree, "sync-6")
    (tree / "in" / "b.txt").unlink()
    write(tree / "new.tmp", b"x")
    assert sync(shell, tree, "sync-6", "--delete", "--exclude", "in", "--exclude", "*.tmp") == []
    assert "sync-6/in/b.txt" in remote(shell, "sync-6")


def test_where_a_directory_cannot_be_read_nothing_is_deleted(
    shell: Shell, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(shell, tree, "sync-7")
    usual = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return usual(path)

    monkeypatch.setattr("lading.commands.local_files.os.scandir", scandir)
    result = shell.run("sync", tree, "sync-7", "--delete")
    assert result.exit_code == 1
    assert "nothing was deleted" in result.stderr
    assert len(remote(shell, "sync-7")) == 3


def test_older_files_of_one_path_are_replaced_together(shell: Shell, tree: Path) -> None:
    for text in ("one", "three"):
        write(tree / "a.txt", text.encode())
        shell.put(tree / "a.txt", "--directory", "sync-8")
    assert len(shell.lines("ls", "sync-8")) == 2
    write(tree / "a.txt", b"seven", OLD + 1)
    sync(shell, tree, "sync-8")
    assert len(shell.lines("ls", "sync-8")) == 1


def test_json(shell: Shell, tree: Path) -> None:
    events = shell.events("sync", tree, "sync-9")
    assert [each["event"] for each in events if each["event"] != "progress"] == [
        "complete",
        "complete",
        "complete",
        "total",
    ]


def test_what_is_no_directory(shell: Shell, tree: Path) -> None:
    assert shell.run("sync", tree / "a.txt", "x").exit_code == 2
    assert shell.run("sync", tree / "nothing", "x").exit_code == 2
