import filecmp
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process

OLD = 1_600_000_000
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
    ids = {"id": made, "name": "json.mp4"}
    assert done == {"event": "complete", "file": made, "path": "json.mp4", **ids}


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


def test_a_directory_comes_with_all_that_is_in_it(
    shell: Shell, movie: Path, tmp_path: Path
) -> None:
    shell.put(movie, "--directory", "get-dir", "--name", "x.mp4")
    shell.put(movie, "--directory", "get-dir/in", "--name", "y.mp4")
    shell.put(movie, "--directory", "get-dir-not", "--name", "z.mp4")
    result = shell.run("get", "get-dir")
    assert result.exit_code == 0, result.output
    assert sorted(result.stdout.split()) == ["get-dir/in/y.mp4", "get-dir/x.mp4"]
    assert (tmp_path / "get-dir" / "in" / "y.mp4").read_bytes() == movie.read_bytes()
    again = shell.run("get", "get-dir/")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "0 downloaded, 2 already here" in again.stderr
    (tmp_path / "out").mkdir()
    shell.run("get", "get-dir/in", "-o", "out")
    assert (tmp_path / "out" / "in" / "y.mp4").exists()
    assert shell.run("get", "get-dir", "-o", "-").exit_code == 2


def test_what_was_changed_here_is_not_replaced_unless_told(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--directory", "get-mine", "--name", "x.mp4")
    shell.run("get", "get-mine")
    Path("get-mine/x.mp4").write_text("mine")
    result = shell.run("get", "get-mine")
    assert (result.exit_code, "already exists" in result.stderr) == (1, True)
    assert Path("get-mine/x.mp4").read_text() == "mine"
    assert shell.run("get", "get-mine", "--force").exit_code == 0
    assert Path("get-mine/x.mp4").read_bytes() == movie.read_bytes()


def test_directories_that_want_out(shell: Shell, movie: Path, tmp_path: Path) -> None:
    shell.put(movie, "--directory", "get-evil/../../up", "--name", "../x.mp4")
    inside = tmp_path / "inside"
    inside.mkdir()
    result = shell.run("get", "get-evil", "-o", inside)
    assert result.exit_code == 0, result.output
    assert list(tmp_path.rglob("x.mp4")) == [inside / "get-evil" / "_" / "_" / "up" / "x.mp4"]


def test_of_files_with_one_path_the_newest_comes(shell: Shell, movie: Path) -> None:
    older = shell.put(movie, "--directory", "get-twice", "--name", "x.mp4")
    movie.write_bytes(b"no magic, newer")
    shell.put(movie, "--directory", "get-twice", "--name", "x.mp4")
    result = shell.run("get", "get-twice")
    assert f"left out: {older} get-twice/x.mp4" in result.stderr
    assert Path("get-twice/x.mp4").read_bytes() == b"no magic, newer"


def test_the_time_of_the_file_is_kept_and_restored(shell: Shell, movie: Path) -> None:
    os.utime(movie, ns=(10**18, 1_234_567_890_123_456_789))
    for number, options in enumerate(([], ["--protocol", "http"], ["--protocol", "tus"])):
        made = shell.put(movie, "--name", f"timed-{number}.mp4", *options)
        assert shell.events("status", made)[0]["modified_at"] == "2009-02-13T23:31:30.123Z"
        shell.lines("get", made)
        assert Path(f"timed-{number}.mp4").stat().st_mtime_ns == 1_234_567_890_123_000_000
    small = movie.with_name("small-timed.txt")
    small.write_text("small")
    os.utime(small, (OLD, OLD))
    shell.put(small)
    shell.lines("get", "small-timed.txt", "--force")
    assert Path("small-timed.txt").stat().st_mtime == OLD


def test_links(shell: Shell, server: Process, movie: Path, tmp_path: Path) -> None:
    made = shell.put(movie, "--name", "linked.mp4")
    (line,) = shell.lines("token", "--download", made)
    link = line.split()[1]
    shell.environ |= {"LADING_URL": None, "LADING_TOKEN": None}  # a link needs neither
    assert shell.lines("get", link) == ["linked.mp4"]
    assert (tmp_path / "linked.mp4").read_bytes() == movie.read_bytes()
    result = shell.run("get", link[:-1] + "x", "-o", "no.mp4")
    assert result.exit_code == 3, result.output
    assert "Ask for a new link." in result.stderr
    assert "LADING_TOKEN" not in result.stderr
    shell.environ |= {"LADING_URL": server.url, "LADING_TOKEN": server.token}
    own = f"{server.url}/v1/files/{made}"
    assert shell.lines("get", own, "-o", "own.mp4") == ["own.mp4"]
    assert shell.run("get", f"{server.url}/livez").exit_code != 0


def test_a_dry_run_fetches_nothing(shell: Shell, movie: Path, tmp_path: Path) -> None:
    shell.put(movie, "--directory", "get-dry", "--name", "x.mp4")
    assert shell.lines("get", "get-dry/x.mp4", "-n") == ["would download get-dry/x.mp4 (1.0 MB)"]
    assert shell.run("get", "get-dry", "-n").stdout == "would download get-dry/x.mp4 (1.0 MB)\n"
    assert not (tmp_path / "get-dry").exists()
