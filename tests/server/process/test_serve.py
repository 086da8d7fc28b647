"""What the process of `lading serve` does around the application: its note, its log, its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

import pytest

from lading import Client
from lading.server.process.serve import FAILED, Note
from lading.server.settings import load
from tests.support.missing import missing
from tests.support.servers import PROGRAM, inside, process

Mount = Callable[[Path, str], None]

# -- server.json


def test_a_second_server_in_the_same_data_directory_leaves_the_note_of_the_first(
    tmp_path: Path,
) -> None:
    with process(tmp_path, None) as first:
        note = (tmp_path / "server.json").read_bytes()
        own = {"LADING_PORT": "0", "LADING_DATA": str(tmp_path)}
        second = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=os.environ | own, capture_output=True, check=False
        )
        assert second.returncode == FAILED
        assert first.child.poll() is None
        assert (tmp_path / "server.json").read_bytes() == note
    assert not (tmp_path / "server.json").exists()


async def test_a_server_with_a_public_address_is_found_on_its_machine_without_it(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name may not be known yet, nor lead back here; only people are told of it."""
    public = "https://lading.invalid/files"
    async with inside(tmp_path, database_url, public_url=public) as server:
        note = json.loads((tmp_path / "server.json").read_text())
        assert note["url"].startswith("http://127.0.0.1:")
        async with Client(note["url"], note["token"]) as client:
            assert (await client.usage()).used == 0
        assert f"page    {public}/?token={server.token}" in capsys.readouterr().out


def test_a_note_that_another_server_wrote_meanwhile_stays(tmp_path: Path) -> None:
    """Two servers on one outside database may share a data directory by mistake."""
    first = Note(load(data=tmp_path), "http://127.0.0.1:1")
    second = Note(load(data=tmp_path), "http://127.0.0.1:2")
    first.write()
    second.write()
    first.remove()
    assert (tmp_path / "server.json").exists()
    second.remove()
    assert not (tmp_path / "server.json").exists()


# -- the log


def test_a_variable_that_is_no_setting_is_in_the_log(tmp_path: Path, database_url: str) -> None:
    with process(tmp_path, database_url, upload_tlt="1h", workers=2) as server:
        told = [line for line in server.log.read_text().splitlines() if "unknown-setting" in line]
    (line,) = map(json.loads, told)
    assert line["name"] == "LADING_UPLOAD_TLT"
    assert line["level"] == "warning"


FAULTY = """
import logging
from lading.server.process.serve import configure_log

configure_log()
token = "-".join(("lg", "secret"))
try:
    {}["what"]
except KeyError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
"""


def test_the_trace_of_a_fault_that_uvicorn_logs_is_in_the_log() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FAULTY], capture_output=True, text=True, check=True
    )
    (line,) = ended.stdout.splitlines()
    told = json.loads(line)
    assert told["level"] == "error"
    assert "Traceback" in told["exception"]
    assert "KeyError: 'what'" in told["exception"]
    assert "exc_info" not in told
    assert "lg-secret" not in line


def all_of(terminal: FileIO) -> Iterator[bytes]:
    """What was written to a terminal that is closed on the other side: it comes in parts."""
    with suppress(OSError):  # its end
        while part := terminal.read(65_536):
            yield part


def test_on_a_terminal_the_trace_is_for_people() -> None:
    above, below = os.openpty()
    with os.fdopen(above, "rb", buffering=0) as terminal:
        command = [sys.executable, "-W", "error", "-c", FAULTY]
        subprocess.run(command, stdout=below, check=True)
        os.close(below)
        shown = b"".join(all_of(terminal))
    assert b"Exception in ASGI application" in shown
    assert b"KeyError" in shown
    assert b"lg-secret" not in shown
    assert not shown.startswith(b"{")


# -- a directory that cannot keep files


def refused(tmp_path: Path, database_url: str, home: Path) -> str:
    """What a server says that ends at its start, because of its home."""
    own = {"LADING_PORT": "0", "LADING_DATA": str(tmp_path / "data")}
    own |= {"LADING_DATABASE_URL": database_url, "LADING_BLOBS": f"file://{home}"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == FAILED
    (line,) = ended.stderr.splitlines()
    assert f"LADING_BLOBS=file://{home}: " in line
    return line


@pytest.mark.parametrize("what", ["a file", "a link", "in nothing"])
def test_a_home_that_is_no_directory_ends_the_server_with_one_line(
    tmp_path: Path, database_url: str, what: str
) -> None:
    home = tmp_path / "files"
    if what == "a file":
        home.write_text("")
    elif what == "a link":
        (tmp_path / "real").mkdir()
        home.symlink_to(tmp_path / "real")
    else:
        home = home / "below"
    assert refused(tmp_path, database_url, home)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small disk on a folder, until the end of the test."""
    done: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode:
            missing(f"no disk can be mounted here: {told.stderr}")
        done.append(folder)

    yield mount
    for folder in done:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_cannot_be_written_is_named(
    tmp_path: Path, database_url: str, mounted: Mount
) -> None:
    home = tmp_path / "files"
    mounted(home, "ro,size=1m")
    assert "Read-only file system" in refused(tmp_path, database_url, home)


def test_files_on_another_disk_than_what_arrives_are_refused(
    tmp_path: Path, database_url: str, mounted: Mount
) -> None:
    home = tmp_path / "files"
    mounted(home / "private", "size=1m")
    assert "on another file system than incoming" in refused(tmp_path, database_url, home)
