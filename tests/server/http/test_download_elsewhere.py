"""Files whose bytes a proxy sends: what is handed off, and what Lading sends itself."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.client.client import Client
from tests.support import metrics
from tests.support.homes import changed, make_public, manifest_of, stored
from tests.support.servers import Inside, inside

DATA = os.urandom(3 * 2**20)


@pytest.fixture(params=["/internal/", "x-sendfile:/srv/lading"])
async def home(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> AsyncIterator[Inside]:
    """A server that keeps files in a directory and hands them off."""
    blobs = f"file://{tmp_path}/home"
    async with inside(
        tmp_path / "data", database_url, blobs=blobs, sendfile=request.param
    ) as server:
        yield server


@pytest.fixture
async def film(home: Inside) -> str:
    return await stored(home, DATA, name="film.mp4", content_type="video/mp4")


def where(answer: httpx.Response) -> str | None:
    """Below the home's directory, what a proxy is to send."""
    given: str | None = answer.headers.get("X-Accel-Redirect")
    if given is not None:
        assert given.startswith("/internal/")
        return given.removeprefix("/internal/")
    given = answer.headers.get("X-Sendfile")
    if given is not None:
        assert given.startswith("/srv/lading/")
        return given.removeprefix("/srv/lading/")
    return None


async def get(home: Inside, file_id: str, **headers: str) -> httpx.Response:
    async with home.http() as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.get(f"/v1/files/{file_id}", headers=named)


async def test_a_proxy_sends_the_bytes_with_the_servers_headers(home: Inside, film: str) -> None:
    answer = await get(home, film)
    own = await get(home, film, Prefer="delivery=self")
    assert (answer.status_code, answer.content) == (200, b"")
    assert where(answer) == f"private/{film[-2:]}/{film}/0"
    assert own.content == DATA
    assert where(own) is None
    differ = {"accept-ranges", "content-length", "x-accel-redirect", "x-sendfile", "date"}
    differ.add("x-request-id")
    shown, usual = dict(answer.headers), dict(own.headers)
    for name in differ:
        shown.pop(name, None)
        usual.pop(name, None)
    assert shown == usual
    assert usual["content-type"] == "video/mp4"


async def test_what_is_named_is_where_the_file_lies(
    home: Inside, film: str, tmp_path: Path
) -> None:
    for public in (True, False):
        await make_public(home, film, public)
        named = where(await get(home, film))
        assert named is not None
        assert named.startswith("public/" if public else "private/")
        assert (tmp_path / "home" / named).read_bytes() == DATA


@pytest.mark.parametrize("field", ["bytes=0-99", "bytes=-5", "bytes=1048576-"])
async def test_a_range_is_the_proxys(home: Inside, film: str, field: str) -> None:
    answer = await get(home, film, Range=field)
    assert (answer.status_code, answer.content) == (200, b"")
    assert where(answer) is not None


async def test_what_the_proxy_would_judge_otherwise_the_server_sends(
    home: Inside, film: str
) -> None:
    tag = (await get(home, film, Prefer="delivery=self")).headers["etag"]
    whole: list[tuple[dict[str, Any], int]] = [
        ({"If_Match": tag}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_None_Match": tag}, 304),
        ({"If_Unmodified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"Range": "bytes=0-1,5-6"}, 206),
        ({"Range": "bytes=99999999-"}, 416),
        ({"Range": "pages=1"}, 200),
        ({"Range": "bytes=0-9", "If_Range": '"other"'}, 200),
    ]
    for headers, status in whole:
        answer = await get(home, film, **headers)
        assert answer.status_code == status, headers
        assert where(answer) is None, headers
        assert status != 200 or answer.content == DATA, headers
    # The proxy gets the server's tag, and judges by it.
    assert where(await get(home, film, Range="bytes=0-9", If_Range=tag)) is not None
    async with home.http() as http:
        head = await http.head(f"/v1/files/{film}")
    assert head.headers["content-length"] == str(len(DATA))
    assert where(head) is None


async def test_a_grant_is_handed_off_too(home: Inside, film: str) -> None:
    async with home.http() as http:
        asked = {"action": "download", "file_id": film, "expires_in": 600}
        grant = (await http.post("/v1/grants", json=asked)).json()
        answer = await http.get(grant["url"], headers={"Authorization": ""})
    assert where(answer) == f"private/{film[-2:]}/{film}/0"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"].startswith("private, max-age=")


async def test_what_is_not_whole_is_sent_by_the_server(home: Inside) -> None:
    async with home.http() as http:
        begun = (await http.post("/v1/uploads", json={"name": "a", "size": 2**20 + 9})).json()
        await http.put(f"/v1/uploads/{begun['_id']}/chunks/0", content=DATA[: 2**20])
    answer = await get(home, begun["_id"], Range="bytes=0-99")
    assert (answer.status_code, answer.content) == (206, DATA[:100])
    empty = await get(home, await stored(home, b""))
    assert where(empty) is None


async def test_a_file_that_is_not_in_its_place_is_sent_by_the_server(
    home: Inside, film: str, tmp_path: Path
) -> None:
    final = tmp_path / "home" / "private" / film[-2:] / film / "0"
    manifest = await manifest_of(home, film)
    final.rename(tmp_path / "home" / "incoming" / f"{film}.{manifest.attempt}")
    answer = await get(home, film)
    assert where(answer) is None
    assert answer.content == DATA


async def test_a_file_of_another_home_is_sent_by_the_server(
    home: Inside, film: str, tmp_path: Path
) -> None:
    (tmp_path / "home").rename(tmp_path / "old")
    await changed(home, film, blobs=f"file://{tmp_path}/old")
    answer = await get(home, film)
    assert where(answer) is None
    assert answer.content == DATA


async def test_a_client_on_the_servers_machine_gets_the_bytes(
    home: Inside, film: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LADING_URL", raising=False)
    monkeypatch.setenv("LADING_DATA", str(home.data))
    async with Client() as client:
        await client.download(film, tmp_path / "copy.mp4")
    assert (tmp_path / "copy.mp4").read_bytes() == DATA


async def test_what_others_send_is_counted(home: Inside, film: str) -> None:
    async with home.http() as http:
        before = await metrics.read(http)
        await get(home, film)
        await get(home, film, Range="bytes=1-10")
        await get(home, film, Prefer="delivery=self")
        after = await metrics.read(http)
    name, by = "lading_elsewhere_bytes_total", {"by": "proxy"}
    assert after.total(name, **by) - before.total(name, **by) == len(DATA) + 10
