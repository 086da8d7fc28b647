import asyncio
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process
from tests.support.wire import channel


def test_files_are_deleted(shell: Shell, movie: Path) -> None:
    made = [shell.put(movie, "--name", f"rm-{number}") for number in range(2)]
    names = [f"{each} rm-{number}" for number, each in enumerate(made)]
    assert shell.lines("rm", *made) == names
    assert shell.lines("ls", "--name", "rm-") == []


def test_json(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "rm-json")
    assert shell.events("rm", made) == [{"event": "deleted", "id": made, "name": "rm-json"}]


def test_unfinished_uploads_are_deleted(shell: Shell, server: Process) -> None:
    async def begin() -> str:
        async with channel(server) as wire:
            return str((await wire.create(0, 10, name="rm-unfinished"))["id"])

    made = asyncio.run(begin())
    assert shell.lines("rm", made) == [f"{made} rm-unfinished"]
    assert shell.lines("ls", "--uploads", "--name", "rm-unfinished") == []


def test_one_that_fails_does_not_stop_the_others(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "rm-last")
    result = shell.run("rm", "0" * 24, made)
    assert result.exit_code == 1
    assert result.stdout == f"{made} rm-last\n"
    assert "There is no upload or file" in result.stderr


def test_a_name_is_told_where_ids_are_found(shell: Shell) -> None:
    result = shell.run("rm", "film.mp4")
    assert result.exit_code == 2
    assert "`lading ls` and `lading ls --uploads` print the ids." in result.stderr


def test_the_root_is_refused_in_words_of_the_command(shell: Shell, movie: Path) -> None:
    kept = shell.put(movie, "--name", "rm-root")
    result = shell.run("rm", "--directory", "/")
    assert result.exit_code == 2
    assert "The root cannot be deleted." in result.stderr
    assert "/v1/files" not in result.stderr
    assert shell.lines("rm", kept) == [f"{kept} rm-root"]


def test_a_directory(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--directory", "doomed")
    shell.put(movie, "--directory", "doomed/inner")
    kept = shell.put(movie, "--directory", "doomed-not")
    assert shell.lines("rm", "--directory", "doomed") == ["2 files deleted"]
    assert shell.lines("rm", kept) == [f"{kept} doomed-not/{movie.name}"]
    assert shell.run("rm").exit_code == 2


def test_by_path_and_by_address(shell: Shell, server: Process, movie: Path) -> None:
    first = shell.put(movie, "--directory", "by/path")
    assert shell.lines("rm", f"by/path/{movie.name}") == [f"{first} by/path/{movie.name}"]
    second = shell.put(movie, "--directory", "by/path")
    url = f"{server.url}/v1/files/{second}"
    assert shell.lines("rm", url) == [f"{second} by/path/{movie.name}"]
    assert shell.run("rm", "https://elsewhere.example/v1/g/lg_x").exit_code == 2


def test_a_directory_is_deleted_only_when_told(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--directory", "rm-tree/inner")
    assert shell.run("rm", "rm-tree").exit_code == 2
    dry = ["rm", "-r", "rm-tree", "--dry-run"]
    assert shell.lines(*dry) == ["would delete 1 file"]
    assert shell.lines("rm", "-r", "rm-tree") == ["1 file deleted"]
    assert shell.run("rm", "-r", "rm-tree").exit_code == 2


def test_a_dry_run_deletes_nothing(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "rm-dry")
    assert shell.lines("rm", made, "-n") == [f"would delete {made} rm-dry"]
    assert shell.lines("rm", made) == [f"{made} rm-dry"]


def test_on_a_terminal_it_asks(shell: Shell, movie: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("lading.commands.rm.confirmed", answer)
    made = shell.put(movie, "--name", "rm-asked")
    assert shell.run("rm", made).exit_code == 1
    assert asked == ["Delete rm-asked?"]
    assert shell.lines("rm", made, "--yes") == [f"{made} rm-asked"]
    assert len(asked) == 1
