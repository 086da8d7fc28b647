"""The data directory: who holds it, where the socket goes, what is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.storage.embedded import data_directory
from lading.storage.embedded.data_directory import DataDirectory
from lading.storage.embedded.mongod import SOCKET_NAME, EmbeddedError

HOLDER = """
import sys
from pathlib import Path
from lading.storage.embedded.data_directory import DataDirectory

directory = DataDirectory(Path(sys.argv[1]))
directory.claim()
directory.socket.touch()
print(directory.socket, flush=True)
input()
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A path that is short enough for a socket; nothing is there yet."""
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        yield Path(folder, "data")


def killed_holder(root: Path) -> Path:
    """Where the socket of a process lay that claimed the directory and was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            address = Path(process.stdout.readline().decode().strip())
            with pytest.raises(EmbeddedError, match=rf"server \(pid {process.pid}\) uses the data"):
                DataDirectory(root).claim()
            assert address.exists()
        finally:
            process.kill()
    return address


def test_layout_and_modes(root: Path) -> None:
    directory = DataDirectory(root / "below")
    directory.claim()
    try:
        private = (root / "below", root / "below" / "db", root / "below" / "run")
        assert {path.stat().st_mode & 0o777 for path in private} == {0o700}
        assert directory.socket == root / "below" / "run" / SOCKET_NAME
        assert (root / "below" / "lock").read_text() == f"{os.getpid()}\n"
    finally:
        directory.release()
    assert (root / "below" / "lock").read_text() == ""
    assert not (root / "below" / "run").exists()


def test_a_directory_that_was_there_keeps_its_mode(root: Path) -> None:
    (root / "db").mkdir(parents=True)
    root.chmod(0o755)
    (root / "db").chmod(0o755)
    directory = DataDirectory(root)
    directory.claim()
    directory.release()
    assert root.stat().st_mode & 0o777 == 0o755
    assert (root / "db").stat().st_mode & 0o777 == 0o700


def test_one_claim_at_a_time(root: Path) -> None:
    first, second = DataDirectory(root), DataDirectory(root)
    first.claim()
    try:
        with pytest.raises(EmbeddedError, match="Another Lading server"):
            second.claim()
        with pytest.raises(RuntimeError):
            first.claim()
        second.release()
        assert first.socket.parent.is_dir()
    finally:
        first.release()
    first.release()
    second.claim()
    second.release()


@pytest.mark.parametrize("name", ["short", "long" * 25])
def test_a_killed_process_frees_it_and_its_socket_place_is_removed(root: Path, name: str) -> None:
    left = killed_holder(root / name)
    assert left.exists()
    directory = DataDirectory(root / name)
    directory.claim()
    try:
        assert not left.exists()
        assert directory.socket.parent.is_dir()
        assert left.parent.exists() == (name == "short")
    finally:
        directory.release()
    assert not os.path.lexists(root / name / "run")


def test_no_place_for_a_socket(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = root / ("long" * 25)
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    directory = DataDirectory(long)
    with pytest.raises(EmbeddedError, match="set TMPDIR"):
        directory.claim()
    assert sorted(path.name for path in long.iterdir()) == ["db", "lock"]


def test_a_directory_that_cannot_be_used(root: Path) -> None:
    root.write_text("a file")
    with pytest.raises(EmbeddedError, match=f"The data directory {root} cannot be used: {root}: "):
        DataDirectory(root).claim()
    with pytest.raises(EmbeddedError, match="Not a directory"):
        DataDirectory(root / "below").claim()


def test_what_is_not_ours_is_not_removed(root: Path) -> None:
    (root / "run").mkdir(parents=True)
    (root / "run" / "precious").touch()
    with pytest.raises(EmbeddedError, match="run: Directory not empty"):
        DataDirectory(root).claim()
    assert (root / "run" / "precious").exists()


def test_the_log_is_read_from_where_it_was_opened(root: Path) -> None:
    root.mkdir()
    directory = DataDirectory(root)
    assert (directory.log_size(), directory.log_since_open()) == (0, "")
    directory.log.write_text("earlier\n")
    with os.fdopen(directory.open_log(), "w") as log:
        log.write("now\n")
    assert directory.log_since_open() == "now\n"
    assert directory.log.read_text() == "earlier\nnow\n"


def test_the_end_of_a_long_log_is_read_in_whole_lines(root: Path) -> None:
    root.mkdir()
    directory = DataDirectory(root)
    with os.fdopen(directory.open_log(), "w") as log:
        log.writelines(f"line {number}\n" for number in range(20_000))
    text = directory.log_since_open()
    assert text.startswith("line ")
    assert text.endswith("line 19999\n")
    assert 60_000 < len(text) <= data_directory.LOG_TAIL


def test_a_large_log_is_put_aside(root: Path) -> None:
    root.mkdir()
    directory = DataDirectory(root, log_limit=10)
    for text in ("the first one", "the second one"):
        with os.fdopen(directory.open_log(), "w") as log:
            log.write(text)
    assert directory.log.read_text() == "the second one"
    assert (root / "mongod.log.1").read_text() == "the first one"
    assert directory.put_log_aside()
    assert (root / "mongod.log.1").read_text() == "the second one"
    assert not directory.put_log_aside()
