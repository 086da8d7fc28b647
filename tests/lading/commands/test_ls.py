import asyncio
import os
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process
from tests.support.wire import channel


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
    assert found("--directory", "ls-d", "--mime-type", "video/mp4") == [both, first]
    assert found("--directory", "ls-d", "--mime-type", "video/*") == [both, first]
    assert found("--directory", "ls-d", "--mime-type", "image/*") == []
    assert found("--directory", "ls-d", "--limit", "1") == [both]
    assert found("--directory", "ls-d", "--limit", "2", "--tag", "b") == [both]


async def test_filters_of_unfinished_uploads(shell: Shell, server: Process) -> None:
    async with channel(server) as wire:
        one = await wire.create(0, 10, name="ls-6.png", directory="ls-u", mime_type="image/png")
        two = await wire.create(1, 10, name="ls-7.mp4", directory="ls-u", mime_type="video/mp4")

    def found(*options: str) -> list[str]:
        lines = shell.lines("ls", "--uploads", "--directory", "ls-u", *options)
        return [line.split("\t")[0] for line in lines]

    def check() -> None:
        assert found() == [two["id"], one["id"]]
        assert found("--limit", "1") == [two["id"]]
        assert found("--mime-type", "image/png") == [one["id"]]
        assert found("--mime-type", "video/*") == [two["id"]]
        assert found("--mime-type", "image/*", "--name", "ls-7") == []

    await asyncio.to_thread(check)


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_is_a_number(shell: Shell, limit: str) -> None:
    assert shell.run("ls", "--limit", limit).exit_code == 2


def test_json(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "ls-4.mp4")
    (manifest,) = shell.events("ls", "--name", "ls-4")
    assert (manifest["_id"], manifest["state"], manifest["size"]) == (made, "ready", 2**20)
    assert shell.events("ls", "--name", "nothing") == []


def test_a_name_cannot_act_on_the_terminal(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--name", "ls-5\x1b]0;x\x07\n")
    (line,) = shell.lines("ls", "--name", "ls-5")
    assert line.endswith("\tls-5\\x1b]0;x\\x07\\n")


def test_directories_and_orders(shell: Shell, movie: Path) -> None:
    sizes = {"ls-o/b.txt": 30, "ls-o/a.bin": 20, "ls-o/in/c.txt": 10}
    for path, size in sizes.items():
        directory, _, name = path.rpartition("/")
        movie.write_bytes(b"x" * size)
        os.utime(movie, (10**9 - size, 10**9 - size))
        shell.put(movie, "--directory", directory, "--name", name)
    b, a, c = sizes

    def listed(*arguments: str) -> list[str]:
        return [line.split("\t")[-1] for line in shell.lines("ls", *arguments)]

    assert listed("ls-o") == listed("ls-o/") == [a, b]
    assert listed("-r", "ls-o") == [c, a, b]
    assert listed("-r", "ls-o", "--sort", "name") == [a, b, c]
    assert listed("-r", "ls-o", "--sort", "size") == [c, a, b]
    assert listed("-r", "ls-o", "--sort", "-size", "--limit", "1") == [b]
    assert listed("-r", "ls-o", "--sort", "modified") == [b, a, c]
    assert listed("-r", "ls-o", "--sort", "created") == [b, a, c]
    assert listed("ls-o", "--sort", "type") == [a, b]
    assert shell.run("ls", "--sort", "weight").exit_code == 2
    assert shell.run("ls", "ls-o", "--directory", "x").exit_code == 2
