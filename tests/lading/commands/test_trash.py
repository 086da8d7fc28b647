"""`lading trash`, and how files come there and do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.client.blocking import SyncClient
from lading.client.client import Client
from lading.protocol.errors import InvalidArgument
from tests.lading.commands.conftest import Shell
from tests.support.servers import Process


def in_trash(shell: Shell, prefix: str) -> list[str]:
    rows = [line.split("\t") for line in shell.lines("trash", "ls")]
    return [row[0] for row in rows if row[-1].rpartition("/")[2].startswith(prefix)]


def test_there_and_back(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "tr-1", "--directory", "tr")
    shell.lines("rm", made)
    assert in_trash(shell, "tr-1") == [made]
    assert shell.lines("trash", "restore", "tr/tr-1", "-n") == [f"would restore {made} tr/tr-1"]
    assert shell.lines("trash", "restore", "tr/tr-1") == [f"{made} tr/tr-1"]
    assert in_trash(shell, "tr-1") == []
    assert shell.lines("rm", "-r", "tr") == ["1 file deleted"]
    assert shell.events("trash", "restore", made) == [
        {"event": "restored", "id": made, "name": "tr/tr-1"}
    ]
    assert len(shell.lines("ls", "tr")) == 1


def test_for_good(shell: Shell, movie: Path) -> None:
    made = [shell.put(movie, "--name", f"tr-good-{number}") for number in range(4)]
    shell.lines("rm", "--permanent", made[0])
    shell.lines("rm", *made[1:])
    assert in_trash(shell, "tr-good") == made[:0:-1]
    assert shell.events("trash", "rm", made[1]) == [
        {"event": "deleted", "id": made[1], "name": "tr-good-1"}
    ]
    (dry,) = shell.lines("trash", "empty", "--dry-run")
    assert dry.startswith("would delete ")
    shell.lines("trash", "empty")
    assert shell.lines("trash") == []


def test_what_is_not_there(shell: Shell, movie: Path) -> None:
    two = [shell.put(movie, "--name", "tr-two", "--directory", each) for each in ("a", "b")]
    shell.lines("rm", *two)
    result = shell.run("trash", "restore", "tr-none", "tr-two", two[0])
    assert result.exit_code == 2
    assert result.stdout == f"{two[0]} a/tr-two\n"
    assert "There is no file tr-none in the trash." in result.stderr
    assert "2 files in the trash are called tr-two" in result.stderr


def test_an_older_server_deletes_nothing(
    shell: Shell, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shell.put(movie, "--name", "tr-old")

    async def refuse(*_: object) -> None:
        raise InvalidArgument("Unknown query parameter `trash`; known are none.")

    monkeypatch.setattr(Client, "trash", refuse)
    result = shell.run("rm", made)
    assert result.exit_code == 2
    assert "--permanent deletes for good" in result.stderr
    assert shell.lines("ls", "--name", "tr-old") != []


def test_the_client(server: Process, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"a client's")
    with SyncClient(server.url, server.token, user="trash-client") as client:
        file = client.upload(tmp_path / "c.txt")
        moved = client.trash(file.id)
        assert moved is not None
        assert moved.trashed_at is not None
        assert [each.id for each in client.trashed()] == [file.id]
        assert client.restore(file.id).path == "c.txt"
        assert client.trash(file.id) is not None
        assert client.trash(file.id) is not None, "it is there already"
        assert client.empty_trash() == 1
        assert [*client.trashed()] == []
