"""`/v1/files/{id}/{quality}` and its kin, with a stand-in for the imaging room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.imaging.ladder import Variant
from lading.protocol.errors import UnprocessableImage
from lading.protocol.kinds import Kind
from lading.server.limits import USUAL_LIMITS, Limits, UploadLimits
from tests.support.homes import make_public, manifest_of, stored
from tests.support.maker import FakeMaker
from tests.support.seaweedfs import OWNER, REGION, SeaweedFS
from tests.support.servers import Inside, inside

JPEG = b"\xff\xd8\xff\xe0 a ship at sea".ljust(5000, b".")
LIMITS = replace(USUAL_LIMITS, uploads=UploadLimits(picture_wait=5.0))
IMPATIENT = replace(USUAL_LIMITS, uploads=UploadLimits(picture_wait=0.05))
YEAR = 31_536_000


@pytest.fixture
def maker() -> FakeMaker:
    return FakeMaker()


@pytest.fixture
async def server(
    tmp_path: Path, database_url: str, maker: FakeMaker, request: pytest.FixtureRequest
) -> AsyncIterator[Inside]:
    """A server; a test's parameters are its settings."""
    chosen: dict[str, Any] = dict(getattr(request, "param", {}))
    limits: Limits = chosen.pop("limits", LIMITS)
    if chosen.get("blobs") == "file":
        chosen["blobs"] = f"file://{tmp_path}/home"
    async with inside(
        tmp_path / "data", database_url, limits=limits, maker=maker, **chosen
    ) as running:
        yield running


async def photo(server: Inside, **asked: str) -> str:
    return await stored(server, JPEG, name="ship é.jpg", content_type="image/jpeg", **asked)


async def get(server: Inside, path: str, **headers: str) -> httpx.Response:
    async with server.http() as http:
        return await http.get(path, headers=headers)


def drawn(maker: FakeMaker, quality: int, crop: str | None = None) -> bytes:
    return maker.picture(JPEG[:8], Variant(quality, crop)).data


HOMES = pytest.mark.parametrize("server", [{}, {"blobs": "file"}], indirect=True)


