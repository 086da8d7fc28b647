import filecmp
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lading.client.source import FileSource
from tests.lading.commands.conftest import Shell
from tests.support.servers import Process

LADING = [sys.executable, "-m", "lading"]


def test_it_prints_the_id_the_url_and_the_path(shell: Shell, server: Process, movie: Path) -> None:
    (line,) = shell.lines("put", movie, "--directory", "shown")
    file_id, url, path = line.split(" ")
    assert url == f"{server.url}/v1/files/{file_id}"
    assert path == f"shown/{movie.name}"


def test_run_again_it_says_that_the_file_is_there(shell: Shell, movie: Path) -> None:
    first = shell.put(movie)
    result = shell.run("put", movie)
    assert result.exit_code == 0
    assert result.stdout.split()[0] == first
    assert result.stderr == f"lading: {movie} is already stored.\n"


def test_a_file_that_is_there_gets_the_tags_that_it_lacks(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "tagged.mp4", "--tag", "a", "--tag", "b")
    again = ("put", movie, "--name", "tagged.mp4", "--tag", "b", "--tag", "c")
    result = shell.run(*again)
    assert result.stderr == f"lading: {movie} is already stored. Its tags were added.\n"
    (found,) = shell.events("ls", "--name", "tagged.mp4")
    assert (found["_id"], found["tags"]) == (made, ["a", "b", "c"])
    assert shell.run(*again).stderr == f"lading: {movie} is already stored.\n"


def test_options(shell: Shell, movie: Path) -> None:
    made = shell.put(
        movie, "--name", "a.mp4", "--directory", "films/old", "--tag", "x", "--tag", "y",
        "--no-sha256",
    )  # fmt: skip
    (found,) = shell.events("ls", "--name", "a.mp4")
    assert found["_id"] == made
    assert (found["directory"], found["tags"]) == ("films/old", ["x", "y"])


def test_json(shell: Shell, server: Process, movie: Path) -> None:
    events = shell.events("put", movie, "--name", "json.mp4")
    *progress, done = events
    assert {event["event"] for event in progress} == {"progress"}
    assert progress[-1]["state"] == "done"
    size = movie.stat().st_size
    assert {key: done[key] for key in ("event", "file", "size", "mime_type", "skipped")} == {
        "event": "complete",
        "file": str(movie),
        "size": size,
        "mime_type": "video/mp4",
        "skipped": False,
    }
    assert done["url"] == f"{server.url}/v1/files/{done['id']}"
    assert (done["bytes_sent"], done["bytes_acknowledged"], done["resumed_from"]) == (size, size, 0)


