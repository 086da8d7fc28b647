import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lading.commands.common import worst
from tests.lading.commands.conftest import Shell


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([4, 4, 0], 4), ([3, 4], 1), ([1, 0, 2], 1)],
)
def test_one_exit_code_for_many(codes: list[int], code: int) -> None:
    assert worst(codes) == code


def test_a_token_that_cannot_be_one_is_not_shown(shell: Shell) -> None:
    result = shell.run("--token", "bad\ntok", "ls")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("lading: The token contains a space, a line break")
    assert "tok\n" not in result.stderr
    assert "bad" not in result.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_output_that_is_full(
    program: dict[str, str], shell: Shell, movie: Path, options: tuple[str, ...]
) -> None:
    movie.write_bytes(os.urandom(100))  # which a buffer holds until the program's end
    made = shell.put(movie)
    here = movie.with_name("here")
    here.mkdir()
    own = {**program, "PYTHONUNBUFFERED": ""}
    fetch = ("get", made, *(() if options else ("-o", "-")))
    for command in [("put", str(movie)), ("ls",), ("status",), ("usage",), fetch, ("rm", made)]:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "lading", *command, *options],
                env=own, cwd=here, stdout=full, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
        *_, last = done.stderr.decode().splitlines()
        assert done.returncode == 1, command
        assert last.endswith("The output cannot be written: No space left on device."), command
        assert "Traceback" not in done.stderr.decode(), command


def test_a_server_that_does_not_answer_is_waited_for_aloud(program: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        child = subprocess.Popen(
            [sys.executable, "-m", "lading", "ls"],
            env={**program, "LADING_URL": url}, stderr=subprocess.PIPE,
        )  # fmt: skip
        with child:
            try:
                assert child.stderr is not None
                assert select.select([child.stderr], [], [], 20)[0]
                said = child.stderr.readline()
            finally:
                child.kill()
    assert said == f"lading: waiting for {url} to answer.\n".encode()