@HOMES
async def test_each_quality_is_a_webp_that_never_changes(server: Inside, maker: FakeMaker) -> None:
    file_id = await photo(server)
    tags = set()
    for quality in range(1, 7):
        answer = await get(server, f"/v1/files/{file_id}/{quality}")
        assert (answer.status_code, answer.content) == (200, drawn(maker, quality))
        fields = answer.headers
        assert fields["content-type"] == "image/webp"
        assert fields["cache-control"] == f"private, max-age={YEAR}, immutable"
        assert "vary" not in fields
        assert fields["content-disposition"].startswith('inline; filename="ship _-')
        assert fields["content-length"] == str(len(answer.content))
        tag = fields["etag"]
        assert not tag.startswith("W/")
        tags.add(tag)
        again = await get(server, f"/v1/files/{file_id}/{quality}", **{"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        async with server.http() as http:
            head = await http.head(f"/v1/files/{file_id}/{quality}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == fields["content-length"]
    assert len(tags) == 6
    assert maker.calls == [tuple("123456")]


async def test_the_original_is_quality_0(server: Inside) -> None:
    file_id = await photo(server)
    answer = await get(server, f"/v1/files/{file_id}/0", Range="bytes=1-2")
    assert (answer.status_code, answer.content) == (206, JPEG[1:3])
    refused = await get(server, f"/v1/files/{file_id}/0?crop=square")
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")


async def test_a_square_is_a_picture_of_its_own(server: Inside, maker: FakeMaker) -> None:
    file_id = await photo(server)
    plain = await get(server, f"/v1/files/{file_id}/3")
    square = await get(server, f"/v1/files/{file_id}/3?crop=square")
    assert square.content == drawn(maker, 3, "square") != plain.content
    assert square.headers["etag"] != plain.headers["etag"]
    refused = await get(server, f"/v1/files/{file_id}/3?crop=round")
    assert refused.json()["code"] == "invalid-argument"


@pytest.mark.parametrize("quality", ["7", "-1", "01", "x", "3.webp"])
async def test_another_quality_does_not_exist(server: Inside, quality: str) -> None:
    answer = await get(server, f"/v1/files/{await photo(server)}/{quality}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_who_may_not_have_the_file_gets_no_picture(server: Inside) -> None:
    file_id = await photo(server)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone:
        assert (await anyone.get(f"/v1/files/{file_id}/3")).status_code == 401
        assert (await anyone.get(f"/public/{file_id}/3")).status_code == 404
    assert (await get(server, f"/v1/files/{'0' * 24}/3")).status_code == 404


async def test_no_picture_of_a_text(server: Inside, maker: FakeMaker) -> None:
    file_id = await stored(server, b"plain text", content_type="text/plain")
    answer = await get(server, f"/v1/files/{file_id}/3")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert maker.calls == []


async def test_a_broken_image_is_unprocessable_for_good(server: Inside, maker: FakeMaker) -> None:
    maker.failures = [UnprocessableImage("It ends too early.")]
    file_id = await photo(server)
    for _ in range(2):
        answer = await get(server, f"/v1/files/{file_id}/3")
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "unprocessable-image")
        assert (problem["retryable"], problem["detail"]) == (False, "It ends too early.")
    assert (await get(server, f"/v1/files/{file_id}")).content == JPEG


@pytest.mark.parametrize("server", [{"limits": IMPATIENT}], indirect=True)
async def test_what_takes_long_is_202_with_a_time_to_come_again(
    server: Inside, maker: FakeMaker
) -> None:
    maker.opened.clear()
    file_id = await photo(server)
    answer = await get(server, f"/v1/files/{file_id}/3")
    assert (answer.status_code, answer.json()["code"]) == (202, "not-ready")
    assert answer.json()["retryable"] is True
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["cache-control"] == "no-store"
    maker.opened.set()
    async with asyncio.timeout(10):
        while (answer := await get(server, f"/v1/files/{file_id}/3")).status_code == 202:
            pass
    assert answer.content == drawn(maker, 3)


async def test_a_large_picture_is_sent_part_by_part(
    server: Inside, maker: FakeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lading.server.http.download.picture.PART", 100)
    file_id = await photo(server)
    answer = await get(server, f"/v1/files/{file_id}/6")
    assert answer.content == drawn(maker, 6)
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_many_requests_at_once_are_one_making(server: Inside, maker: FakeMaker) -> None:
    maker.opened.clear()
    file_id = await photo(server)
    asking = [
        asyncio.create_task(get(server, f"/v1/files/{file_id}/{1 + k % 6}")) for k in range(20)
    ]
    await maker.begun.wait()
    maker.opened.set()
    answers = await asyncio.gather(*asking)
    assert {answer.status_code for answer in answers} == {200}
    assert maker.calls == [tuple("123456")]


async def test_manifests_show_facts_and_pictures(server: Inside) -> None:
    file_id = await photo(server)
    async with server.http() as http:
        await http.get(f"/v1/files/{file_id}/3")
        await http.get(f"/v1/files/{file_id}/3?crop=square")
        one = (await http.get(f"/v1/manifests/{file_id}")).json()
        (listed,) = (await http.get("/v1/files")).json()["files"]
        text = await stored(server, b"text", content_type="text/plain")
        plain = (await http.get(f"/v1/manifests/{text}")).json()
    assert one["media"]["kind"] == "image"
    assert (one["media"]["width"], one["media"]["height"]) == (4000, 3000)
    assert one["media"]["placeholder"].startswith("data:image/webp;base64,")
    assert one["media"]["codecs"] == []
    entry = {"quality": 3, "crop": None, "width": 160, "height": 120, "size": 160}
    assert entry in one["pictures"]
    assert {**entry, "crop": "square", "height": 160} in one["pictures"]
    assert len(one["pictures"]) == 7
    assert (listed["media"], listed["pictures"]) == (one["media"], one["pictures"])
    assert (plain["media"], plain["pictures"]) == (None, [])


async def test_pictures_count_in_the_usage_and_go_with_the_file(server: Inside) -> None:
    file_id = await photo(server)
    async with server.http() as http:
        await http.get(f"/v1/files/{file_id}/3")
        manifest = await manifest_of(server, file_id)
        used = (await http.get("/v1/usage")).json()
        assert (used["used"], used["reserved"]) == (manifest.charged, 0)
        assert manifest.charged > len(JPEG)
        assert (await http.delete(f"/v1/files/{file_id}")).status_code == 204
        assert (await http.get("/v1/usage")).json()["used"] == 0
        assert (await http.get(f"/v1/files/{file_id}/3")).status_code == 404


async def test_a_full_quota_makes_no_picture_and_keeps_the_original(server: Inside) -> None:
    async with server.http() as http:
        await http.put("/v1/users/admin/quota", json={"quota": len(JPEG)})
        file_id = await photo(server)
        answer = await http.get(f"/v1/files/{file_id}/6")
        assert (answer.status_code, answer.json()["code"]) == (507, "quota-exceeded")
        assert (await http.get(f"/v1/files/{file_id}")).content == JPEG


# -- grants and public files


async def test_a_grant_gives_every_quality_or_one(server: Inside, maker: FakeMaker) -> None:
    file_id = await photo(server)
    async with (
        server.http() as http,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone,
    ):
        asked = {"action": "download", "file_id": file_id}
        every = (await http.post("/v1/grants", json=asked)).json()["url"]
        one = (await http.post("/v1/grants", json={**asked, "quality": 3})).json()
        got = await anyone.get(f"{every}/4")
        assert got.content == drawn(maker, 4)
        assert got.headers["referrer-policy"] == "no-referrer"
        seconds = int(got.headers["cache-control"].split("max-age=")[1].split(",")[0])
        assert seconds <= 3600, "no longer than the grant"
        for path in (one["url"], f"{one['url']}/3"):
            assert (await anyone.get(path)).content == drawn(maker, 3)
        assert (await anyone.get(f"{one['url']}?crop=square")).content == drawn(maker, 3, "square")
        for quality in ("0", "4"):
            assert (await anyone.get(f"{one['url']}/{quality}")).status_code == 403
        bearer = {"Authorization": f"Bearer {one['token']}"}
        assert (await anyone.get(f"/v1/files/{file_id}/3", headers=bearer)).status_code == 200
        for path in (f"/v1/files/{file_id}/4", f"/v1/files/{file_id}"):
            assert (await anyone.get(path, headers=bearer)).status_code == 403


@pytest.mark.parametrize(
    "server", [{}, {"blobs": "file", "local_file_server": True}], indirect=True
)
async def test_anyone_may_have_the_pictures_of_a_public_file(
    server: Inside, maker: FakeMaker
) -> None:
    file_id = await photo(server)
    await make_public(server, file_id)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone:
        got = await anyone.get(f"/public/{file_id}/3")
        square = await anyone.get(f"/public/{file_id}/3?crop=square")
    assert (got.status_code, got.content) == (200, drawn(maker, 3))
    assert square.content == drawn(maker, 3, "square")
    assert got.headers["cache-control"] == f"public, max-age={YEAR}, immutable"
    assert got.headers["access-control-allow-origin"] == "*"
    own = await get(server, f"/v1/files/{file_id}/3")
    assert own.headers["cache-control"] == f"public, max-age={YEAR}, immutable"


@pytest.mark.parametrize("crop", ["round", "", "square.x", "../3", "square%00"])
async def test_a_crop_that_anyone_makes_up_does_not_exist(
    server: Inside, maker: FakeMaker, crop: str
) -> None:
    """Public addresses take any query parameter, and a crop becomes part of a picture's name."""
    file_id = await photo(server)
    await make_public(server, file_id)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone:
        answer = await anyone.get(f"/public/{file_id}/3?crop={crop}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert not [name for name in (await manifest_of(server, file_id)).pictures if "-" in name]
    assert ("3round",) not in maker.calls


# -- kinds

AVATAR = Kind(name="avatar", crop="square", sizes=(1, 3), mime_types=("image/*",))


@pytest.mark.parametrize("server", [{"kinds": (AVATAR,)}], indirect=True)
async def test_a_kind_decides_on_crop_and_sizes(server: Inside, maker: FakeMaker) -> None:
    file_id = await photo(server, kind="avatar")
    for query in ("", "?crop=square"):
        answer = await get(server, f"/v1/files/{file_id}/3{query}")
        assert answer.content == drawn(maker, 3, "square")
    refused = await get(server, f"/v1/files/{file_id}/6")
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")
    assert maker.calls == [("1square", "3square")]


# -- others send the bytes


@pytest.mark.parametrize("server", [{"blobs": "file", "sendfile": "/internal/"}], indirect=True)
async def test_a_proxy_is_told_where_the_picture_lies(
    server: Inside, maker: FakeMaker, tmp_path: Path
) -> None:
    file_id = await photo(server)
    for name, path in (("3", "3"), ("4-square", "4?crop=square")):
        answer = await get(server, f"/v1/files/{file_id}/{path}")
        where = f"private/{file_id[-2:]}/{file_id}/{name}"
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-accel-redirect"] == f"/internal/{where}"
        assert answer.headers["content-type"] == "image/webp"
        picture = drawn(maker, int(name[0]), "square" if "-" in name else None)
        assert (tmp_path / "home" / where).read_bytes() == picture
    own = await get(server, f"/v1/files/{file_id}/3", Prefer="delivery=self")
    assert own.content == drawn(maker, 3)


@pytest.fixture
async def bucket(
    tmp_path: Path,
    database_url: str,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Inside]:
    """A server that keeps files in a bucket and redirects there."""
    for name, value in OWNER.environment.items():
        monkeypatch.setenv(name, value)
    chosen: dict[str, Any] = {"s3_endpoint": seaweed.url, "s3_region": REGION, "s3_redirect": True}
    async with inside(
        tmp_path / "data", database_url, limits=LIMITS, maker=FakeMaker(), blobs=s3_home, **chosen
    ) as server:
        yield server


async def _moved(server: Inside, file_id: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if (await manifest_of(server, file_id)).blobs == server.services.homes.home:
                return
            await asyncio.sleep(0.02)


async def test_the_bucket_sends_pictures_too(bucket: Inside, maker: FakeMaker) -> None:
    file_id = await photo(bucket)
    await _moved(bucket, file_id)
    answer = await get(bucket, f"/v1/files/{file_id}/3")
    assert answer.status_code == 307
    async with httpx.AsyncClient(trust_env=False) as anyone:
        got = await anyone.get(answer.headers["location"])
        assert (got.content, got.headers["content-type"]) == (drawn(maker, 3), "image/webp")
        own = await get(bucket, f"/v1/files/{file_id}/6", Prefer="delivery=self")
        assert own.content == drawn(maker, 6)
        async with bucket.http() as http:
            await http.delete(f"/v1/files/{file_id}")
        assert (await anyone.get(answer.headers["location"])).status_code == 404
