"""`/public`: who may fetch what without a credential."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.homes import changed, make_public, stored
from tests.support.servers import Inside, inside

DATA = os.urandom(100_000)


@pytest.fixture(params=["mongo", "file"])
async def home(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> AsyncIterator[Inside]:
    """A server that serves public files itself, whatever its home is."""
    own: dict[str, Any] = {}
    if request.param == "file":
        own = {"blobs": f"file://{tmp_path}/home", "local_file_server": True}
    async with inside(tmp_path / "data", database_url, **own) as server:
        yield server


@pytest.fixture
async def anyone(home: Inside) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential."""
    async with httpx.AsyncClient(base_url=home.url, trust_env=False) as http:
        yield http


@pytest.fixture
async def photo(home: Inside) -> str:
    """A public file."""
    file_id = await stored(home, DATA, name="photo.jpg", content_type="image/jpeg")
    await make_public(home, file_id)
    return file_id


def assert_absent(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert answer.json()["detail"] == "There is no public file at this address."


@pytest.mark.parametrize("end", ["", "/0", "?v=3", "/0?utm_source=x"])
async def test_a_public_file_needs_no_credential(
    anyone: httpx.AsyncClient, photo: str, end: str
) -> None:
    answer = await anyone.get(f"/public/{photo}{end}")
    assert (answer.status_code, answer.content) == (200, DATA)
    headers = answer.headers
    assert headers["content-type"] == "image/jpeg"
    assert headers["cache-control"] == "public, max-age=3600, immutable"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"


async def test_ranges_conditions_and_head(anyone: httpx.AsyncClient, photo: str) -> None:
    where = f"/public/{photo}/0"
    part = await anyone.get(where, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, DATA[10:20])
    head = await anyone.head(where)
    assert head.headers["content-length"] == str(len(DATA))
    same = await anyone.get(where, headers={"If-None-Match": head.headers["etag"]})
    assert (same.status_code, same.headers["cache-control"]) == (
        304,
        "public, max-age=3600, immutable",
    )
    saved = await anyone.get(where, params={"download": "1"})
    assert saved.headers["content-disposition"].startswith("attachment")


async def test_what_is_not_public_is_not_there(
    home: Inside, anyone: httpx.AsyncClient, photo: str
) -> None:
    private = await stored(home, DATA)
    assert_absent(await anyone.get(f"/public/{private}"))
    async with home.http() as http:  # not with a credential either
        assert_absent(await http.get(f"/public/{private}"))
        begun = (await http.post("/v1/uploads", json={"name": "a", "size": 9})).json()["_id"]
        await changed(home, begun, public=True)
        assert_absent(await http.get(f"/public/{begun}"))
        await make_public(home, photo, False)
        assert_absent(await http.get(f"/public/{photo}"))
        await make_public(home, photo)
        assert (await http.delete(f"/v1/files/{photo}")).status_code == 204
        assert_absent(await http.get(f"/public/{photo}"))


@pytest.mark.parametrize("end", ["/7", "/00", "/x"])
async def test_there_are_no_other_qualities(
    anyone: httpx.AsyncClient, photo: str, end: str
) -> None:
    assert_absent(await anyone.get(f"/public/{photo}{end}"))


@pytest.mark.parametrize("name", ["0" * 24, "x", "..%2f..%2fetc%2fpasswd", "F" * 24])
async def test_other_addresses_say_nothing(anyone: httpx.AsyncClient, name: str) -> None:
    answer = await anyone.get(f"/public/{name}")
    assert answer.status_code == 404


async def test_a_directory_is_the_proxys_unless_it_is_said(
    tmp_path: Path, database_url: str
) -> None:
    blobs = f"file://{tmp_path}/home"
    async with inside(tmp_path / "data", database_url, blobs=blobs) as home, home.http() as http:
        file_id = await stored(home, DATA)
        await make_public(home, file_id)
        assert_absent(await http.get(f"/public/{file_id}"))


async def test_the_server_hands_a_public_file_off(tmp_path: Path, database_url: str) -> None:
    blobs = f"file://{tmp_path}/home"
    async with inside(
        tmp_path / "data", database_url, blobs=blobs, local_file_server=True, sendfile="/internal/"
    ) as home:
        file_id = await stored(home, DATA)
        await make_public(home, file_id)
        async with home.http() as http:
            answer = await http.get(f"/public/{file_id}")
        named = answer.headers["x-accel-redirect"]
        assert named == f"/internal/public/{file_id[-2:]}/{file_id}/0"
        assert answer.headers["cache-control"] == "public, max-age=3600, immutable"
