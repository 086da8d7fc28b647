import filecmp
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell

LONG = 400_000_000
"""Bytes that take any machine longer than to see that some have come."""


def test_it_comes_under_its_own_name(shell: Shell, movie: Path, tmp_path: Path) -> None:
    made = shell.put(movie, "--name", "copy.mp4")
    assert shell.lines("get", made) == ["copy.mp4"]
    assert (tmp_path / "copy.mp4").read_bytes() == movie.read_bytes()


def test_a_file_is_replaced_only_when_told(shell: Shell, movie: Path, tmp_path: Path) -> None:
    made = shell.put(movie)
    movie.write_text("mine")
    result = shell.run("get", made)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "movie.mp4 already exists. Use --force" in result.stderr
    assert movie.read_text() == "mine"
    shell.lines("get", made, "--force")
    assert movie.stat().st_size == 2**20


def test_elsewhere(shell: Shell, movie: Path, tmp_path: Path) -> None:
    made = shell.put(movie)
    shell.lines("get", made, "-o", tmp_path / "there.mp4")
    assert (tmp_path / "there.mp4").read_bytes() == movie.read_bytes()


def test_to_standard_output(shell: Shell, movie: Path) -> None:
    result = shell.run("get", shell.put(movie), "-o", "-")
    assert result.stdout_bytes == movie.read_bytes()
    assert result.stderr == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_to_an_output_that_gets_full(
    program: dict[str, str], shell: Shell, movie: Path, tmp_path: Path, unbuffered: str
) -> None:
    made = shell.put(movie)
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh"]  # blocks of 512 bytes
    with (tmp_path / "full.bin").open("wb") as output:
        done = subprocess.run(
            [*limited, sys.executable, "-m", "lading", "get", made, "-o", "-"],
            env={**program, "PYTHONUNBUFFERED": unbuffered},
            cwd=tmp_path, stdout=output, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"The output cannot be written: File too large." in done.stderr
    assert b"Traceback" not in done.stderr


def test_several_by_id_and_by_name(shell: Shell, movie: Path, tmp_path: Path) -> None:
    first = shell.put(movie, "--name", "several-1.mp4")
    shell.put(movie, "--name", "several-2.mp4", "--directory", "several")
    (tmp_path / "into").mkdir()
    names = [first, "several/several-2.mp4"]
    assert shell.lines("get", *names, "-o", "into") == ["into/several-1.mp4", "into/several-2.mp4"]
    assert (tmp_path / "into" / "several-2.mp4").read_bytes() == movie.read_bytes()
    assert shell.run("get", *names, "-o", "nowhere").exit_code == 2


def test_one_that_fails_does_not_stop_the_others(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "after-a-failure.mp4")
    result = shell.run("get", "0" * 24, made)
    assert (result.exit_code, result.stdout) == (1, "after-a-failure.mp4\n")


def test_a_name_that_two_files_have(shell: Shell, movie: Path) -> None:
    ids = [shell.put(movie, "--name", "twice.mp4", "--directory", where) for where in ("a", "b")]
    result = shell.run("get", "twice.mp4")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "2 files are called twice.mp4. Choose one by its id: " in result.stderr
    assert all(each in result.stderr for each in ids)
    assert shell.lines("get", "a/twice.mp4") == ["twice.mp4"]


def test_json(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "json.mp4")
    *progress, done = shell.events("get", made)
    assert {event["event"] for event in progress} == {"progress"}
    assert done == {"event": "complete", "file": made, "path": "json.mp4"}


def test_a_name_that_wants_out(shell: Shell, movie: Path, tmp_path: Path) -> None:
    made = shell.put(movie, "--name", "../../../evil.sh")
    assert shell.lines("get", made) == ["evil.sh"]
    assert (tmp_path / "evil.sh").exists()


def test_what_is_not_there(shell: Shell) -> None:
    result = shell.run("get", "0" * 24)
    assert result.exit_code == 1
    assert "There is no upload or file" in result.stderr
    assert shell.run("get", "nonsense").exit_code == 2
    assert shell.run("get", "0" * 24, "-o", "-", "--json").exit_code == 2


def test_ctrl_c_leaves_what_came(program: dict[str, str], shell: Shell, tmp_path: Path) -> None:
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(LONG)
    made = shell.put(tmp_path / "a.bin")
    child = subprocess.Popen(
        [sys.executable, "-m", "lading", "get", made, "-o", "b.bin", "--json"],
        env=program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            if json.loads(line).get("stored", 0) > 0:
                break
        child.send_signal(signal.SIGINT)
        code, said = child.wait(20), child.stderr.read()
    assert code == 4
    assert said == b"lading: interrupted. Run the same command again to resume.\n"
    assert 0 < (tmp_path / f"b.bin.{made}.part").stat().st_size < LONG
    shell.lines("get", made, "-o", "b.bin")
    assert filecmp.cmp(tmp_path / "a.bin", tmp_path / "b.bin", shallow=False)
    shell.lines("rm", made)
