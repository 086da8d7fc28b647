"""The download address of a medium: how long it is valid, how long it is the same, who caches."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.media import seconds_left
from tests.support.servers import Inside, Process, inside
from tests.support.users import JWT, client, put, refusal, shown, user


async def stored(server: Inside, data: bytes = b"bytes") -> str:
    """The address of a medium of Ann's."""
    return f"/v1/media/{await put(server, data=data)}"


async def told(server: Inside, medium: str, **params: Any) -> dict[str, Any]:
    async with client(server, user("ann")) as ann:
        answer = await ann.get(medium, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["download"]
    return found


@pytest.mark.parametrize(("asked", "seconds"), [({}, 900), ({"expires_in": 60}, 60)])
async def test_an_address_is_valid_as_long_as_asked_and_the_same_for_half_of_it(
    database_url: str, tmp_path: Path, asked: dict[str, int], seconds: int
) -> None:
    now = [time.time() // seconds * seconds + 1]
    async with inside(tmp_path, database_url, clock=lambda: now[0], **JWT) as server:
        medium = await stored(server)
        first = await told(server, medium, **asked)
        now[0] += seconds / 2 - 2
        assert await told(server, medium, **asked) == first
        now[0] += 2
        second = await told(server, medium, **asked)
        assert second["url"] != first["url"]
        async with client(server) as viewer:
            assert (await viewer.get(first["url"])).content == b"bytes"
            now[0] += seconds / 2 - 1
            assert (await viewer.get(first["url"])).content == b"bytes"
            now[0] += 1
            assert refusal(await viewer.get(first["url"])) == (403, "forbidden")
            assert (await viewer.get(second["url"])).status_code == 200


async def test_each_file_and_each_length_has_an_address_of_its_own(
    database_url: str, tmp_path: Path
) -> None:
    now = time.time()
    async with inside(tmp_path, database_url, clock=lambda: now, **JWT) as server:
        one, two = await stored(server), await stored(server)
        asked = [(one, 60), (one, 61), (two, 60), (one, 7 * 24 * 3600)]
        found = [await told(server, medium, expires_in=seconds) for medium, seconds in asked]
        assert len({each["url"] for each in found}) == len(asked)
        assert await told(server, one, expires_in=60) == found[0]


async def test_requests_at_once_get_one_address(database_url: str, tmp_path: Path) -> None:
    now = time.time()
    async with inside(tmp_path, database_url, clock=lambda: now, **JWT) as server:
        medium = await stored(server)
        found = await asyncio.gather(*(told(server, medium) for _ in range(8)))
        assert all(each == found[0] for each in found)


async def test_servers_with_other_secrets_return_addresses_that_work_everywhere(
    users_server: Process, other_users_server: Process
) -> None:
    medium = f"/v1/media/{await put(users_server)}"
    for mine, other in (
        (users_server, other_users_server),
        (other_users_server, users_server),
    ):
        async with client(mine, user("ann")) as ann, client(other) as viewer:
            url = (await ann.get(medium)).json()["download"]["url"]
            assert (await viewer.get(url)).content == b"bytes"


@pytest.mark.parametrize("value", ["0", "-1", "604801", "1.5", "", "x", "1e3", "9" * 400])
async def test_a_time_out_of_bounds_is_refused(http: httpx.AsyncClient, value: str) -> None:
    made = await http.post("/v1/files?name=a", content=b"x")
    answer = await http.get(f"/v1/media/{made.json()['_id']}", params={"expires_in": value})
    assert refusal(answer) == (400, "invalid-argument")
    assert "expires_in must be a number from 1 to 604800" in answer.json()["detail"]


async def test_a_browser_may_keep_a_file_as_long_as_its_address_is_valid(
    http: httpx.AsyncClient,
) -> None:
    made = await http.post("/v1/files?name=a.png", content=b"x" * 10)
    address = f"/v1/media/{made.json()['_id']}"
    download = (await http.get(address, params={"expires_in": 3600})).json()["download"]
    url = download["url"]
    tag = (await http.get(url)).headers["ETag"]
    for headers, status in (
        ({}, 200),
        ({"Range": "bytes=0-4"}, 206),
        ({"If-None-Match": tag}, 304),
    ):
        answer = await http.get(url, headers=headers)
        assert answer.status_code == status
        private, age, immutable = answer.headers["Cache-Control"].split(", ")
        assert (private, immutable) == ("private", "immutable")
        rest = int(age.removeprefix("max-age="))
        assert -2 < seconds_left(download["expires_at"]) - rest < 2
    refused = await http.get(url, headers={"Range": "bytes=100-"})
    assert (refused.status_code, refused.headers["Cache-Control"]) == (416, "no-store")
    # By its own address it is asked for again, since it may be deleted or taken from the caller.
    own = await http.get(made.headers["Location"])
    assert own.headers["Cache-Control"] == "private, no-cache"


async def test_of_an_upload_that_is_arriving_nothing_is_kept(http: httpx.AsyncClient) -> None:
    upload = (await http.post("/v1/uploads", json={"name": "a", "size": 5})).json()["_id"]
    await http.put(f"/v1/uploads/{upload}/chunks/0", content=b"bytes")
    body = {"action": "download", "file_id": upload}
    url = (await http.post("/v1/grants", json=body)).json()["url"]
    answer = await http.get(url)
    assert answer.status_code in (200, 206)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_no_token_is_stored(database_url: str, tmp_path: Path, mongo: Any) -> None:
    now = time.time()
    async with (
        inside(tmp_path, database_url, clock=lambda: now, **JWT) as server,
        server.http() as nobody,
    ):
        medium = await stored(server)
        url = (await nobody.get(medium, headers=shown(user("ann")))).json()["download"]["url"]
        name = database_url.rpartition("/")[2].partition("?")[0]
        documents = str(list(mongo[name]["grants"].find()))
    assert url.rpartition("/")[2] not in documents