def test_many_files(shell: Shell, tmp_path: Path) -> None:
    paths = [tmp_path / f"many-{number}" for number in range(5)]
    for path in paths:
        path.write_text(path.name)
    result = shell.run("put", *paths, "--jobs", "3")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 5)
    assert result.stderr.startswith("lading: 5 files: 5 uploaded, 0 already stored, 0 failed; 30 b")
    assert len(shell.lines("ls", "--name", "many-")) == 5
    *done, total = [event for event in shell.events("put", *paths) if event["event"] != "progress"]
    assert {(event["event"], event["skipped"]) for event in done} == {("complete", True)}
    seconds = total.pop("seconds")
    assert seconds > 0
    assert total == {
        "event": "total", "files": 5, "uploaded": 0, "skipped": 5, "failed": 0, "bytes_sent": 0,
    }  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with directories, links, a loop, and what is no file."""
    top = tmp_path / "tree"
    (top / "2024" / "caf\u00e9").mkdir(parents=True)
    for name in ("a.jpg", ".hidden", "2024/b.jpg", "2024/caf\u00e9/c.jpg", "2024/d.tmp"):
        (top / name).write_bytes(b"no magic " + os.urandom(20))
    (top / "link.jpg").symlink_to(top / "a.jpg")
    (top / "2024" / "loop").symlink_to(top)
    os.mkfifo(top / "pipe")
    return top


def stored(shell: Shell, under: str) -> set[str]:
    """The paths on the server below a directory."""
    paths = {f"{each['directory']}/{each['name']}" for each in shell.events("ls")}
    return {path.removeprefix(f"{under}/") for path in paths if path.startswith(f"{under}/")}


def test_a_directory_is_uploaded_with_its_paths(shell: Shell, tree: Path) -> None:
    result = shell.run("put", tree, "--exclude", "*.tmp", "--directory", "base")
    assert result.exit_code == 0
    assert stored(shell, "base") == {
        "tree/a.jpg",
        "tree/.hidden",
        "tree/link.jpg",
        "tree/2024/b.jpg",
        "tree/2024/caf\u00e9/c.jpg",
    }
    *left_out, total = result.stderr.splitlines()
    assert left_out == [
        f"lading: left out: {tree}/pipe is not a regular file.",
        f"lading: left out: {tree}/2024/loop is a link to a directory.",
    ]
    assert total.startswith("lading: 5 files: 5 uploaded,")
    again = shell.run("put", tree, "--exclude", "*.tmp", "--directory", "base")
    assert "lading: 5 files: 0 uploaded, 5 already stored, 0 failed; 0 bytes" in again.stderr


def test_files_and_directories_as_a_pattern_names_them(shell: Shell, tree: Path) -> None:
    (tree / "pipe").unlink()
    result = shell.run("put", *sorted(tree.iterdir()), "--directory", "mixed")
    assert result.exit_code == 0
    found = stored(shell, "mixed")
    assert {"a.jpg", "2024/b.jpg", "2024/caf\u00e9/c.jpg", "2024/d.tmp"} <= found


def test_names_that_are_not_utf_8(shell: Shell, tmp_path: Path) -> None:
    top = os.fsencode(tmp_path) + b"/d\xe9"
    os.mkdir(top)  # noqa: PTH102 - a Path holds no bytes
    for name in (b"a\xe9", b"b"):
        fd = os.open(top + b"/" + name, os.O_CREAT | os.O_WRONLY)
        os.write(fd, name)
        os.close(fd)
    result = shell.run("put", os.fsdecode(top), "--directory", "latin")
    assert result.exit_code == 0, result.output
    bad = "\N{REPLACEMENT CHARACTER}"
    assert stored(shell, "latin") == {f"d{bad}/a{bad}", f"d{bad}/b"}


def test_an_empty_directory(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = shell.run("put", tmp_path / "empty")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "lading: There are no files to upload.\n"


def test_one_file_that_fails_of_many(shell: Shell, tree: Path) -> None:
    (tree / "dangling").symlink_to(tree / "nothing")
    result = shell.run("put", tree, "--directory", "failing")
    assert result.exit_code == 1
    assert f"lading: {tree}/dangling cannot be read: No such file or directory." in result.stderr
    assert "7 files: 6 uploaded, 0 already stored, 1 failed" in result.stderr
    assert result.stdout.count("\n") == 6


def test_a_name_for_a_directory_is_refused(shell: Shell, tree: Path) -> None:
    result = shell.run("put", tree, "--name", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--name cannot be used with a directory." in result.stderr


@pytest.mark.usefixtures("impatient")
def test_without_a_server_not_every_file_waits(shell: Shell, tree: Path) -> None:
    result = shell.run("put", tree, "--server", "http://127.0.0.1:1", "--jobs", "1")
    assert result.exit_code == 1
    assert "6 files: 0 uploaded, 0 already stored, 1 failed, 5 not tried;" in result.stderr


def test_a_file_of_proc(shell: Shell) -> None:
    made = shell.put(Path("/proc/cpuinfo"))
    got = shell.run("get", made, "-o", "-")
    assert b"processor" in got.stdout_bytes


def test_a_file_that_grows_is_said_to(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing.log"
    path.write_bytes(b"no magic" + os.urandom(3_000_000))
    before = path.stat().st_size
    usual = FileSource.digest

    async def grow(self: FileSource, on_hashed: Callable[[int], None]) -> str | None:
        with path.open("ab") as more:
            more.write(b"more")
        return await usual(self, on_hashed)

    monkeypatch.setattr(FileSource, "digest", grow)
    result = shell.run("put", path)
    assert result.exit_code == 0
    assert result.stderr == (
        f"lading: {path} grew during the upload. Its first 3.0 MB were uploaded; 4 bytes were "
        "not.\n"
    )
    made = result.stdout.split()[0]
    assert shell.run("get", made, "-o", "-").stdout_bytes == path.read_bytes()[:before]


def test_a_file_that_changes_is_said_to_and_kept(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rewritten.bin"
    path.write_bytes(b"no magic" + os.urandom(3_000_000))
    usual = FileSource.digest

    async def change(self: FileSource, on_hashed: Callable[[int], None]) -> str | None:
        with path.open("r+b") as file:
            file.write(b"other")
        return await usual(self, on_hashed)

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "digest", change)
        result = shell.run("put", path)
    assert (result.exit_code, result.stdout) == (1, "")
    (kept,) = shell.events("ls", "--uploads", "--name", path.name)
    assert f"changed during the upload. What was stored is kept as upload {kept['_id']}" in (
        result.stderr
    )
    made = shell.put(path)
    assert shell.run("get", made, "-o", "-").stdout_bytes == path.read_bytes()
    shell.lines("rm", kept["_id"])


def test_one_that_fails_does_not_stop_the_others(shell: Shell, movie: Path) -> None:
    result = shell.run("put", "missing", movie, "--name", "x")
    assert result.exit_code == 2  # one name for two files
    result = shell.run("put", "missing", movie)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert "lading: missing cannot be read: No such file or directory.\n" in result.stderr


def test_standard_input(program: dict[str, str], shell: Shell) -> None:
    body = Random(6).randbytes(5_000_000)
    done = subprocess.run(
        [*LADING, "put", "-", "--name", "piped", "--json"],
        input=body, env=program, capture_output=True, check=True,
    )  # fmt: skip
    file = json.loads(done.stdout.splitlines()[-1])
    assert (file["file"], file["size"]) == ("-", len(body))
    assert shell.run("get", file["id"], "-o", "-").stdout_bytes == body


def test_standard_input_from_a_file(program: dict[str, str], movie: Path) -> None:
    with movie.open("rb") as file:
        done = subprocess.run(
            [*LADING, "put", "-", "--json"],
            stdin=file,
            env=program,
            capture_output=True,
            check=True,
        )
    assert json.loads(done.stdout.splitlines()[-1])["size"] == movie.stat().st_size


# -- refusals --------------------------------------------------------------------------------------


def test_a_wrong_token(shell: Shell, movie: Path) -> None:
    result = shell.run("--token", "wrong", "put", movie)
    assert (result.exit_code, result.stdout) == (3, "")
    assert len(result.stderr.splitlines()) == 1
    assert "--token" in result.stderr


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there(shell: Shell, movie: Path) -> None:
    result = shell.run("put", movie, "--server", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (1, "")
    waiting, failed = result.stderr.splitlines()
    assert waiting.startswith(f"lading: {movie}: waiting: The server at http://127.0.0.1:1 cannot")
    assert "cannot be reached: connection refused. Is it running?" in failed


def test_no_server(shell: Shell, movie: Path) -> None:
    shell.environ["LADING_URL"] = None
    result = shell.run("put", movie)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "lading: No server is given. Set LADING_URL, use --server, or run `lading login`.\n"
    )


def test_usage(shell: Shell) -> None:
    for arguments in [("put",), ("put", "a", "--jobs", "0"), ("put", "a", "--wrong"), ("putt",)]:
        assert shell.run(*arguments).exit_code == 2
    assert shell.run("put", __file__, "--tag", "..").exit_code == 2
    for file in (__file__, "-"):
        result = shell.run("put", file, "--name", "")
        assert result.exit_code == 2
        assert "--name is empty." in result.stderr
    for more, said in (
        (("--protocol", "ftp"), "must be one of: ws, http, tus, ietf"),
        (("--protocol", "ws", "--direct"), "cannot be used together"),
    ):
        result = shell.run("put", __file__, *more)
        assert result.exit_code == 2
        assert said in " ".join(result.stderr.split())
    assert shell.run("put", "-", "--protocol", "tus").exit_code == 2


@pytest.mark.parametrize("protocol", ["ws", "http", "tus", "ietf"])
def test_a_protocol_may_be_chosen(
    shell: Shell, server: Process, movie: Path, protocol: str
) -> None:
    result = shell.run("put", movie, "--protocol", protocol, "--name", f"{protocol}.mov", "--json")
    assert result.exit_code == 0, result.stderr
    done = json.loads(result.stdout.splitlines()[-1])
    assert done["event"] == "complete"
    assert done["bytes_sent"] == movie.stat().st_size


def test_an_error_in_json(shell: Shell) -> None:
    result = shell.run("put", "missing", "--json")
    assert result.exit_code == 1
    event = json.loads(result.stdout)
    assert (event["event"], event["file"], event["code"]) == ("error", "missing", "source-failed")


# -- interruptions ---------------------------------------------------------------------------------


def interrupt(
    program: dict[str, str], path: Path, stored: int, how: signal.Signals
) -> tuple[int, bytes]:
    """Stop an upload once so many bytes are stored; gives the exit code and what was said."""
    child = subprocess.Popen(
        [*LADING, "put", str(path), "--json"],
        env=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            if json.loads(line).get("stored", 0) > stored:
                break
        child.send_signal(how)
        return child.wait(20), child.stderr.read()


def test_ctrl_c_leaves_the_upload_resumable(
    program: dict[str, str], shell: Shell, tmp_path: Path
) -> None:
    path, stored = tmp_path / "large.bin", 0
    with path.open("wb") as file:
        file.truncate(2 * 10**9)
    for how in (signal.SIGINT, signal.SIGTERM):
        code, said = interrupt(program, path, stored, how)
        assert code == 4
        assert said == (b"lading: interrupted. Run the same command again to resume.\n")
        (upload,) = shell.events("ls", "--uploads", "--name", "large.bin")
        assert upload["upload_size"] > stored
        stored = upload["upload_size"]
    shell.lines("rm", upload["_id"])


def test_ctrl_c_among_many_files(program: dict[str, str], shell: Shell, tmp_path: Path) -> None:
    top = tmp_path / "interrupted"
    top.mkdir()
    for number in range(200):
        (top / str(number)).write_bytes(b"no magic" + os.urandom(20))
    child = subprocess.Popen(
        [*LADING, "put", str(top)], env=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 4
        total, interrupted = child.stderr.read().decode().splitlines()[-2:]
    assert total.startswith("lading: 200 files: ")
    assert " not tried;" in total
    assert interrupted == "lading: interrupted. Run the same command again to resume."
    result = shell.run("put", top)
    assert result.exit_code == 0
    found = re.search(r"200 files: (\d+) uploaded, (\d+) already stored, 0 failed", result.stderr)
    assert found is not None
    assert int(found[2]) >= 1
    assert len(shell.events("ls", "--directory", "interrupted")) == 200


def test_run_again_it_goes_on(program: dict[str, str], shell: Shell, tmp_path: Path) -> None:
    path, size = tmp_path / "resumed.bin", 400_000_000
    with path.open("wb") as file:
        file.truncate(size)
    child = subprocess.Popen(
        [*LADING, "put", str(path), "--json"], env=program, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            if json.loads(line)["stored"] > 0:
                break
        child.kill()
    *_, done = shell.events("put", path)
    assert done["resumed_from"] > 0
    assert done["bytes_sent"] == size - done["resumed_from"]
    shell.lines("get", done["id"], "-o", "back.bin")
    assert filecmp.cmp(path, tmp_path / "back.bin", shallow=False)
    shell.lines("rm", done["id"])


def test_an_interrupted_pipe_leaves_nothing(program: dict[str, str], shell: Shell) -> None:
    child = subprocess.Popen(
        [*LADING, "put", "-", "--name", "half-a-pipe", "--json"],
        env=program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdin is not None
        child.stdin.write(bytes(9_000_000))
        child.stdin.flush()
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 20
        while not (found and found[0]["upload_size"]):
            assert time.monotonic() < deadline
            found = shell.events("ls", "--uploads", "--name", "half-a-pipe")
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 1
        assert child.stderr is not None
        assert b"An upload from standard input cannot be resumed." in child.stderr.read()
    assert shell.events("ls", "--uploads", "--name", "half-a-pipe") == []


def _waits_for_a_writer(pid: int) -> bool:
    """Whether a thread is opening a pipe: the kernel's name for where it stands."""
    places = [place.read_text() for place in Path(f"/proc/{pid}/task").glob("*/wchan")]
    return "wait_for_partner" in places


