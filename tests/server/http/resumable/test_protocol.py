"""The IETF's resumable uploads, statement by statement, over raw sockets, in each version.

`docs/interop.md` names the test of each MUST and SHOULD.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bson import ObjectId

from lading.server.limits import USUAL_LIMITS
from tests.conftest import Mongo
from tests.support.raw import Answer, ask, raw
from tests.support.servers import Inside, Process, Running, inside

DATA = Random(6).randbytes(2_300_000)
SIZE = len(DATA)
VERSIONS = [3, 5, 6, 8]
ABSENT = "/v1/resumable/" + "0" * 24
PROBLEMS = "https://iana.org/assignments/http-problem-types#"


def said(version: int, *, complete: bool, **more: str) -> dict[str, str]:
    """The headers of a request in a version of the draft."""
    if version == 3:
        state = {"upload-incomplete": "?0" if complete else "?1"}
    else:
        state = {"upload-complete": "?1" if complete else "?0"}
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"upload-draft-interop-version": str(version), **state, **named}


def asked(version: int) -> dict[str, str]:
    """The headers of a request that says nothing of the state."""
    return {"upload-draft-interop-version": str(version)}


def state(answer: Answer, version: int) -> bool | None:
    """The completeness that an answer tells."""
    if version == 3:
        return {"?0": True, "?1": False, None: None}[answer.get("upload-incomplete")]
    return {"?1": True, "?0": False, None: None}[answer.get("upload-complete")]


def path_of(answer: Answer) -> str:
    return "/" + answer["location"].split("/", 3)[3]


async def create(server: Running, version: int, data: bytes = b"", **more: str) -> str:
    """An upload that is not complete."""
    made = await ask(server, "POST", "/v1/resumable", said(version, complete=False, **more), data)
    assert made.status == 201, made
    return path_of(made)


async def patch(
    server: Running,
    version: int,
    path: str,
    offset: int,
    data: bytes,
    *,
    complete: bool,
    **more: str,
) -> Answer:
    headers = said(version, complete=complete, upload_offset=str(offset), **more)
    headers.setdefault("content-type", "application/partial-upload")
    return await ask(server, "PATCH", path, headers, data)


async def look(server: Running, version: int, path: str, method: str = "HEAD") -> Answer:
    return await ask(server, method, path, asked(version))


async def offset_of(server: Running, path: str) -> int:
    return int((await look(server, 8, path))["upload-offset"])


async def content(server: Running, path: str) -> bytes:
    return (await ask(server, "GET", f"/v1/files/{path.rsplit('/', 1)[1]}")).content


def problem(answer: Answer) -> dict[str, Any]:
    assert answer["content-type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.content)
    return found


# -- creation


@pytest.mark.parametrize("target", ["/v1/resumable", "/v1/files"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_upload_in_one_request(server: Process, version: int, target: str) -> None:
    headers = said(version, complete=True, upload_length=str(SIZE), content_type="video/mp4")
    headers["content-disposition"] = (
        "inline; filename=\"x.mp4\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.mp4"
    )
    made = await ask(server, "POST", target, headers, DATA)
    assert made.status == 201
    assert state(made, version) is True
    first, *_ = made.interim
    assert first.status == 104
    assert first["upload-draft-interop-version"] == str(version)
    assert first["location"].startswith(f"{server.url}/v1/resumable/")
    assert ("upload-limit" in first.headers) is (version > 5)
    if version < 8:
        assert made["location"] == first["location"]
        assert made["upload-offset"] == str(SIZE)
    manifest = json.loads(made.content)
    assert (manifest["name"], manifest["mime_type"]) == ("Größe.mp4", "video/mp4")
    assert manifest["sha256"] == hashlib.sha256(DATA).hexdigest()
    path = path_of(first)
    assert await content(server, path) == DATA
    told = await look(server, version, path)
    assert (told.status, told["upload-offset"], state(told, version)) == (204, str(SIZE), True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_upload_in_parts(server: Process, version: int) -> None:
    made = await ask(server, "POST", "/v1/resumable", said(version, complete=False), DATA[:1000])
    assert (made.status, state(made, version)) == (201, False)
    assert made.interim[0]["location"] == made["location"]
    assert made.get("upload-limit") == made.interim[0].get("upload-limit")
    path, position = path_of(made), 1000
    for size in (0, 1, 1_500_000):
        part = DATA[position : position + size]
        told = await patch(server, version, path, position, part, complete=False)
        position += size
        assert told.status == (204 if version == 8 else 201)
        assert (told["upload-offset"], state(told, version)) == (str(position), False)
    told = await look(server, version, path)
    assert (told["upload-offset"], state(told, version)) == (str(position), False)
    done = await patch(server, version, path, position, DATA[position:], complete=True)
    assert (done.status, state(done, version)) == (201, True)
    assert done["upload-offset"] == str(SIZE)
    assert json.loads(done.content)["state"] == "ready"
    assert await content(server, path) == DATA


@pytest.mark.parametrize("version", VERSIONS)
async def test_reaching_the_length_is_not_completion(server: Process, version: int) -> None:
    path = await create(server, version, b"hello", upload_length="5")
    told = await look(server, version, path)
    assert (told["upload-offset"], state(told, version)) == ("5", False)
    assert told["upload-length"] == "5"
    done = await patch(server, version, path, 5, b"", complete=True)
    assert (done.status, state(done, version)) == (201, True)
    assert await content(server, path) == b"hello"


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_empty_upload(server: Process, version: int) -> None:
    made = await ask(server, "POST", "/v1/resumable", said(version, complete=True))
    assert (made.status, state(made, version)) == (201, True)
    assert json.loads(made.content)["size"] == 0


@pytest.mark.parametrize("version", [None, "4", "7", "9", "x"])
async def test_without_a_known_version_there_is_no_interim_answer(
    server: Process, version: str | None
) -> None:
    headers = {"upload-complete": "?0"}
    if version is not None:
        headers["upload-draft-interop-version"] = version
    for target in ("/v1/resumable", "/v1/files"):
        made = await ask(server, "POST", target, headers, b"hello")
        assert (made.status, made.interim, made["upload-complete"]) == (201, [], "?0")
        assert await offset_of(server, path_of(made)) == 5


async def test_a_request_that_does_not_ask_is_an_ordinary_one(server: Process) -> None:
    for headers in (
        {},
        {"upload-complete": "?1"},
        asked(8),
        {**asked(8), "upload-complete": "yes"},
    ):
        made = await ask(server, "POST", "/v1/files?name=a.bin", headers, b"hello")
        assert (made.status, made.interim) == (201, [])
        assert "upload-complete" not in made.headers


async def test_a_form_is_not_resumable(server: Process) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhi\r\n--x--\r\n'
    headers = said(8, complete=True, content_type="multipart/form-data; boundary=x")
    made = await ask(server, "POST", "/v1/files", headers, form)
    assert (made.status, made.interim) == (201, [])
    assert json.loads(made.content)["size"] == 2


async def test_interim_answers_do_not_replace_the_one_that_lets_the_client_send(
    server: Process,
) -> None:
    async with raw(server) as connection:
        headers = said(8, complete=True, content_length="5", expect="100-continue")
        await connection.head("POST", "/v1/files", headers)
        assert [(await connection.one()).status for _ in range(2)] == [104, 100]
        await connection.send(b"hello")
        assert (await connection.answer()).status == 201


async def test_a_proxy_may_refuse_interim_answers(server: Process) -> None:
    headers = said(8, complete=True, x_lading_interim="off")
    made = await ask(server, "POST", "/v1/files", headers, b"hello")
    assert (made.status, made.interim, state(made, 8)) == (201, [], True)


async def test_an_old_client_of_http_gets_no_interim_answer(server: Process) -> None:
    async with raw(server) as connection:
        lines = [
            "POST /v1/files HTTP/1.0",
            f"authorization: Bearer {server.token}",
            "content-length: 5",
            "upload-complete: ?1",
            "upload-draft-interop-version: 8",
        ]
        await connection.send("\r\n".join([*lines, "", "hello"]).encode())
        assert (await connection.one()).status == 201


# -- progress


@pytest.fixture
async def eager(tmp_path: Path, database_url: str) -> AsyncIterator[Inside]:
    """A server that tells the progress after each piece."""
    uploads = replace(USUAL_LIMITS.uploads, progress_seconds=0.0)
    limits = replace(USUAL_LIMITS, uploads=uploads)
    async with inside(tmp_path, database_url, limits=limits, chunk_size=65536) as running:
        yield running


@pytest.mark.parametrize("version", VERSIONS)
async def test_interim_answers_tell_the_progress(eager: Inside, version: int) -> None:
    path = await create(eager, version, DATA[:10])
    headers = said(version, complete=True, upload_offset="10")
    headers["content-type"] = "application/partial-upload"
    done = await ask(eager, "PATCH", path, headers, DATA[10:300_000])
    offsets = [int(each["upload-offset"]) for each in done.interim]
    assert offsets == ([] if version == 3 else [65536, 131072, 196608, 262144, 300_000])
    assert not any("location" in each.headers for each in done.interim)
    for each in done.interim:
        assert (each.status, each["upload-draft-interop-version"]) == (104, str(version))
    made = await ask(eager, "POST", "/v1/resumable", said(version, complete=False), DATA[:70_000])
    assert ["location" in each.headers for each in made.interim][:2] == [True, False][
        : len(made.interim)
    ]


# -- interruption


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_that_knew_nothing_goes_on_after_a_break(
    server: Process, version: int
) -> None:
    async with raw(server) as connection:
        headers = said(version, complete=True, content_length=str(SIZE))
        await connection.head("POST", "/v1/files?name=a.bin", headers)
        path = path_of(await connection.one())
        await connection.send(DATA[:1_200_000])
        await until_durable(server, path, 1_048_576)
        connection.cut()
    told = await look(server, version, path)
    assert state(told, version) is False
    assert told["upload-length"] == str(SIZE)
    assert told["cache-control"] == "no-store"
    offset = int(told["upload-offset"])
    assert 1_048_576 <= offset <= 1_200_000
    done = await patch(server, version, path, offset, DATA[offset:], complete=True)
    assert (done.status, state(done, version)) == (201, True)
    assert await content(server, path) == DATA


async def until_durable(server: Running, path: str, size: int) -> None:
    """Wait until so much is durable, without ending the request that appends."""
    address = path.replace("resumable", "uploads")
    while json.loads((await ask(server, "GET", address)).content)["upload_size"] < size:
        pass


@pytest.mark.parametrize("method", ["HEAD", "GET", "PATCH", "DELETE"])
async def test_a_newer_request_ends_the_one_that_hangs(server: Process, method: str) -> None:
    path = await create(server, 8)
    async with raw(server) as older:
        headers = said(8, complete=True, upload_offset="0", content_length=str(SIZE))
        headers["content-type"] = "application/partial-upload"
        await older.head("PATCH", path, headers)
        await older.send(DATA[:1_100_000])
        await until_durable(server, path, 1_048_576)
        if method == "PATCH":
            told = await patch(server, 8, path, 0, DATA, complete=True)
            assert (told.status, int(told["upload-offset"]) >= 1_048_576) == (409, True)
        else:
            assert (await look(server, 8, path, method)).status == 204
        assert (await older.answer()).status in (404, 408)
        assert await older.ended()
    if method == "DELETE":
        assert (await look(server, 8, path)).status == 404


# -- looking


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_look_tells_the_state(server: Process, version: int, method: str) -> None:
    path = await create(server, version, b"hello")
    told = await look(server, version, path, method)
    assert (told.status, told["upload-offset"], state(told, version)) == (204, "5", False)
    assert "upload-length" not in told.headers
    assert told["cache-control"] == "no-store"
    limit = told.get("upload-limit")
    if version < 6:
        assert limit is None
    else:
        key = "expires" if version == 6 else "max-age"
        assert limit is not None
        assert f"{key}=" in limit
        assert "max-size=" in limit


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_early_drafts_refuse_the_state_in_a_look(
    server: Process, version: int, method: str
) -> None:
    path = await create(server, version, b"hello")
    extra = said(version, complete=True, upload_offset="5")
    for name in list(extra)[1:]:
        told = await ask(server, method, path, {**asked(version), name: extra[name]})
        if version < 8:
            assert told.status == 400
        else:
            assert told.status in (204, 404)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_not_there_is_not_found(server: Process, mongo: Mongo, version: int) -> None:
    path = await create(server, version)
    key = {"_id": ObjectId(path.rsplit("/", 1)[1])}
    mongo["shared"]["manifests"].update_one(key, {"$set": {"state": "expired"}})
    for address, status in (
        (ABSENT, 404),
        ("/v1/resumable/x", 404),
        (path, 410 if version == 8 else 404),
    ):
        assert (await look(server, version, address)).status == status
        assert (await patch(server, version, address, 0, b"x", complete=True)).status == status
        assert (await look(server, version, address, "DELETE")).status == status


# -- appending


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_append_elsewhere_is_a_conflict(server: Process, version: int) -> None:
    path = await create(server, version, b"hello")
    for offset in (0, 4, 6, 10**15 - 1):
        told = await patch(server, version, path, offset, b"x", complete=False)
        assert (told.status, told["upload-offset"], state(told, version)) == (409, "5", False)
        found = problem(told)
        assert found["type"] == f"{PROBLEMS}mismatching-upload-offset"
        assert (found["expected-offset"], found["provided-offset"]) == (5, offset)
        assert found["code"] == "offset-mismatch"
    assert await offset_of(server, path) == 5


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_newer_drafts_name_the_type_of_an_append(server: Process, version: int) -> None:
    path = await create(server, version)
    told = await patch(
        server, version, path, 0, b"hello", complete=False, content_type="text/plain"
    )
    assert told.status == (415 if version > 5 else 201)
    assert state(told, version) is False


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_append_needs_an_offset(server: Process, version: int) -> None:
    path = await create(server, version)
    for value in (None, "", "-1", "x", '"0"', "1.0"):
        headers = said(version, complete=True, content_type="application/partial-upload")
        headers |= {} if value is None else {"upload-offset": value}
        told = await ask(server, "PATCH", path, headers, b"x")
        assert (told.status, state(told, version)) == (400, False)
    assert await offset_of(server, path) == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_file_is_described_by_the_request_that_created_it(
    server: Process, version: int
) -> None:
    name = {"content_disposition": 'inline; filename="film.mp4"', "content_type": "video/mp4"}
    path = await create(server, version, b"hello", **name)
    other = {"content_disposition": 'inline; filename="other.txt"'}
    if version < 6:
        other["content_type"] = "text/plain"
    done = await patch(server, version, path, 5, b"!", complete=True, **other)
    manifest = json.loads(done.content)
    assert (manifest["name"], manifest["mime_type"]) == ("film.mp4", "video/mp4")


@pytest.mark.parametrize("bad", ["a%00b.txt", "x" * 1100])
async def test_names_that_are_none_are_refused_before_there_is_an_upload(
    server: Process, bad: str
) -> None:
    headers = said(8, complete=True, content_disposition=f"inline; filename*=UTF-8''{bad}")
    told = await ask(server, "POST", "/v1/resumable", headers, b"hello")
    assert (told.status, told.interim) == (400, [])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_complete_upload_takes_nothing_more(server: Process, version: int) -> None:
    path = await create(server, version, b"hello")
    await patch(server, version, path, 5, b"", complete=True)
    for data in (b"", b"!"):
        for offset in (5, 0):
            told = await patch(server, version, path, offset, data, complete=True)
            assert told.status == 400
            kind = "inconsistent-upload-length" if data and version == 8 else "completed-upload"
            assert problem(told)["type"] == f"{PROBLEMS}{kind}"
            assert state(told, version) is False
    assert await content(server, path) == b"hello"


# -- lengths


@pytest.mark.parametrize("version", VERSIONS)
async def test_lengths_that_disagree_are_refused(server: Process, version: int) -> None:
    headers = said(version, complete=True, upload_length="6")
    told = await ask(server, "POST", "/v1/resumable", headers, b"hello")
    assert (told.status, problem(told)["type"]) == (400, f"{PROBLEMS}inconsistent-upload-length")
    path = await create(server, version, b"hello", upload_length="10")
    for more in ({"upload_length": "11"}, {}):
        complete = not more
        told = await patch(server, version, path, 5, b"wo", complete=complete, **more)
        assert (told.status, problem(told)["type"]) == (
            400,
            f"{PROBLEMS}inconsistent-upload-length",
        )
        assert state(told, version) is False
        assert await offset_of(server, path) == 5
    assert (await patch(server, version, path, 5, b"world", complete=True)).status == 201
    assert await content(server, path) == b"helloworld"


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_upload_that_becomes_too_long(server: Process, version: int) -> None:
    path = await create(server, version, b"hello", upload_length="10")
    told = await patch(server, version, path, 5, b"world!", complete=False)
    assert (told.status, problem(told)["type"]) == (400, f"{PROBLEMS}inconsistent-upload-length")
    assert state(told, version) is False
    told = await look(server, version, path)
    if version == 8:
        assert told.status == 404  # the upload is invalid
    else:
        assert int(told["upload-offset"]) <= 10


async def test_a_length_beyond_the_maximum_is_too_large(server: Process) -> None:
    path = await create(server, 8, b"hello")
    async with raw(server) as connection:
        more = {"content-type": "application/partial-upload", "content-length": str(2**53 - 5)}
        head = said(8, complete=True, upload_offset="5") | more
        await connection.head("PATCH", path, head)
        assert (await connection.answer()).status == 413
    told = await look(server, 8, path)
    assert (told.status, told["upload-offset"]) == (204, "5")
    assert "upload-length" not in told.headers


async def test_a_file_stays_that_another_transport_finished(
    tmp_path: Path, database_url: str
) -> None:
    limits = replace(
        USUAL_LIMITS,
        http=replace(USUAL_LIMITS.http, idle_seconds=0.05),
        uploads=replace(USUAL_LIMITS.uploads, progress_seconds=0),
    )
    async with inside(tmp_path, database_url, limits=limits) as server, raw(server) as connection:
        path = await create(server, 8, upload_length="5")
        upload = path.replace("resumable", "uploads")
        more = {"content-type": "application/partial-upload", "transfer-encoding": "chunked"}
        head = said(8, complete=True, upload_offset="0") | more
        await connection.head("PATCH", path, head)
        await connection.send(b"3\r\nhel\r\n")
        while (await connection.one()).get("upload-offset") != "3":
            pass
        assert (await ask(server, "PUT", f"{upload}/chunks/3", {}, b"lo")).status == 200
        assert (await ask(server, "POST", f"{upload}/finish")).status == 200
        await connection.send(b"6\r\nlo you\r\n0\r\n\r\n")
        told = await connection.answer()
        assert (told.status, problem(told)["code"]) == (409, "already-complete")
        assert await content(server, path) == b"hello"


async def test_content_that_ends_before_the_length_is_inconsistent(server: Process) -> None:
    async with raw(server) as connection:
        headers = said(8, complete=True, upload_length="10", transfer_encoding="chunked")
        await connection.head("POST", "/v1/resumable", headers)
        await connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        told = await connection.answer()
    assert (told.status, problem(told)["type"]) == (400, f"{PROBLEMS}inconsistent-upload-length")


async def test_a_length_is_not_needed(server: Process) -> None:
    async with raw(server) as connection:
        await connection.head(
            "POST", "/v1/files", said(8, complete=True, transfer_encoding="chunked")
        )
        await connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        told = await connection.answer()
    assert (told.status, json.loads(told.content)["size"]) == (201, 5)


# -- limits


@pytest.mark.parametrize("target", ["/v1/resumable", "/v1/files", ABSENT])
async def test_options_tells_the_limits(server: Process, target: str) -> None:
    for headers in ({}, asked(8), asked(6)):
        told = await ask(server, "OPTIONS", target, headers)
        assert (told.status, told["upload-limit"]) == (204, "max-size=999999999999999")
        assert told["accept-patch"] == "application/partial-upload"


async def test_a_resumable_request_may_be_large(tmp_path: Path, database_url: str) -> None:
    async with inside(tmp_path, database_url, small_file_limit=1000) as small:
        assert (await ask(small, "POST", "/v1/files", {}, DATA[:2000])).status == 413
        made = await ask(small, "POST", "/v1/files", said(8, complete=True), DATA[:2000])
        assert made.status == 201


@pytest.mark.parametrize("version", [6, 8])
async def test_limits_do_not_tighten_while_an_upload_lives(server: Process, version: int) -> None:
    made = await ask(server, "POST", "/v1/resumable", said(version, complete=False), b"a")
    path, told, clock = path_of(made), [made], [time.time()]
    for offset in (1, 2):
        told.append(await patch(server, version, path, offset, b"a", complete=False))
        clock.append(time.time())
        told.append(await look(server, version, path))
        clock.append(time.time())
    announced = await ask(server, "OPTIONS", "/v1/resumable", asked(version))
    limits = [dict(re.findall(r"([a-z-]+)=(\d+)", each["upload-limit"])) for each in told]
    assert {each["max-size"] for each in limits} == {
        announced["upload-limit"].removeprefix("max-size=")
    }
    key = "expires" if version == 6 else "max-age"
    ends = [now + int(each[key]) for now, each in zip(clock, limits, strict=True)]
    # In whole seconds, and the clock is read after the answer.
    assert all(later > earlier - 2 for earlier, later in pairwise(ends))


@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE"])
async def test_no_answer_sends_a_client_elsewhere(server: Process, method: str) -> None:
    path = await create(server, 8)
    for address in (f"{path}/", f"/{path}", path.upper(), f"{ABSENT}/", path):
        told = await look(server, 8, address, method)
        assert told.status not in (301, 302), address
    assert told.status == 204


# -- cancelling


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_upload_can_be_cancelled(server: Process, version: int) -> None:
    path = await create(server, version, b"hello")
    assert (await look(server, version, path, "DELETE")).status == 204
    for method in ("HEAD", "DELETE"):
        assert (await look(server, version, path, method)).status == 404
    assert (await patch(server, version, path, 5, b"x", complete=True)).status == 404


async def test_a_finished_file_is_not_cancelled(server: Process) -> None:
    path = await create(server, 8, b"hello")
    await patch(server, 8, path, 5, b"", complete=True)
    assert (await look(server, 8, path, "DELETE")).status == 409
    assert await content(server, path) == b"hello"


# -- digests


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


async def test_the_digest_of_the_representation_is_verified(server: Process) -> None:
    for parts in (1, 2):
        for wanted, status in ((DATA, 201), (b"other", 422)):
            headers = said(8, complete=parts == 1, repr_digest=digest(wanted))
            first = DATA if parts == 1 else DATA[:1000]
            told = await ask(server, "POST", "/v1/resumable", headers, first)
            path = path_of(told.interim[0])
            if parts == 2:
                told = await patch(server, 8, path, 1000, DATA[1000:], complete=True)
            assert (told.status, state(told, 8)) == (status, True)
            assert (await look(server, 8, path)).status == (204 if status == 201 else 404)


async def test_the_digest_may_come_with_the_last_append(server: Process) -> None:
    for wanted, status in ((b"other", 422), (DATA, 201)):
        path = await create(server, 8, DATA[:1000])
        told = await patch(
            server, 8, path, 1000, DATA[1000:], complete=True, repr_digest=digest(wanted)
        )
        assert (told.status, state(told, 8)) == (status, True)
        assert (await look(server, 8, path)).status == (204 if status == 201 else 404)
    path = await create(server, 8, b"hello")
    odd = await patch(server, 8, path, 5, b"x", complete=True, repr_digest="sha-256=x")
    assert (odd.status, await offset_of(server, path)) == (400, 5)


async def test_the_digest_of_a_part_is_verified_before_it_is_stored(server: Process) -> None:
    path = await create(server, 8, DATA[:10])
    told = await patch(server, 8, path, 10, DATA[10:], complete=False, content_digest=digest(b""))
    assert (told.status, state(told, 8)) == (422, False)
    assert await offset_of(server, path) == 10
    told = await patch(
        server, 8, path, 10, DATA[10:], complete=True, content_digest=digest(DATA[10:])
    )
    assert told.status == 201
    assert await content(server, path) == DATA
    wrong = await ask(
        server, "POST", "/v1/files", said(8, complete=True, content_digest=digest(b"")), b"x"
    )
    assert wrong.status == 422
    odd = said(8, complete=False, content_digest="sha-256=x")
    assert (await ask(server, "POST", "/v1/files", odd, b"x")).status == 400


async def test_the_digests_are_told_to_those_who_want_them(server: Process) -> None:
    headers = said(8, complete=True, want_repr_digest="sha-256=10, crc32c=1")
    made = await ask(server, "POST", "/v1/files", headers, b"hello")
    assert made["repr-digest"] == f"{digest(b'hello')}, crc32c=:mnG7TA==:"
