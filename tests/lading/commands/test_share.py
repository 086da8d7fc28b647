"""`lading share`, `lading request` and `lading links`."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import httpx

from tests.lading.commands.conftest import Shell


def fetch(address: str, password: str | None = None) -> httpx.Response:
    auth = None if password is None else ("", password)
    return httpx.get(f"{address}/download", auth=auth, trust_env=False)


def fetch_page(address: str) -> int:
    """The status of a page, without a credential."""
    return httpx.get(address, trust_env=False).status_code


def test_a_file_is_shared_listed_and_no_more(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "share-1.mp4")
    (address,) = shell.lines("share", "share-1.mp4", "--expires", "2d", "--downloads", "1")
    assert fetch(address).content == movie.read_bytes()
    (shown,) = [each for each in shell.events("links", "ls") if each.get("file_id") == made]
    assert (shown["uses"], shown["used"], shown["password"]) == (1, 1, False)
    (row,) = [line for line in shell.lines("links") if shown["id"] in line]
    fields = row.split("\t")
    assert fields[:4] == [shown["id"], "share", made, "admin"]
    assert fields[5:] == ["1 of 1", "no"]
    assert shell.lines("links", "rm", shown["id"]) == [shown["id"]]
    assert fetch(address).status_code == 404
    assert shell.run("links", "rm", shown["id"]).exit_code == 1


def test_a_directory_is_shared_with_a_password(shell: Shell, movie: Path) -> None:
    shell.put(movie, "--name", "a.mp4", "--directory", "share-2/inner")
    result = shell.run("share", "share-2", "--password", stdin=b"open sesame\n")
    assert result.exit_code == 0, result.output
    address = result.stdout.strip()
    assert fetch(address).status_code == 401
    with zipfile.ZipFile(io.BytesIO(fetch(address, "open sesame").content)) as archive:
        assert archive.namelist() == ["share-2/inner/a.mp4"]


def test_what_cannot_be_shared(shell: Shell) -> None:
    assert shell.run("share", "share-nothing").exit_code == 2
    assert shell.run("share", "/").exit_code == 2
    assert shell.run("share", "x/", "--expires", "soon").exit_code == 2
    assert shell.run("share", "x/", "--downloads", "0").exit_code == 2
    assert shell.run("share", "x/", "--password", stdin=b"\n").exit_code == 2


def test_files_are_asked_for_within_a_limit(shell: Shell) -> None:
    (address,) = shell.lines(
        "request", "request-1/", "--max-size", "2kB", "--type", "text/*", "--files", "3"
    )
    assert fetch_page(address) == 200
    upload = address.replace("/r/", "/v1/g/")
    sent = httpx.put(upload, content=b"text", headers={"Content-Type": "text/plain"})
    assert (sent.status_code, sent.json()["directory"]) == (201, "request-1")
    (shown,) = [each for each in shell.events("links") if each.get("directory") == "request-1"]
    assert (shown["action"], shown["max_size"], shown["taken"]) == ("request", 2000, 4)
    (row,) = [line for line in shell.lines("links") if shown["id"] in line]
    assert row.split("\t")[1:4] == ["request", "request-1/", "admin"]
    assert row.split("\t")[5] == "1 of 3, 4 bytes of 2.0 kB"
    assert shell.lines("links", "rm", shown["id"]) == [shown["id"]]
    assert fetch_page(address) == 404


def test_what_cannot_be_asked_for(shell: Shell) -> None:
    assert shell.run("request", "/").exit_code == 2
    assert shell.run("request", "x", "--max-size", "much").exit_code == 2
    assert shell.run("request", "x", "--files", "0").exit_code == 2
    assert shell.run("request", "x", "--kind", "nothing").exit_code == 2
