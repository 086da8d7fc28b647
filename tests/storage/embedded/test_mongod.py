"""The search for mongod, its command line, and the reasons read from its output."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lading.storage.embedded.mongod import (
    SMALLEST_CACHE,
    EmbeddedError,
    arguments,
    explain,
    find,
    predecessor,
    serves,
    takes_connections,
)


def program(path: Path, *, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any mongod; what is put into the folder's `bin` is on PATH, what is put
    into its `site` can be imported."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    return tmp_path


def test_the_named_one_comes_first(bare: Path) -> None:
    program(bare / "bin" / "mongod")
    named = program(bare / "elsewhere" / "mongod-8")
    assert find(str(named)) == named


def test_a_name_is_looked_up_on_the_path(bare: Path) -> None:
    other = program(bare / "bin" / "mongod-8")
    assert find("mongod-8") == other


def test_a_relative_path_is_one_from_here(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "bin" / "mongod")
    here = program(bare / "here" / "mongod")
    monkeypatch.chdir(here.parent)
    assert find("./mongod") == here


@pytest.mark.parametrize("name", ["/absent/mongod", "mongod-9", ""])
def test_a_named_one_that_is_absent_is_an_error(bare: Path, name: str) -> None:
    program(bare / "bin" / "mongod")
    with pytest.raises(EmbeddedError, match=f"LADING_MONGOD names {name}, which"):
        find(name)


def test_a_named_one_that_cannot_be_run_is_an_error(bare: Path) -> None:
    named = program(bare / "mongod", mode=0o644)
    with pytest.raises(EmbeddedError, match="which is not a program that may be run"):
        find(str(named))


def test_the_path_comes_before_the_package(bare: Path) -> None:
    program(bare / "site" / "fiftyone" / "db" / "bin" / "mongod")
    system = program(bare / "bin" / "mongod")
    assert find() == system


def test_the_package_is_found_without_importing_it(bare: Path) -> None:
    packaged = program(bare / "site" / "fiftyone" / "db" / "bin" / "mongod", mode=0o644)
    (bare / "site" / "fiftyone" / "__init__.py").write_text("raise AssertionError\n")
    assert find() == packaged
    assert os.access(packaged, os.X_OK)


def test_without_any_the_ways_out_are_told(bare: Path) -> None:
    with pytest.raises(EmbeddedError) as caught:
        find()
    text = str(caught.value)
    assert all(way in text for way in ("lading[embedded]", "LADING_MONGOD", "LADING_DATABASE_URL"))
    assert len(text.splitlines()) == 4


def test_the_socket_is_the_one_mongod_would_open_anyway() -> None:
    paths = {"database": Path("/d/db"), "log": Path("/d/log")}
    words = arguments(
        **paths, address=Path("/d/run/mongodb-27017.sock"), cache_bytes=SMALLEST_CACHE + 2**20
    )
    assert words[words.index("--bind_ip") + 1] == "/d/run/mongodb-27017.sock"
    assert words[words.index("--unixSocketPrefix") + 1] == "/d/run"
    assert words[words.index("--wiredTigerCacheSizeGB") + 1] == "0.251"
    with pytest.raises(ValueError, match=r"mongodb-27017\.sock"):
        arguments(**paths, address=Path("/d/run/other.sock"), cache_bytes=SMALLEST_CACHE)


def test_a_predecessor_is_a_process_with_both_paths(tmp_path: Path) -> None:
    database, log = tmp_path / "db", tmp_path / "mongod.log"
    database.mkdir()
    assert predecessor(database, log) is None
    words = ["--dbpath", str(database), "--logpath", str(log)]
    with subprocess.Popen(
        [sys.executable, "-c", "input(1)", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"1"  # it runs
        (database / "mongod.lock").write_text(f"{process.pid}\n")
        assert predecessor(database, log) == process.pid
        assert not serves(process.pid, database, tmp_path / "another.log")
        assert not serves(process.pid, tmp_path, log)
        process.communicate(b"\n")
    assert predecessor(database, log) is None
    (database / "mongod.lock").write_text(f"{os.getpid()}\n")
    assert predecessor(database, log) is None
    (database / "mongod.lock").write_text("")
    assert predecessor(database, log) is None


def test_a_socket_takes_connections_while_something_listens() -> None:
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        address = Path(folder, "socket")
        assert not takes_connections(address)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(address))
            assert not takes_connections(address)
            server.listen()
            assert takes_connections(address)
        assert not takes_connections(address)


def entry(severity: str, text: str, number: int = 1, **attributes: object) -> str:
    return json.dumps({"s": severity, "id": number, "msg": text, "attr": attributes})


def test_the_reason_is_what_the_log_complains_of() -> None:
    output = "\n".join(
        [
            entry("I", "Options set by command line", error="none"),
            entry("W", "Access control is not enabled"),
            entry("E", "Read failed", error={"code": 1, "errmsg": "bad BSON"}),
            entry("E", "Terminating", error="NonExistentPath: no such folder"),
            entry("E", "Terminating", error="NonExistentPath: no such folder"),
            entry(
                "E",
                "WiredTiger error message",
                error=28,
                message={"msg": "pwrite failed", "error_str": "No space left on device"},
            ),
            entry("F", "Fatal assertion", 23091, msgid=28661),
            entry("F", "\n\n***aborting after fassert() failure\n\n", 23092),
            '{"t":{"$date":"2026-11-21T10:55:32.678+00:00"},"s":"E","msg":"cut off',
            "",
            "Error parsing command line: unrecognised option '--new'",
        ]
    )
    assert explain(output, 14).splitlines() == [
        "mongod ended with exit code 14",
        "  Read failed: bad BSON",
        "  Terminating: NonExistentPath: no such folder",
        "  WiredTiger error message: No space left on device: pwrite failed",
        "  Error parsing command line: unrecognised option '--new'",
    ]


def test_the_reason_is_short() -> None:
    output = "\n".join(entry("E", f"{number} " + 1000 * "x") for number in range(1000))
    text = explain(output, None)
    assert text.startswith("mongod is running\n  996 x")
    assert len(text) < 2000


@pytest.mark.parametrize(
    "line", ["[1]", "3", '{"s":"F","msg":"cut', '{"s":"F"}', '{"s":"E","id":[],"attr":[],"msg":1}']
)
def test_a_line_of_another_shape_does_no_harm(line: str) -> None:
    assert explain(line, 1).startswith("mongod ended with exit code 1")


def test_the_signal_that_ended_it_is_named() -> None:
    assert explain("", -signal.SIGKILL) == "mongod was ended by SIGKILL"
    assert explain("", -250) == "mongod was ended by signal 250"
    assert "AVX" in explain("", -signal.SIGILL)


@pytest.mark.parametrize(
    ("library", "remedy"),
    [("libcurl.so.4", "apt-get install libcurl4"), ("libnew.so.1", "install it")],
)
def test_a_missing_library_is_named_with_its_package(library: str, remedy: str) -> None:
    output = (
        f"mongod: error while loading shared libraries: {library}: "
        "cannot open shared object file: No such file or directory\n"
    )
    text = explain(output, 127)
    assert f"the library {library} is missing" in text
    assert remedy in text
