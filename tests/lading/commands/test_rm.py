import asyncio
from pathlib import Path

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process
from tests.support.wire import channel


def test_files_are_deleted(shell: Shell, movie: Path) -> None:
    made = [shell.put(movie, "--name", f"rm-{number}") for number in range(2)]
    assert shell.lines("rm", *made) == made
    assert shell.lines("ls", "--name", "rm-") == []


def test_json(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "rm-json")
    assert shell.events("rm", made) == [{"event": "deleted", "id": made}]


def test_unfinished_uploads_are_deleted(shell: Shell, server: Process) -> None:
    async def begin() -> str:
        async with channel(server) as wire:
            return str((await wire.create(0, 10, name="rm-unfinished"))["id"])

    made = asyncio.run(begin())
    assert shell.lines("rm", made) == [made]
    assert shell.lines("ls", "--uploads", "--name", "rm-unfinished") == []


def test_one_that_fails_does_not_stop_the_others(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "rm-last")
    result = shell.run("rm", "0" * 24, made)
    assert result.exit_code == 1
    assert result.stdout == f"{made}\n"
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
    assert shell.lines("rm", kept) == [kept]


def test_a_directory(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--directory", "doomed")
    shell.put(movie, "--directory", "doomed/inner")
    kept = shell.put(movie, "--directory", "doomed-not")
    assert shell.lines("rm", "--directory", "doomed") == ["2 files deleted"]
    assert shell.lines("rm", kept) == [kept]
    assert shell.run("rm").exit_code == 2
