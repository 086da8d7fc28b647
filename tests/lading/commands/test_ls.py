from pathlib import Path

from tests.lading.commands.conftest import Shell


def test_lines_for_programs(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "ls-1.mp4", "--directory", "d")
    (line,) = shell.lines("ls", "--name", "ls-1")
    file_id, size, kind, created, name = line.split("\t")
    assert (file_id, size, kind, name) == (made, str(2**20), "video/mp4", "d/ls-1.mp4")
    assert created.endswith("Z")


def test_filters(shell: Shell, movie: Path) -> None:
    first = shell.put(movie, "--name", "ls-2.mp4", "--directory", "ls-d", "--tag", "a")
    both = shell.put(movie, "--name", "ls-3.mp4", "--directory", "ls-d", "--tag", "a", "--tag", "b")

    def found(*options: str) -> list[str]:
        return [line.split("\t")[0] for line in shell.lines("ls", *options)]

    assert found("--directory", "ls-d") == [both, first]
    assert found("--directory", "ls-d", "--tag", "a", "--tag", "b") == [both]
    assert found("--name", "ls-2") == [first]
    assert found("--name", "nothing") == []


def test_json(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "ls-4.mp4")
    (manifest,) = shell.events("ls", "--name", "ls-4")
    assert (manifest["_id"], manifest["state"], manifest["size"]) == (made, "ready", 2**20)
    assert shell.events("ls", "--name", "nothing") == []


def test_a_name_cannot_act_on_the_terminal(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--name", "ls-5\x1b]0;x\x07\n")
    (line,) = shell.lines("ls", "--name", "ls-5")
    assert line.endswith("\tls-5\\x1b]0;x\\x07\\n")