def test_a_named_pipe_that_nobody_opens_can_be_left(
    program: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    child = subprocess.Popen(
        [*LADING, "put", str(path)], env=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with child:
        try:
            deadline = time.monotonic() + 20
            while not _waits_for_a_writer(child.pid):
                assert time.monotonic() < deadline
            child.send_signal(signal.SIGINT)
            assert child.wait(20) == 4
        finally:
            child.kill()
        assert child.stderr is not None
        assert child.stderr.read().startswith(b"lading: interrupted.")


# -- terminals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "a folder with a long name " * 5, "ビデオ" * 20])
def test_a_terminal_sees_a_bar(program: dict[str, str], tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "bar.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(Random(8).randbytes(20_000_000))
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*LADING, "put", str(path)],
        env={**program, "TERM": "xterm", "COLUMNS": "120"}, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # how Linux tells that nobody writes to a terminal any more
            break
    os.close(ours)
    with child:
        assert child.wait(20) == 0
        assert child.stdout is not None
        assert b"\x1b" not in child.stdout.read()
    for part in (b"bar.bin", b"20.0/20.0 MB", b"100%"):
        assert part in shown


def test_a_dry_run_tells_what_is_stored_and_sends_nothing(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--directory", "put-dry")
    other = movie.with_name("other.mp4")
    other.write_bytes(b"no magic")
    assert shell.lines("put", movie, other, "--directory", "put-dry", "-n") == [
        f"already stored put-dry/{movie.name}",
        "would upload put-dry/other.mp4 (8 bytes)",
    ]
    assert len(shell.lines("ls", "put-dry")) == 1


def test_a_rate(shell: Shell, movie: Path) -> None:
    began = time.monotonic()
    made = shell.put(movie, "--bwlimit", "1MB", "--name", "slow.mp4", "--protocol", "http")
    other = movie.with_name("second.bin")
    other.write_bytes(os.urandom(2_200_000))
    shell.put(other, "--bwlimit", "1MB")
    assert time.monotonic() - began > 2  # the first piece of each waits for nothing
    assert shell.run("put", movie, "--bwlimit", "0").exit_code == 2
    assert shell.run("put", movie, "--bwlimit", "fast").exit_code == 2
    shell.lines("rm", made)


def test_files_with_an_end(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--expires", "30d", "--name", "ends.mp4")
    (file,) = shell.events("status", made)
    left = datetime.fromisoformat(file["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert shell.run("put", movie, "--expires", "soon").exit_code == 2
