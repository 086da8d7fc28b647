"""tus 1.0, statement by statement, over raw sockets: core and extensions.

`docs/interop.md` names the test of each MUST and SHOULD.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from bson import ObjectId

from lading.protocol.digests import crc32c
from lading.protocol.manifest import MAX_INTEGER
from lading.server.limits import USUAL_LIMITS
from tests.conftest import Mongo
from tests.support.raw import Answer, ask, raw
from tests.support.servers import Process, Running, inside
from tests.support.tus import (
    BYTES,
    DATA,
    TUS,
    content,
    create,
    manifest_of,
    metadata,
    offset_of,
    patch,
    path_of,
)

ABSENT = "/v1/tus/" + "0" * 24
SIZE = len(DATA)


def text(answer: Answer) -> str:
    return answer.content.decode()


# -- versions


async def test_options_tells_what_is_spoken(server: Process) -> None:
    for path in ("/v1/tus", ABSENT):
        for headers in ({}, {"tus-resumable": "0.2.2"}):
            told = await ask(server, "OPTIONS", path, headers)
            assert told.status == 204
            assert told["tus-version"] == "1.0.0"
            assert told["tus-max-size"] == str(MAX_INTEGER)
            assert told["tus-checksum-algorithm"] == "sha1,sha256,crc32c"
            assert told["tus-extension"].split(",") == [
                "creation",
                "creation-with-upload",
                "creation-defer-length",
                "expiration",
                "checksum",
                "checksum-trailer",
                "termination",
                "concatenation",
                "concatenation-unfinished",
            ]


@pytest.mark.parametrize("headers", [{}, {"tus-resumable": "0.2.2"}])
async def test_another_version_is_refused_and_nothing_is_done(
    server: Process, headers: dict[str, str]
) -> None:
    path = await create(server, 10)
    for method, address in (
        ("POST", "/v1/tus"),
        ("HEAD", path),
        ("PATCH", path),
        ("DELETE", path),
        ("PATCH", ABSENT),
    ):
        more = {"content-type": BYTES["content-type"], "upload-offset": "0", "upload-length": "10"}
        told = await ask(
            server, method, address, {**headers, **more}, b"hello" if method == "PATCH" else b""
        )
        assert (told.status, told["tus-version"]) == (412, "1.0.0")
        assert told["tus-resumable"] == "1.0.0"
    assert await offset_of(server, path) == 0


async def test_every_answer_names_the_version(server: Process) -> None:
    path = await create(server, 10)
    for method, address, headers in (
        ("HEAD", path, TUS),
        ("HEAD", ABSENT, TUS),
        ("PATCH", path, {**BYTES, "upload-offset": "7"}),
        ("PATCH", path, TUS),
        ("PUT", path, TUS),
        ("POST", "/v1/tus", TUS),
        ("POST", "/v1/tus", {**TUS, "upload-length": "1"}),
        ("POST", "/v1/tus?unknown=1", TUS),
        ("POST", "/v1/tus", {**TUS, "authorization": "Bearer x"}),
        ("DELETE", path, TUS),
    ):
        assert (await ask(server, method, address, headers))["tus-resumable"] == "1.0.0"


async def test_refusals_are_a_sentence_or_json_for_those_who_ask(server: Process) -> None:
    plain = await ask(server, "PATCH", ABSENT, {**BYTES, "upload-offset": "0", "accept": "*/*"})
    assert (plain.status, plain["content-type"]) == (404, "text/plain; charset=utf-8")
    assert text(plain).startswith("There is no upload")
    told = await ask(
        server, "PATCH", ABSENT, {**BYTES, "upload-offset": "0", "accept": "application/json"}
    )
    assert told["content-type"] == "application/problem+json"
    assert json.loads(told.content)["code"] == "not-found"


# -- HEAD


async def test_head_tells_offset_and_length_and_is_never_cached(server: Process) -> None:
    path = await create(server, 10)
    for data, offset in ((b"", 0), (b"hello", 5), (b"world", 10)):
        await patch(server, path, max(0, offset - 5), data)
        told = await ask(server, "HEAD", path, TUS)
        assert told.status == 200
        assert (told["upload-offset"], told["upload-length"]) == (str(offset), "10")
        assert told["cache-control"] == "no-store"
        assert "upload-defer-length" not in told.headers


async def test_head_of_what_is_not_there_has_no_offset(server: Process) -> None:
    for path in (ABSENT, "/v1/tus/x", "/v1/tus/" + "A" * 24):
        told = await ask(server, "HEAD", path, TUS)
        assert told.status == 404
        assert "upload-offset" not in told.headers
    expired = await create(server, 10)
    path = await create(server, 10)
    await ask(server, "DELETE", path, TUS)
    assert (await ask(server, "HEAD", path, TUS)).status == 404
    assert (await ask(server, "HEAD", expired, TUS)).status == 200


# -- PATCH


async def test_a_whole_upload(server: Process) -> None:
    path = await create(server, upload_metadata=metadata(filename="film.mp4", filetype="video/mp4"))
    position = 0
    for size in (1_000_000, 1, 700_000, SIZE):
        data = DATA[position : position + size]
        told = await patch(server, path, position, data)
        position += len(data)
        assert (told.status, told["upload-offset"]) == (204, str(position))
        assert told.content == b""
    assert await content(server, path) == DATA
    manifest = await manifest_of(server, path)
    assert (manifest["name"], manifest["mime_type"]) == ("film.mp4", "video/mp4")
    assert manifest["state"] == "ready"


async def test_a_patch_of_another_type_is_refused(server: Process) -> None:
    path = await create(server, 10)
    for kind in ("application/octet-stream", "", "application/offset+octet-streams"):
        told = await patch(server, path, 0, b"hello", content_type=kind)
        assert told.status == 415
    assert (
        await patch(server, path, 0, b"hello", content_type=f"{BYTES['content-type']}; a=b")
    ).status == 204


@pytest.mark.parametrize("offset", [0, 4, 6, 10, 11, MAX_INTEGER])
async def test_a_patch_elsewhere_is_a_conflict_that_changes_nothing(
    server: Process, offset: int
) -> None:
    path = await create(server, 10)
    await patch(server, path, 0, b"hello")
    told = await patch(server, path, offset, b"hello")
    assert (told.status, told["upload-offset"]) == (409, "5")
    assert await offset_of(server, path) == 5


@pytest.mark.parametrize("offset", [None, "", "-1", "x", "1.0"])
async def test_a_patch_needs_an_offset(server: Process, offset: str | None) -> None:
    path = await create(server, 10)
    headers = BYTES if offset is None else {**BYTES, "upload-offset": offset}
    assert (await ask(server, "PATCH", path, headers, b"hello")).status == 400
    assert await offset_of(server, path) == 0


async def test_a_patch_to_nothing_is_not_found(server: Process) -> None:
    assert (await patch(server, ABSENT, 0, b"x")).status == 404


async def test_more_bytes_than_announced_are_too_large(server: Process) -> None:
    path = await create(server, 10)
    assert (await patch(server, path, 0, b"hello world")).status == 413
    assert await offset_of(server, path) <= 10
    whole = await create(server, 5)
    assert (await patch(server, whole, 0, b"hello")).status == 204
    assert (await patch(server, whole, 5, b"!")).status == 413
    assert (await patch(server, whole, 5, b"")).status == 204
    assert (await patch(server, whole, 0, b"hello")).status == 409
    assert await content(server, whole) == b"hello"


async def test_a_patch_without_a_length_is_taken(server: Process) -> None:
    path = await create(server, 10)
    async with raw(server) as connection:
        headers = {**BYTES, "upload-offset": "0", "transfer-encoding": "chunked"}
        await connection.head("PATCH", path, headers)
        await connection.send(b"5\r\nhello\r\n")
        await connection.send(b"5\r\nworld\r\n0\r\n\r\n")
        assert (await connection.answer())["upload-offset"] == "10"
    assert await content(server, path) == b"helloworld"


async def test_a_patch_that_breaks_off_keeps_what_came(server: Process) -> None:
    path = await create(server)
    async with raw(server) as connection:
        headers = {**BYTES, "upload-offset": "0", "content-length": str(SIZE)}
        await connection.head("PATCH", path, headers)
        await connection.send(DATA[:1_500_000])
        while await offset_growing(server, path) < 1_048_576:
            pass
        connection.cut()
    offset = await offset_of(server, path)
    assert offset >= 1_048_576
    assert (await patch(server, path, offset, DATA[offset:])).status == 204
    assert await content(server, path) == DATA


async def test_a_patch_that_hangs_keeps_what_came_and_no_memory(
    tmp_path: Path, database_url: str
) -> None:
    limits = replace(USUAL_LIMITS, http=replace(USUAL_LIMITS.http, idle_seconds=0.05))
    async with inside(tmp_path, database_url, limits=limits) as server, raw(server) as connection:
        budget, path = server.services.budget, await create(server)
        headers = {**BYTES, "upload-offset": "0", "content-length": str(SIZE)}
        await connection.head("PATCH", path, headers)
        for end in (500, 1_500_000):
            start = await offset_growing(server, path)
            await connection.send(DATA[start:end])
            while await offset_growing(server, path) < end or budget.free < budget.total:
                pass
        await connection.send(DATA[1_500_000:])
        assert (await connection.answer())["upload-offset"] == str(SIZE)
        assert await content(server, path) == DATA


async def offset_growing(server: Running, path: str) -> int:
    """How much is durable, without ending the request that appends."""
    manifest = json.loads((await ask(server, "GET", path.replace("tus", "uploads"))).content)
    size: int = manifest["upload_size"]
    return size


async def test_a_newer_request_ends_the_one_that_hangs(server: Process) -> None:
    path = await create(server)
    async with raw(server) as older, raw(server) as newer:
        headers = {**BYTES, "upload-offset": "0", "content-length": str(SIZE)}
        await older.head("PATCH", path, headers)
        await older.send(DATA[:1_200_000])
        while await offset_growing(server, path) < 1_048_576:
            pass
        offset = await offset_of(server, path)
        assert offset >= 1_048_576
        told = await older.answer()
        assert told.status == 409
        assert await older.ended()
        await newer.head(
            "PATCH",
            path,
            {**headers, "upload-offset": str(offset), "content-length": str(SIZE - offset)},
        )
        await newer.send(DATA[offset:])
        assert (await newer.answer()).status == 204
    assert await content(server, path) == DATA


# -- the method's other name


async def test_the_method_may_be_overridden(server: Process) -> None:
    path = await create(server, 10)
    headers = {**BYTES, "upload-offset": "0", "x-http-method-override": "PATCH"}
    assert (await ask(server, "POST", path, headers, b"hello"))["upload-offset"] == "5"
    told = await ask(server, "POST", path, {**TUS, "x-http-method-override": "HEAD"})
    assert told["upload-offset"] == "5"
    # The actual method is ignored.
    gone = await ask(server, "PATCH", path, {**TUS, "x-http-method-override": "DELETE"})
    assert gone.status == 204
    assert (await ask(server, "HEAD", path, TUS)).status == 404
    for odd in ("POST", "NONSENSE", ""):
        assert (
            await ask(server, "POST", path, {**TUS, "x-http-method-override": odd})
        ).status == 405


async def test_a_method_that_changes_nothing_stays_one(server: Process) -> None:
    path = await create(server, 5)
    await patch(server, path, 0, b"hello")
    override = {**TUS, "x-http-method-override": "DELETE"}
    # The cookie alone, as a page of another site would have it sent.
    assert server.token is not None
    cookies = {"lading_token": server.token}
    async with httpx.AsyncClient(base_url=server.url, cookies=cookies, headers=override) as http:
        for method in ("GET", "HEAD"):
            assert (await http.request(method, path)).status_code == 405
    assert await content(server, path) == b"hello"


@pytest.mark.parametrize("meant", ["DELETE", "PATCH", "HEAD"])
async def test_nothing_is_created_by_another_method(server: Process, meant: str) -> None:
    headers = {**TUS, "upload-length": "5", "x-http-method-override": meant}
    told = await ask(server, "POST", "/v1/tus", headers)
    assert (told.status, "location" in told.headers) == (405, False)


# -- creation


async def test_creation_answers_with_an_absolute_address(server: Process) -> None:
    made = await ask(server, "POST", "/v1/tus", {**TUS, "upload-length": "10"})
    assert made.status == 201
    assert made["location"].startswith(f"{server.url}/v1/tus/")
    assert "upload-offset" not in made.headers
    assert await offset_of(server, path_of(made)) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upload-length": "x"},
        {"upload-length": "-1"},
        {"upload-length": ""},
        {"upload-defer-length": "0"},
        {"upload-defer-length": "2"},
        {"upload-length": "1", "upload-defer-length": "1"},
        {"upload-length": "1", "upload-metadata": "a b c"},
        {"upload-length": "1", "upload-metadata": ""},
        {"upload-length": "1", "upload-concat": "both"},
    ],
)
async def test_creation_needs_a_length_and_sound_headers(
    server: Process, headers: dict[str, str]
) -> None:
    assert (await ask(server, "POST", "/v1/tus", {**TUS, **headers})).status == 400


async def test_a_length_beyond_the_maximum_is_too_large(server: Process) -> None:
    told = await ask(server, "POST", "/v1/tus", {**TUS, "upload-length": str(MAX_INTEGER + 1)})
    assert told.status == 413


async def test_an_empty_upload_is_complete_at_once(server: Process) -> None:
    path = await create(server, 0)
    assert await offset_of(server, path) == 0
    assert await content(server, path) == b""


async def test_metadata_is_kept_as_it_was_given(server: Process) -> None:
    value = metadata(filename="Größe 1.txt", relativePath="a/b/Größe 1.txt", own="x") + ",flag"
    path = await create(server, 3, upload_metadata=value)
    assert (await ask(server, "HEAD", path, TUS))["upload-metadata"] == value
    await patch(server, path, 0, b"abc")
    assert (await ask(server, "HEAD", path, TUS))["upload-metadata"] == value
    manifest = await manifest_of(server, path)
    assert (manifest["name"], manifest["directory"]) == ("Größe 1.txt", "a/b")


async def test_what_browsers_send_for_nothing_is_nothing(server: Process) -> None:
    value = metadata(name="a.txt", relativePath="null", filetype="")
    path = await create(server, 0, upload_metadata=value)
    manifest = await manifest_of(server, path)
    assert (manifest["name"], manifest["directory"]) == ("a.txt", "")


async def test_metadata_that_is_no_name_is_refused(server: Process) -> None:
    told = await ask(
        server, "POST", "/v1/tus", {**TUS, "upload-length": "1", "upload-metadata": "filename AGE="}
    )
    assert (told.status, text(told)) == (400, "name must not hold NUL.\n")


async def test_the_query_names_directory_and_tags(server: Process) -> None:
    made = await ask(
        server,
        "POST",
        "/v1/tus?directory=top&tag=x&tag=y",
        {**TUS, "upload-length": "0", "upload-metadata": metadata(relativePath="in/a.txt")},
    )
    manifest = await manifest_of(server, path_of(made))
    assert (manifest["name"], manifest["directory"]) == ("a.txt", "top/in")
    assert manifest["tags"] == ["x", "y"]


# -- creation with upload


async def test_the_first_bytes_may_come_with_the_creation(server: Process) -> None:
    headers = {**BYTES, "upload-length": "10"}
    made = await ask(server, "POST", "/v1/tus", headers, b"hello")
    assert (made.status, made["upload-offset"]) == (201, "5")
    path = path_of(made)
    assert (await patch(server, path, 5, b"world")).status == 204
    assert await content(server, path) == b"helloworld"
    whole = await ask(server, "POST", "/v1/tus", headers, b"helloworld")
    assert whole["upload-offset"] == "10"
    assert await content(server, path_of(whole)) == b"helloworld"


async def test_first_bytes_of_another_type_are_refused(server: Process) -> None:
    headers = {**TUS, "upload-length": "10", "content-type": "text/plain"}
    assert (await ask(server, "POST", "/v1/tus", headers, b"hello")).status == 415
    assert (await ask(server, "POST", "/v1/tus", headers)).status == 201


async def test_a_client_that_expects_an_answer_gets_it_before_it_sends(server: Process) -> None:
    async with raw(server) as connection:
        headers = {**BYTES, "upload-length": "5", "content-length": "5", "expect": "100-continue"}
        await connection.head("POST", "/v1/tus", headers)
        assert (await connection.one()).status == 100
        await connection.send(b"hello")
        assert (await connection.answer()).status == 201
    async with raw(server) as connection:
        await connection.head("POST", "/v1/tus", {**headers, "upload-length": "x"})
        assert (await connection.one()).status == 400


# -- a length that follows


async def test_the_length_may_follow(server: Process) -> None:
    path = await create(server, None)
    told = await ask(server, "HEAD", path, TUS)
    assert (told["upload-defer-length"], told["upload-offset"]) == ("1", "0")
    assert "upload-length" not in told.headers
    assert (await patch(server, path, 0, b"hello")).status == 204
    assert (await ask(server, "HEAD", path, TUS))["upload-defer-length"] == "1"
    assert (await patch(server, path, 5, b"wor", upload_length="10")).status == 204
    told = await ask(server, "HEAD", path, TUS)
    assert (told["upload-length"], told["upload-offset"]) == ("10", "8")
    assert "upload-defer-length" not in told.headers
    assert (await patch(server, path, 8, b"ld", upload_length="11")).status == 400
    assert (await patch(server, path, 8, b"ld", upload_length="10")).status == 204
    assert await content(server, path) == b"helloworld"


async def test_the_length_may_follow_with_an_empty_patch(server: Process) -> None:
    path = await create(server, None)
    await patch(server, path, 0, b"hello")
    assert (await patch(server, path, 5, b"", upload_length="4")).status == 400
    assert (await patch(server, path, 5, b"", upload_length="5")).status == 204
    assert await content(server, path) == b"hello"


# -- expiration


async def test_answers_tell_when_the_upload_expires(server: Process) -> None:
    made = await ask(server, "POST", "/v1/tus", {**TUS, "upload-length": "10"})
    path = path_of(made)
    for told in (
        made,
        await patch(server, path, 0, b"hello"),
        await ask(server, "HEAD", path, TUS),
    ):
        left = parsedate_to_datetime(told["upload-expires"]).timestamp() - time.time()
        assert told["upload-expires"].endswith(" GMT")
        assert 23 * 3600 < left < 25 * 3600
    for refused, status in (
        (await patch(server, path, 4, b"x"), 409),
        (await patch(server, path, 5, b"world!"), 413),
        (await patch(server, path, 5, b"w", upload_checksum=checksum("sha1", b"x")), 460),
    ):
        assert (refused.status, "upload-expires" in refused.headers) == (status, True)
    offset = await offset_of(server, path)
    done = await patch(server, path, offset, b"helloworld"[offset:])
    assert (done.status, "upload-expires" in done.headers) == (204, False)


async def test_an_expired_upload_is_gone(server: Process, mongo: Mongo) -> None:
    path = await create(server, 10)
    key = {"_id": ObjectId(path.rsplit("/", 1)[1])}
    mongo["shared"]["manifests"].update_one(key, {"$set": {"state": "expired"}})
    for told in (await ask(server, "HEAD", path, TUS), await patch(server, path, 0, b"hello")):
        assert told.status == 410
        assert "upload-offset" not in told.headers


# -- checksum


def checksum(algorithm: str, data: bytes) -> str:
    digest = {
        "sha1": lambda: hashlib.sha1(data, usedforsecurity=False).digest(),
        "sha256": lambda: hashlib.sha256(data).digest(),
        "crc32c": lambda: crc32c(data).to_bytes(4, "big"),
    }[algorithm]()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "crc32c"])
async def test_a_checksum_is_verified_before_anything_is_stored(
    server: Process, algorithm: str
) -> None:
    path = await create(server)
    damaged = await patch(
        server, path, 0, DATA[:-1] + b"x", upload_checksum=checksum(algorithm, DATA)
    )
    assert damaged.status == 460
    assert await offset_of(server, path) == 0
    half = 1_300_000
    told = await patch(
        server, path, 0, DATA[:half], upload_checksum=checksum(algorithm, DATA[:half])
    )
    assert (told.status, told["upload-offset"]) == (204, str(half))
    wrong = await patch(server, path, half, DATA[half:], upload_checksum=checksum(algorithm, b""))
    assert (wrong.status, await offset_of(server, path)) == (460, half)
    rest = checksum(algorithm, DATA[half:])
    assert (await patch(server, path, half, DATA[half:], upload_checksum=rest)).status == 204
    assert await content(server, path) == DATA


@pytest.mark.parametrize("value", ["md5 YQ==", "sha1", "sha1 YQ==", "", "SHA1 x"])
async def test_a_checksum_that_is_not_understood_is_refused(server: Process, value: str) -> None:
    path = await create(server, 10)
    assert (await patch(server, path, 0, b"hello", upload_checksum=value)).status == 400
    assert await offset_of(server, path) == 0


async def test_a_body_with_a_checksum_that_breaks_off_is_discarded(server: Process) -> None:
    path = await create(server)
    async with raw(server) as connection:
        headers = {**BYTES, "upload-offset": "0", "content-length": str(SIZE)}
        await connection.head("PATCH", path, {**headers, "upload-checksum": checksum("sha1", DATA)})
        await connection.send(DATA[:1_500_000])
        connection.cut()
    assert await offset_of(server, path) == 0


async def test_a_checksum_may_be_a_trailer(server: Process) -> None:
    path = await create(server, 10)
    head = {**BYTES, "transfer-encoding": "chunked", "trailer": "Upload-Checksum"}

    async def send(offset: int, trailer: str) -> int:
        async with raw(server) as connection:
            await connection.head("PATCH", path, {**head, "upload-offset": str(offset)})
            await connection.send(b"5\r\nhello\r\n0\r\n" + trailer.encode() + b"\r\n")
            return (await connection.answer()).status

    assert await send(0, f"Upload-Checksum: {checksum('sha256', b'other')}\r\n") == 460
    assert await send(0, "") == 400
    assert await send(0, "Upload-Checksum: md5 YQ==\r\n") == 400
    assert await offset_of(server, path) == 0
    assert await send(0, f"Upload-Checksum: {checksum('sha1', b'hello')}\r\n") == 204
    assert await send(5, f"upload-checksum: {checksum('crc32c', b'hello')}\r\n") == 204
    assert await content(server, path) == b"hellohello"


async def test_a_creation_with_a_wrong_checksum_creates_nothing(server: Process) -> None:
    headers = {**BYTES, "upload-length": "5", "upload-checksum": checksum("sha1", b"other")}
    told = await ask(server, "POST", "/v1/tus", headers, b"hello")
    assert told.status == 460
    assert "location" not in told.headers


# -- termination


async def test_termination_deletes_uploads_and_files(server: Process) -> None:
    for data in (b"hello", b"helloworld"):
        path = await create(server, 10)
        await patch(server, path, 0, data)
        assert (await ask(server, "DELETE", path, TUS)).status == 204
        for method in ("HEAD", "DELETE"):
            assert (await ask(server, method, path, TUS)).status == 404
        assert (await patch(server, path, len(data), b"x")).status == 404
        assert (await ask(server, "GET", path.replace("tus", "files"))).status == 404
