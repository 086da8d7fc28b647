"""Files whose bytes the bucket sends: `LADING_S3_REDIRECT` with a real SeaweedFS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lading.client.client import Client
from lading.protocol.errors import Unavailable
from lading.storage.blobs.retry import repeat
from tests.support import metrics
from tests.support.homes import make_public, manifest_of, stored
from tests.support.seaweedfs import OWNER, REGION, SeaweedFS
from tests.support.servers import Inside, inside

DATA = os.urandom(3 * 2**20)


@pytest.fixture
async def home(
    tmp_path: Path,
    database_url: str,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Inside]:
    """A server that keeps files in a bucket and redirects there."""
    for name, value in OWNER.environment.items():
        monkeypatch.setenv(name, value)
    async with inside(
        tmp_path / "data",
        database_url,
        blobs=s3_home,
        s3_endpoint=seaweed.url,
        s3_region=REGION,
        s3_redirect=True,
    ) as server:
        yield server


async def moved(home: Inside, file_id: str) -> None:
    async with asyncio.timeout(30):
        # Another process may have moved it: only the manifest says so.
        while (await manifest_of(home, file_id)).blobs != home.services.homes.home:  # noqa: ASYNC110 - a move has no event
            await asyncio.sleep(0.02)


@pytest.fixture
async def film(home: Inside) -> str:
    """A file that moved to the bucket."""
    file_id = await stored(home, DATA, name="film é.mp4", content_type="video/mp4")
    await moved(home, file_id)
    return file_id


async def fetched(url: str, **headers: str) -> httpx.Response:
    """What anyone gets at an address; no credential is sent."""
    async with httpx.AsyncClient(trust_env=False) as anyone:
        return await anyone.get(url, headers=headers)


async def test_the_bucket_sends_the_bytes_with_type_and_name(home: Inside, film: str) -> None:
    async with home.http() as http:
        answer = await http.get(f"/v1/files/{film}")
        own = await http.get(f"/v1/files/{film}", headers={"Prefer": "delivery=self"})
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert (own.status_code, own.content) == (200, DATA)
    where = answer.headers["location"]
    got = await fetched(where)
    assert (got.status_code, got.content) == (200, DATA)
    for name in ("content-type", "content-disposition"):
        assert got.headers[name] == own.headers[name]
    part = await fetched(where, Range="bytes=5-9")
    assert (part.status_code, part.content) == (206, DATA[5:10])
    assert (await fetched(where.replace("mp4", "htm"))).status_code == 403


async def test_the_address_ends_with_the_grant(home: Inside, film: str) -> None:
    async with home.http() as http:
        asked = {"action": "download", "file_id": film, "expires_in": 100}
        grant = (await http.post("/v1/grants", json=asked)).json()
        answer = await http.get(grant["url"], headers={"Authorization": ""})
        url = httpx.URL(answer.headers["location"])
        assert 90 <= int(url.params["X-Amz-Expires"]) <= 100
        private, age = answer.headers["cache-control"].split(", ")
        assert (private, 45 <= int(age.removeprefix("max-age=")) <= 50) == ("private", True)
        await make_public(home, film)
        anyones = await http.get(f"/public/{film}", headers={"Authorization": ""})
    assert anyones.status_code == 307
    assert anyones.headers["cache-control"] == "public, max-age=1800"
    assert (await fetched(anyones.headers["location"])).content == DATA


async def test_what_the_bucket_cannot_judge_the_server_sends(home: Inside, film: str) -> None:
    async with home.http() as http:
        head = await http.head(f"/v1/files/{film}")
        assert head.headers["content-length"] == str(len(DATA))
        tag = head.headers["etag"]
        for headers, status in (
            ({"If-Match": tag}, 200),
            ({"If-None-Match": tag}, 304),
            ({"Range": "bytes=0-9", "If-Range": tag}, 206),
            ({"Range": "bytes=0-9", "If-Range": '"the-buckets"'}, 307),
            ({"Range": "bytes=0-9"}, 307),
            ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "video"}, 200),
            ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "video"}, 307),
        ):
            answer = await http.get(f"/v1/files/{film}", headers=headers)
            assert answer.status_code == status, headers


async def test_what_has_not_moved_yet_the_server_sends(home: Inside) -> None:
    async with home.http() as http:
        begun = (await http.post("/v1/uploads", json={"name": "a", "size": 2**20 + 9})).json()
        where = f"/v1/files/{begun['_id']}"
        await http.put(f"/v1/uploads/{begun['_id']}/chunks/0", content=DATA[: 2**20])
        part = await http.get(where, headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.content) == (206, DATA[:10])


async def test_the_python_client_follows_without_its_token(
    home: Inside, film: str, tmp_path: Path
) -> None:
    async with Client(home.url, home.token) as client:
        await client.download(film, tmp_path / "copy.mp4")
    assert (tmp_path / "copy.mp4").read_bytes() == DATA


async def test_what_the_bucket_sends_is_counted(home: Inside, film: str) -> None:
    async with home.http() as http:
        before = await metrics.read(http)
        for wanted in ({}, {"Range": "bytes=1-10"}, {"Prefer": "delivery=self"}):
            await http.get(f"/v1/files/{film}", headers=wanted)
        after = await metrics.read(http)
    name, by = "lading_elsewhere_bytes_total", {"by": "bucket"}
    assert after.total(name, **by) - before.total(name, **by) == len(DATA) + 10


async def test_what_is_asked_of_the_bucket_again_is_counted(home: Inside) -> None:
    tries = iter([Unavailable(), None])

    async def call() -> None:
        failure = next(tries)
        if failure is not None:
            raise failure

    async with home.http() as http:
        before = await metrics.read(http)
        await repeat(call, (0.0,))
        after = await metrics.read(http)
    name = "lading_blob_retries_total"
    assert after.total(name) - before.total(name) == 1
