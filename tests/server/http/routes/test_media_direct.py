"""Media whose bytes go to the bucket itself: announced, sent there, compared, published."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.janitor.janitor import Janitor
from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest, Piece
from lading.storage.blobs.directory import Directory
from lading.storage.clock import PlainClock
from lading.storage.database import Database
from tests.support.direct import LIMITS, PART, bucket, put, site_with_bucket
from tests.support.homes import manifest_of
from tests.support.seaweedfs import SeaweedFS
from tests.support.servers import Inside, inside
from tests.support.users import refusal
from tests.support.wire import channel

MIB = 2**20
BODY = random.Random(3).randbytes(3 * MIB + 7)
LARGE = random.Random(4).randbytes(12 * MIB + 9)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
async def site(
    database_url: str,
    tmp_path: Path,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Inside]:
    async with site_with_bucket(tmp_path, database_url, seaweed, s3_home, monkeypatch) as running:
        yield running


async def announce(site: Inside, body: bytes = BODY, **fields: Any) -> dict[str, Any]:
    about = {"name": "film.mp4", "size": len(body), "sha256": digest(body)}
    async with site.http() as back_end:
        answer = await back_end.post("/v1/media", json={**about, **fields})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def finalize(site: Inside, told: dict[str, Any]) -> httpx.Response:
    async with site.http() as back_end:
        return await back_end.post(f"/v1/media/{told['media']['_id']}/finalize")


async def show(site: Inside, told: dict[str, Any]) -> httpx.Response:
    async with site.http() as back_end:
        return await back_end.get(f"/v1/media/{told['media']['_id']}")


async def usage(site: Inside) -> tuple[int, int]:
    async with site.http() as back_end:
        told = (await back_end.get("/v1/usage")).json()
    return told["used"], told["reserved"]


async def in_bucket(site: Inside) -> list[str]:
    """What the bucket has of this test: objects, and uploads in parts."""
    blobs = bucket(site)
    return [
        *[each async for each in blobs.uploads()],
        *[each.upload_id async for each in blobs.unfinished()],
    ]


async def parts_of(site: Inside, told: dict[str, Any], **query: Any) -> dict[str, Any]:
    """As a browser asks: by the token that it was handed, and no other credential."""
    parts = told["upload"]["parts"]
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as browser:
        answer = await browser.get(parts["url"], headers=parts["headers"], params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# -- one PUT


async def test_the_bytes_go_to_the_bucket_and_the_file_is_like_any_other(
    site: Inside, s3_home: str, seaweed: SeaweedFS
) -> None:
    told = await announce(site, tags=["x"])
    media, upload = told["media"]["_id"], told["upload"]
    assert (upload["method"], upload["direct"]) == ("PUT", True)
    assert upload["url"].startswith(f"{seaweed.url}/{s3_home.removeprefix('s3://')}/")
    assert await usage(site) == (0, len(BODY))
    assert refusal(await finalize(site, told)) == (409, "incomplete")

    assert (await put(upload, BODY)).status_code == 200
    assert (await put(upload, BODY)).status_code == 200, "an interrupted PUT is repeated"
    answers = [await finalize(site, told) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200], answers[0].text
    file = answers[0].json()
    assert answers[1].json() == file
    assert (file["state"], file["sha256"], file["crc32c"]) == ("ready", digest(BODY), None)
    assert file["upload_size"] == len(BODY)
    assert await usage(site) == (len(BODY), 0)
    assert await in_bucket(site) == [media]

    async with site.http() as viewer:
        whole = await viewer.get(f"/v1/files/{media}")
        assert whole.content == BODY
        ranged = await viewer.get(
            f"/v1/files/{media}", headers={"Range": f"bytes={MIB - 3}-{2 * MIB + 4}"}
        )
        assert (ranged.status_code, ranged.content) == (206, BODY[MIB - 3 : 2 * MIB + 5])
        same = {"If-None-Match": whole.headers["ETag"]}
        assert (await viewer.get(f"/v1/files/{media}", headers=same)).status_code == 304
        download = (await show(site, told)).json()["download"]
        assert (await viewer.get(download["url"])).content == BODY
        assert (await viewer.get(f"/v1/manifests/{media}")).json()["chunks"] == []
        assert (await viewer.delete(f"/v1/files/{media}")).status_code == 204
    assert await in_bucket(site) == []
    assert await usage(site) == (0, 0)


async def test_an_empty_file(site: Inside) -> None:
    told = await announce(site, b"")
    assert (await put(told["upload"], b"")).status_code == 200
    assert (await finalize(site, told)).json()["size"] == 0


@pytest.mark.parametrize(
    "wrong",
    [BODY[:-1] + bytes([BODY[-1] ^ 1]), BODY[:-1], BODY + b"!"],
    ids=["a byte", "shorter", "longer"],
)
async def test_the_bucket_refuses_other_bytes(site: Inside, wrong: bytes) -> None:
    told = await announce(site)
    assert (await put(told["upload"], wrong)).status_code >= 400
    assert refusal(await finalize(site, told)) == (409, "incomplete")
    assert await in_bucket(site) == []
    assert (await put(told["upload"], BODY)).status_code == 200
    assert (await finalize(site, told)).status_code == 200


async def test_the_type_is_signed_and_the_address_is_for_one_file(site: Inside) -> None:
    told = await announce(site)
    upload = told["upload"]
    other = {**upload, "headers": {**upload["headers"], "Content-Type": "text/html"}}
    assert (await put(other, BODY)).status_code == 403
    elsewhere = {**upload, "url": upload["url"].replace(told["media"]["_id"], "0" * 24)}
    assert (await put(elsewhere, BODY)).status_code == 403


@pytest.mark.parametrize("wrong", [BODY[:-1] + bytes([BODY[-1] ^ 1]), BODY + b"!"])
async def test_what_the_bucket_has_is_compared_before_it_is_published(
    site: Inside, wrong: bytes
) -> None:
    """A store that does not check what it is sent, or someone else who writes to the bucket."""
    told = await announce(site)
    blobs, media = bucket(site), told["media"]["_id"]
    await blobs.client.call("put_object", Key=blobs.key(media), Body=wrong)
    answer = await finalize(site, told)
    assert refusal(answer) == (422, "checksum-mismatch")
    assert "again" in answer.json()["detail"]
    assert await in_bucket(site) == []
    assert refusal(await finalize(site, told)) == (404, "not-found")
    assert await usage(site) == (0, 0)


async def test_an_object_without_a_proof_is_read_back(site: Inside) -> None:
    told = await announce(site)
    blobs = bucket(site)
    await blobs.client.call("put_object", Key=blobs.key(told["media"]["_id"]), Body=BODY)
    assert (await finalize(site, told)).json()["sha256"] == digest(BODY)


async def test_an_object_that_is_changed_behind_our_back_is_not_served(site: Inside) -> None:
    told = await announce(site)
    await put(told["upload"], BODY)
    assert (await finalize(site, told)).status_code == 200
    blobs, media = bucket(site), told["media"]["_id"]
    changed = BODY[:-1] + bytes([BODY[-1] ^ 1])
    await blobs.client.call("put_object", Key=blobs.key(media), Body=changed)
    async with site.http() as viewer:
        with pytest.raises(httpx.RemoteProtocolError):
            await viewer.get(f"/v1/files/{media}")


async def test_a_type_is_known_by_the_first_bytes(site: Inside) -> None:
    page = b"<!DOCTYPE html><script>alert(1)</script>"
    told = await announce(site, page, mime_type="image/png")
    await put(told["upload"], page)
    assert (await finalize(site, told)).json()["mime_type"] == "text/html"


# -- the same upload by another transport


async def test_an_announced_file_may_still_come_here(site: Inside, s3_home: str) -> None:
    body = b"by the channel"
    told = await announce(site, body)
    media = told["media"]["_id"]
    async with channel(site) as wire:
        await wire.resume(1, media)
        await wire.chunk(1, 0, body)
        await wire.stored(1)
    file = (await finalize(site, told)).json()
    assert file["crc32c"] is not None
    async with site.http() as viewer:
        assert (await viewer.get(f"/v1/files/{media}")).content == body


async def test_pieces_that_came_here_are_dropped_when_the_bucket_has_the_file(
    site: Inside, database: Database
) -> None:
    told = await announce(site)
    media = told["media"]["_id"]
    async with channel(site) as wire:
        await wire.resume(1, media)
        await wire.chunk(1, 0, b"x" * MIB)
        await wire.stored(1)
    await put(told["upload"], BODY)
    assert (await finalize(site, told)).status_code == 200
    assert await database.chunks.count_documents({}) == 0
    async with site.http() as viewer:
        assert (await viewer.get(f"/v1/files/{media}")).content == BODY


# -- the end of an announcement


async def test_an_announcement_that_is_deleted_leaves_nothing(site: Inside) -> None:
    told = await announce(site)
    await put(told["upload"], BODY)
    large = await announce(site, LARGE)
    page = await parts_of(site, large)
    await put(page["parts"][0], LARGE[:PART])
    assert len(await in_bucket(site)) == 2
    async with site.http() as back_end:
        for each in (told, large):
            gone = await back_end.delete(f"/v1/uploads/{each['media']['_id']}")
            assert gone.status_code == 204
    assert await in_bucket(site) == []
    assert await usage(site) == (0, 0)


# -- parts


async def test_a_large_file_is_sent_in_parts(site: Inside) -> None:
    told = await announce(site, LARGE)
    media, parts = told["media"]["_id"], told["upload"]["parts"]
    assert "direct" not in told["upload"]
    assert (parts["size"], parts["count"]) == (PART, 3)
    first = await parts_of(site, told, limit=2)
    rest = await parts_of(site, told, **{"from": first["next"]})
    assert (first["next"], rest["next"]) == (3, None)
    every = first["parts"] + rest["parts"]
    assert [(each["number"], each["start"], each["size"]) for each in every] == [
        (1, 0, PART),
        (2, PART, PART),
        (3, 2 * PART, 2 * MIB + 9),
    ]
    for part in (every[2], every[0]):
        body = LARGE[part["start"] : part["start"] + part["size"]]
        assert (await put(part, body)).status_code == 200
    assert (await put(every[1], b"too short")).status_code >= 400
    answer = await finalize(site, told)
    assert refusal(answer) == (409, "incomplete")
    assert answer.json()["missing"] == [[PART, 2 * PART]]
    again = (await parts_of(site, told))["parts"]
    assert [each["stored"] for each in again] == [True, False, True]
    assert (await put(again[1], LARGE[PART : 2 * PART])).status_code == 200
    assert (await finalize(site, told)).json()["sha256"] == digest(LARGE)
    assert (await finalize(site, told)).status_code == 200
    assert await in_bucket(site) == [media]
    async with site.http() as viewer:
        assert (await viewer.get(f"/v1/files/{media}")).content == LARGE
        after = await viewer.get(parts["url"])
        assert refusal(after) == (409, "already-complete")


async def test_a_wrong_byte_in_a_part_is_found_by_reading_back(site: Inside) -> None:
    told = await announce(site, LARGE)
    wrong = LARGE[:7] + b"?" + LARGE[8:]
    for part in (await parts_of(site, told))["parts"]:
        await put(part, wrong[part["start"] : part["start"] + part["size"]])
    assert refusal(await finalize(site, told)) == (422, "checksum-mismatch")
    assert await in_bucket(site) == []
    assert await usage(site) == (0, 0)


async def test_parts_that_are_joined_need_not_be_sent_again(site: Inside) -> None:
    told = await announce(site, LARGE)
    parts = (await parts_of(site, told))["parts"]
    for part in parts:
        await put(part, LARGE[part["start"] : part["start"] + part["size"]])
    manifest = await manifest_of(site, told["media"]["_id"])
    direct = bucket(site).direct
    await direct.join(manifest, [part async for part in direct.every_part(manifest)])
    again = (await parts_of(site, told))["parts"]
    assert [each["stored"] for each in again] == [True] * len(parts)
    assert (await finalize(site, told)).status_code == 200


async def test_parts_that_the_bucket_deleted_are_sent_here(site: Inside) -> None:
    told = await announce(site, LARGE)
    for part in (await parts_of(site, told))["parts"]:
        await put(part, LARGE[part["start"] : part["start"] + part["size"]])
    async for each in bucket(site).unfinished():
        await bucket(site).abort(each)
    async with site.http() as back_end:
        answer = await back_end.get(f"/v1/media/{told['media']['_id']}/parts")
    assert refusal(answer) == (404, "not-found")


async def test_who_comes_back_for_a_file_that_takes_long_gets_202_meanwhile(site: Inside) -> None:
    for body, outcome in ((LARGE, 200), (LARGE[:-1] + bytes([LARGE[-1] ^ 1]), 422)):
        told = await announce(site, LARGE)
        for part in (await parts_of(site, told))["parts"]:
            sent = body[part["start"] : part["start"] + part["size"]]
            assert (await put(part, sent)).status_code == 200
        address = f"/v1/media/{told['media']['_id']}/finalize"
        answers: list[httpx.Response] = []
        async with site.http() as back_end:
            while not answers or answers[-1].status_code == 202:
                prefer = {"Prefer": "respond-async, wait=0"}
                answers.append(await back_end.post(address, headers=prefer))
        assert len(answers) > 1
        last = 0
        for each in answers[:-1]:
            assert each.headers["preference-applied"] == "respond-async"
            assert each.headers["retry-after"] == "1"
            so_far = each.json()
            assert so_far["state"] == "verifying"
            assert so_far["total"] in (0, len(LARGE))
            assert last <= so_far["done"] <= so_far["total"]
            last = so_far["done"]
        assert answers[-1].status_code == outcome, "the outcome is kept for who comes back"


async def test_a_client_that_knows_no_parts_sends_the_file_here(site: Inside) -> None:
    told = await announce(site, LARGE)
    async with httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=30) as browser:
        sent = await browser.put(
            told["upload"]["url"], headers=told["upload"]["headers"], content=LARGE
        )
    assert sent.status_code == 200, sent.text
    assert (await finalize(site, told)).status_code == 200


async def test_a_file_of_one_put_has_no_parts(site: Inside) -> None:
    told = await announce(site)
    async with site.http() as back_end:
        answer = await back_end.get(f"/v1/media/{told['media']['_id']}/parts")
    assert refusal(answer) == (404, "not-found")


# -- after an interruption


async def test_where_the_bytes_go_is_said_again(site: Inside) -> None:
    told = await announce(site, fingerprint="mine")
    async with site.http() as back_end:
        found = (await back_end.get("/v1/uploads?fingerprint=mine")).json()["uploads"]
    assert [each["_id"] for each in found] == [told["media"]["_id"]]
    again = (await show(site, told)).json()["upload"]
    assert (again["direct"], again["headers"]) == (True, told["upload"]["headers"])
    assert (await put(again, BODY)).status_code == 200
    assert (await finalize(site, told)).status_code == 200
    assert (await show(site, told)).json()["upload"] is None


async def test_where_the_parts_go_is_said_again(site: Inside) -> None:
    told = await announce(site, LARGE)
    again = (await show(site, told)).json()
    assert again["upload"]["parts"]["count"] == 3
    for part in (await parts_of(site, again))["parts"]:
        await put(part, LARGE[part["start"] : part["start"] + part["size"]])
    assert (await finalize(site, told)).status_code == 200


# -- without the bucket


async def test_without_credentials_for_the_bucket_the_bytes_come_here(
    database_url: str, tmp_path: Path, seaweed: SeaweedFS, s3_home: str
) -> None:
    settings: dict[str, Any] = {"blobs": s3_home, **seaweed.settings()}
    async with inside(tmp_path, database_url, limits=LIMITS, **settings) as site:
        told = await announce(site)
        assert "direct" not in told["upload"]
        assert told["upload"]["url"].startswith("/v1/g/")


# -- what becomes of it later


async def move(site: Inside, media: str, target: str) -> Manifest:
    """Bring a file to another home, as `lading move` does; the manifest afterwards."""
    uploads = site.services.uploads
    storage = uploads._storage
    async with asyncio.timeout(60):
        while True:  # until nobody works on its images any more
            seen, now = await storage.manifests.get(media), storage.clock()
            assert seen is not None
            if not seen.todo:
                break
            await asyncio.sleep(0.02)
    claim = await storage.outbox.begin_move(seen, target, now=now, claimed_until=now + 30)
    assert claim is not None
    await uploads.todo.begin(claim)
    moved = await storage.manifests.get(media)
    assert moved is not None
    assert (moved.blobs, moved.todo) == (target, ())
    return moved


async def published(site: Inside) -> Manifest:
    """A file that was sent to the bucket."""
    told = await announce(site)
    await put(told["upload"], BODY)
    assert (await finalize(site, told)).status_code == 200
    return await manifest_of(site, told["media"]["_id"])


async def test_a_direct_file_moves_like_any_other(
    site: Inside, tmp_path: Path, database: Database
) -> None:
    file = await published(site)
    directory = f"file://{tmp_path}/files"
    Directory(f"{tmp_path}/files", create=True).close()
    async with site.http() as viewer:
        before = await viewer.get(f"/v1/files/{file.id}")
        for target in ("mongo", directory):
            moved = await move(site, file.id, target)
            assert moved.etag is None
            assert await in_bucket(site) == []
            after = await viewer.get(f"/v1/files/{file.id}")
            assert after.content == BODY
            assert after.headers["etag"] == before.headers["etag"], "the same bytes"
    assert await database.chunks.count_documents({"data": {"$exists": True}}) == 0
    janitor = Janitor(site.services.uploads._storage, tombstone_ttl=60)
    assert [each async for each in janitor.auditor().findings()] == []


async def test_a_move_of_a_direct_file_that_broke_off_is_repeated(site: Inside) -> None:
    file = await published(site)
    contents = site.services.uploads._storage.contents
    await contents.enlist(file, Piece(0, MIB, crc32c(BODY[:MIB])))
    assert (await move(site, file.id, "mongo")).etag is None
    async with site.http() as viewer:
        assert (await viewer.get(f"/v1/files/{file.id}")).content == BODY


async def test_who_reads_a_direct_file_while_it_moves_reads_on(site: Inside) -> None:
    file = await published(site)
    reading = site.services.uploads.read(file, 0, len(BODY))
    got = await anext(reading)
    await move(site, file.id, "mongo")
    async for data in reading:
        got += data
    assert got == BODY


async def test_the_audit_reads_direct_files_too(site: Inside) -> None:
    told = await announce(site)
    media = told["media"]["_id"]
    await put(told["upload"], BODY)
    await finalize(site, told)
    unfinished = await announce(site, LARGE)
    await put((await parts_of(site, unfinished))["parts"][0], LARGE[:PART])
    janitor = Janitor(site.services.uploads._storage, tombstone_ttl=60)
    assert [each async for each in janitor.auditor().findings()] == []
    blobs = bucket(site)
    await blobs.client.call("put_object", Key=blobs.key(media), Body=BODY[::-1])
    found = [(each.kind, each.id) async for each in janitor.auditor().findings()]
    assert found == [("damaged", media)]
    await blobs.client.call("delete_object", Key=blobs.key(media))
    found = [(each.kind, each.id) async for each in janitor.auditor().findings()]
    assert found == [("missing", media)]


async def test_an_announcement_that_expires_gives_everything_back(site: Inside) -> None:
    told = await announce(site)
    await put(told["upload"], BODY)
    large = await announce(site, LARGE)
    await put((await parts_of(site, large))["parts"][0], LARGE[:PART])
    storage = site.services.uploads._storage
    late = PlainClock(lambda: storage.clock() + site.services.settings.upload_ttl + 1)
    report = await Janitor(replace(storage, clock=late), tombstone_ttl=60).sweeper.sweep()
    assert (report.expired, report.failed) == (2, 0)
    assert await in_bucket(site) == []
    assert await usage(site) == (0, 0)
    assert refusal(await finalize(site, told)) == (410, "gone")
