from pathlib import Path

from tests.lading.commands.conftest import Shell

MB = 2**20


def test_sizes_and_numbers_of_directories(shell: Shell, movie: Path) -> None:
    for directory in ("du", "du/a", "du/a/deep", "du-not"):
        shell.put(movie, "--directory", directory)
    whole = [f"{3 * MB}\t3\tdu", f"{2 * MB}\t2\tdu/a", f"{MB}\t1\tdu/a/deep"]
    assert shell.lines("du", "du") == whole
    assert shell.lines("du", "du/") == whole
    assert shell.lines("du", "du", "--depth", "0") == whole[:1]
    assert shell.events("du", "du", "-d", "1")[1] == {
        "directory": "du/a",
        "size": 2 * MB,
        "files": 2,
    }
    assert shell.lines("du")[0].endswith("\t/")


def test_of_nothing(shell: Shell) -> None:
    assert shell.lines("du", "du-nothing") == ["0\t0\tdu-nothing"]
