"""`--kind` of `lading put` and `lading token`, and where files are shown to be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.client.types import Manifest
from lading.commands.ls import show
from lading.commands.output import Output
from tests.lading.commands.conftest import Shell
from tests.support.servers import Process, process

KINDS = """
[clip]
max_size = "1MB"
directory = "clips"

[film]
"""


@pytest.fixture(scope="module")
def site(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with kinds."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "kinds.toml").write_text(KINDS)
    url = mongod.replace("/?", "/kinds-of-commands?")
    with process(folder / "data", url, kinds=folder / "kinds.toml") as running:
        yield running


@pytest.fixture
def kinds(site: Process, shell: Shell) -> Shell:
    """Commands that ask the server with kinds."""
    shell.environ |= {"LADING_URL": site.url, "LADING_TOKEN": site.token}
    return shell


def file_of(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"no magic" + os.urandom(size - 8))
    return path


@pytest.mark.parametrize("size", [20_000, 2 * 2**20], ids=["in one request", "in pieces"])
def test_put_names_the_kind_and_finds_its_files_again(
    kinds: Shell, tmp_path: Path, size: int
) -> None:
    kind, directory = ("clip", "clips") if size < 10**6 else ("film", "mine")
    path = file_of(tmp_path, size)
    made = kinds.put(path, "--kind", kind, "--directory", "mine")
    (found,) = kinds.events("status", made)
    assert (found["kind"], found["directory"]) == (kind, directory)
    again = kinds.run("put", path, "--kind", kind, "--directory", "mine")
    assert (again.stdout.split()[0], "already stored" in again.stderr) == (made, True)


def test_a_directory_of_files_of_a_kind_is_not_sent_twice(kinds: Shell, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "tree" / str(number)).mkdir(parents=True)
        (tmp_path / "tree" / str(number) / f"kind-{number}").write_bytes(os.urandom(99))
    for uploaded, stored in ((5, 0), (0, 5)):
        result = kinds.run("put", "tree", "--kind", "clip")
        assert f"5 files: {uploaded} uploaded, {stored} already stored" in result.stderr
    found = kinds.events("ls", "--name", "kind-")
    assert {each["directory"] for each in found} == {"clips"}


def test_one_byte_too_much(kinds: Shell, tmp_path: Path) -> None:
    kinds.put(file_of(tmp_path, 1_000_000), "--kind", "clip")
    for options in ([], ["--direct"]):
        result = kinds.run("put", file_of(tmp_path, 1_000_001), "--kind", "clip", *options)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "at most 1000000 bytes" in result.stderr


def test_a_kind_that_the_server_does_not_know(kinds: Shell, tmp_path: Path) -> None:
    for command in (["put", file_of(tmp_path, 20)], ["token", "--upload"]):
        result = kinds.run(*command, "--kind", "clips")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "`clip`" in result.stderr


def test_a_token_is_for_its_kind(kinds: Shell, site: Process, tmp_path: Path) -> None:
    (minted,) = kinds.events("token", "--upload", "--kind", "clip", "--uses", "2")
    assert minted["kind_rules"]["max_size"] == 1_000_000
    kinds.environ["LADING_TOKEN"] = minted["token"]
    made = kinds.put(file_of(tmp_path, 2000))
    other = kinds.run("put", file_of(tmp_path, 2001), "--kind", "film")
    assert other.exit_code == 3
    kinds.environ["LADING_TOKEN"] = site.token
    (found,) = kinds.events("status", made)
    assert (found["kind"], found["directory"]) == ("clip", "clips")


def test_a_token_for_a_download_has_no_kind(kinds: Shell) -> None:
    assert kinds.run("token", "--download", "0" * 24, "--kind", "clip").exit_code == 2


def test_status_says_the_kind_and_where_the_bytes_are(kinds: Shell, tmp_path: Path) -> None:
    made = kinds.put(file_of(tmp_path, 500), "--kind", "film")
    lines = kinds.lines("status", made)
    assert {"kind: film", "blobs: mongo"} <= set(lines)


def test_people_see_in_a_list_where_the_bytes_are(
    kinds: Shell,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    made = kinds.put(file_of(tmp_path, 600), "--name", "where.bin")
    (raw,) = kinds.events("ls", "--name", "where.bin")
    output = Output()
    output.for_people = True
    show(output, [Manifest.of(raw, "")])
    head, row = capsys.readouterr().out.splitlines()
    at = head.index("IN")
    assert (row.split()[0], row[at:].split()[0]) == (made, "mongo")
