"""A data directory that an earlier version wrote opens, and everything in it is there.

`tests/upgrades/` has one of each version, written by `tests/upgrades/write.py`.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers import Process, process
from tests.upgrades.write import CELL, FILM, HERE, TOLD, YEARS

ARCHIVES = sorted(HERE.glob("*.tar.xz"))


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name[: -len(".tar.xz")])
def old(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, dict[str, Any]]]:
    """Today's server on yesterday's data, and what yesterday's version told of it."""
    data = tmp_path_factory.mktemp("old")
    with tarfile.open(request.param) as archive:
        archive.extractall(data)
    told = json.loads((data / TOLD).read_text())
    with process(data, None, upload_ttl=YEARS) as server:
        yield server, told


def test_there_is_a_directory_to_open() -> None:
    assert ARCHIVES


async def test_every_file_is_there_and_equal(old: tuple[Process, dict[str, Any]]) -> None:
    server, told = old
    async with server.http() as http:
        listed = (await http.get("/v1/files")).raise_for_status().json()["files"]
        assert {each["_id"] for each in listed} >= {each["_id"] for each in told["files"]}
        for each in told["files"]:
            manifest = (await http.get(f"/v1/manifests/{each['_id']}")).json()
            assert {key: manifest[key] for key in each if key != "sha256"} == {
                key: value for key, value in each.items() if key != "sha256"
            }
            got = await http.get(f"/v1/files/{each['_id']}")
            assert hashlib.sha256(got.content).hexdigest() == each["sha256"]


async def test_lists_tags_quotas_and_public_addresses_work(
    old: tuple[Process, dict[str, Any]],
) -> None:
    server, told = old
    names = {each["name"]: each["_id"] for each in told["files"]}
    async with server.http() as http:
        tagged = (await http.get("/v1/files", params={"tag": "kept"})).json()["files"]
        assert {each["name"] for each in tagged} == {"letter.txt", "grey.jpg"}
        below = (await http.get("/v1/files", params={"directory": "letters/2026"})).json()["files"]
        assert [each["name"] for each in below] == ["letter.txt"]
        tags = (await http.get("/v1/tags")).json()["tags"]
        assert {(each["name"], each["files"]) for each in tags} == {("kept", 2), ("unused", 0)}
        assert (await http.get("/v1/users/ann/quota")).json()["quota"] == 5_000_000
        assert (await http.get(f"/v1/files/{told['gone']}")).status_code == 404
        http.headers.pop("authorization")
        assert (await http.get(f"/public/{names['grey.jpg']}")).status_code == 200
        assert (await http.get(f"/public/{names['letter.txt']}")).status_code == 404


async def test_an_unfinished_upload_goes_on(old: tuple[Process, dict[str, Any]]) -> None:
    server, told = old
    upload = told["unfinished"]
    async with server.http() as http:
        state = (await http.get(f"/v1/uploads/{upload}")).raise_for_status().json()
        assert state["missing"] == [[CELL, 2 * CELL]]
        piece = FILM[CELL : 2 * CELL]
        sent = await http.put(f"/v1/uploads/{upload}/chunks/{CELL}", content=piece)
        assert sent.status_code == 200, sent.text
        digest = hashlib.sha256(FILM).hexdigest()
        done = await http.post(f"/v1/uploads/{upload}/finish", json={"sha256": digest})
        assert done.status_code == 200, done.text
        got = await http.get(f"/v1/files/{upload}")
        assert got.content == FILM
        used = (await http.get("/v1/usage")).json()
        assert used["used"] == sum(each["size"] for each in told["files"]) + len(FILM)
        assert used["reserved"] == 0
