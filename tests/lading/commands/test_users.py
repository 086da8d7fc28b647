"""An admin who acts for other users, and the list of users."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell


def names(shell: Shell, *arguments: str) -> list[str]:
    return [each["name"] for each in shell.events("ls", *arguments)]


@pytest.mark.parametrize("size", [1000, 2_000_000])
def test_an_admin_uploads_for_a_user(shell: Shell, tmp_path: Path, size: int) -> None:
    user = f"for-{size}"
    path = tmp_path / f"{user}.bin"
    path.write_bytes(b"no magic" + os.urandom(size))
    made = shell.put(path, "--user", user)
    assert names(shell, "--user", user) == [path.name]
    assert names(shell, "--name", path.name) == []  # of the admin's own
    again = shell.run("put", path, "--user", user)
    assert "is already stored" in again.stderr
    assert shell.lines("usage", "--user", user) == [f"{user}\t{size + 8}\t0\tnone"]
    assert shell.lines("get", path.name, "--user", user, "-o", "back") == ["back"]
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert shell.events("status", made)[0]["user_id"] == user
    assert shell.lines("rm", made) == [f"{made} {path.name}"]


def test_an_admin_deletes_a_directory_of_a_user(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--user", "rm-ann", "--directory", "d")
    assert shell.lines("rm", "--directory", "d", "--user", "rm-bob") == ["0 files deleted"]
    assert shell.lines("rm", "--directory", "d", "--user", "rm-ann") == ["1 file deleted"]


def test_users_are_listed_and_deleted(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--user", "gone-jo")
    size = movie.stat().st_size
    assert f"gone-jo\t{size}\t0\tnone" in shell.lines("users")
    assert {"user_id": "gone-jo", "used": size, "reserved": 0, "quota": None} in shell.events(
        "users"
    )
    assert shell.lines("users", "rm", "gone-jo", "--yes") == [
        "gone-jo: 1 file, 0 unfinished uploads, 0 tags, 0 grants deleted"
    ]
    assert names(shell, "--user", "gone-jo") == []
    assert not [line for line in shell.lines("users") if line.startswith("gone-jo\t")]


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_a_terminal_is_asked_first(program: dict[str, str], answer: bytes, code: int) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lading", "users", "rm", "asked-jo"]
    subprocess.run(
        [sys.executable, "-m", "lading", "put", __file__, "--user", "asked-jo"],
        env=program,
        check=True,
        capture_output=True,
    )
    child = subprocess.Popen(
        command, env=program, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, answer)
    with child:
        assert child.wait(30) == code
        assert child.stderr is not None
        assert b"Delete asked-jo with all files? [y/N]" in child.stderr.read()
    os.close(ours)


def test_without_a_terminal_nobody_is_deleted_by_a_slip(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--user", "kept-jo")
    refused = shell.run("users", "rm", "kept-jo")
    assert refused.exit_code == 2
    assert "say --yes" in refused.stderr
    assert names(shell, "--user", "kept-jo") == [movie.name]


def test_a_user_who_has_nothing_is_reported(shell: Shell) -> None:
    refused = shell.run("users", "rm", "nobody", "--yes")
    assert (refused.exit_code, refused.stderr) == (1, "lading: nobody has nothing here.\n")


def test_the_user_is_named_once(shell: Shell) -> None:
    assert shell.run("usage", "ann", "--user", "bob").exit_code == 2


def test_others_may_not(shell: Shell) -> None:
    shell.environ["LADING_TOKEN"] = shell.lines("token", "--upload")[0].split(" ")[0]
    assert shell.run("users").exit_code == 3
    assert shell.run("ls", "--user", "ann").exit_code == 3
