"""`POST /v1/files/batch`: several small files in one request, each for itself."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from lading.protocol.batch import MOST_BYTES, encode
from lading.protocol.spec import UploadSpec
from tests.conftest import Kept
from tests.support.servers import inside

BATCH = "/v1/files/batch"


def files(count: int, size: int = 2000, **more: Any) -> list[tuple[UploadSpec, bytes]]:
    random = Random(7)
    return [
        (UploadSpec(name=f"file {number}.txt", **more), random.randbytes(size))
        for number in range(count)
    ]


async def send(http: httpx.AsyncClient, body: bytes, **more: Any) -> httpx.Response:
    return await http.post(BATCH, content=body, **more)


async def test_many_files_are_stored_by_one_request(http: httpx.AsyncClient) -> None:
    sent = files(200, directory="many", tags=("t",), mime_type="text/plain", modified_at=86400.5)
    answer = await send(http, encode(sent))
    assert answer.status_code == 200
    outcomes = answer.json()["outcomes"]
    assert len(outcomes) == 200
    for (spec, data), outcome in zip(sent, outcomes, strict=True):
        made = outcome["file"]
        assert set(outcome) == {"file"}
        assert (made["name"], made["directory"], made["tags"]) == (spec.name, "many", ["t"])
        assert (made["state"], made["size"], made["upload_end"]) == ("ready", len(data), True)
        assert made["sha256"] == hashlib.sha256(data).hexdigest()
        assert made["modified_at"] == "1970-01-02T00:00:00.500Z"
    for number in (0, 99, 199):
        found = await http.get(f"/v1/files/{outcomes[number]['file']['_id']}")
        assert found.content == sent[number][1]
        assert found.headers["content-type"] == "text/plain"


async def test_an_empty_file_and_one_of_several_pieces(http: httpx.AsyncClient) -> None:
    large = Random(8).randbytes(3_000_000)
    sent = [(UploadSpec(name="empty"), b""), (UploadSpec(name="large"), large)]
    outcomes = (await send(http, encode(sent))).json()["outcomes"]
    for (_, data), outcome in zip(sent, outcomes, strict=True):
        assert (await http.get(f"/v1/files/{outcome['file']['_id']}")).content == data


async def test_one_that_is_refused_leaves_the_others_as_they_are(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    right, wrong = files(2, sha256=None)
    digest = hashlib.sha256(b"else").hexdigest()
    sent = [right, (UploadSpec(name="wrong", sha256=digest), wrong[1]), (UploadSpec(name=""), b"x")]
    answer = await send(http, encode(sent))
    first, second, third = answer.json()["outcomes"]
    assert first["file"]["state"] == "ready"
    assert second["problem"]["code"] == "checksum-mismatch"
    assert second["problem"]["type"] == "urn:lading:problem:checksum-mismatch"
    assert third["problem"] == {
        "type": "urn:lading:problem:invalid-argument",
        "status": 400,
        "code": "invalid-argument",
        "title": "A value in the request is not allowed.",
        "detail": "name must not be empty.",
        "retryable": False,
    }
    listed = (await http.get("/v1/uploads")).json()["uploads"]
    assert [each["name"] for each in listed if each["name"] == "wrong"] == []


async def test_a_quota_ends_at_one_file_and_not_at_all(http: httpx.AsyncClient) -> None:
    await http.put("/v1/users/batch-quota/quota", json={"quota": 5000})
    body = encode(files(4))
    answer = await send(http, body, params={"user_id": "batch-quota"})
    outcomes = answer.json()["outcomes"]
    stored = [each["file"] for each in outcomes if "file" in each]
    refused = [each["problem"] for each in outcomes if "problem" in each]
    assert [each["user_id"] for each in stored] == ["batch-quota"] * 2
    assert [each["code"] for each in refused] == ["quota-exceeded"] * 2
    usage = (await http.get("/v1/usage", params={"user_id": "batch-quota"})).json()
    assert (usage["used"], usage["reserved"]) == (4000, 0)


async def test_what_is_malformed_stores_nothing(http: httpx.AsyncClient, kept: Kept) -> None:
    before = kept()
    body = encode(files(3))
    for broken in (b"", body[:-1], body + b"\xc1", b"{}", body + encode(files(1))[:-500]):
        answer = await send(http, broken)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-argument")
    assert kept() == before


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_long(http: httpx.AsyncClient, declared: bool, kept: Kept) -> None:
    before = kept()
    body = encode(files(1, MOST_BYTES))

    async def parts() -> Any:
        yield body

    answer = await http.post(BATCH, content=body if declared else parts())
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert answer.json()["limit"] == MOST_BYTES
    assert kept() == before


async def test_a_batch_that_is_repeated_with_its_key_is_stored_once(
    http: httpx.AsyncClient,
) -> None:
    body, key = encode(files(3, directory="keyed")), {"Idempotency-Key": "a-batch"}
    first, second = await send(http, body, headers=key), await send(http, body, headers=key)
    assert first.json() == second.json()
    listed = (await http.get("/v1/files", params={"directory": "keyed"})).json()["files"]
    assert len(listed) == 3


async def test_a_limit_for_small_files_holds_for_each(tmp_path: Path, database_url: str) -> None:
    async with (
        inside(tmp_path, database_url, small_file_limit=1000) as server,
        server.http() as http,
    ):
        sent = [(UploadSpec(name="fits"), bytes(1000)), (UploadSpec(name="not"), bytes(1001))]
        fits, not_ = (await send(http, encode(sent))).json()["outcomes"]
    assert fits["file"]["size"] == 1000
    assert (not_["problem"]["code"], not_["problem"]["limit"]) == ("too-large", 1000)


async def test_a_grant_is_for_one_file_and_no_batch(http: httpx.AsyncClient, kept: Kept) -> None:
    body = {"action": "upload", "user_id": "granted", "uses": 2}
    grant = (await http.post("/v1/grants", json=body)).json()
    bearer = {"Authorization": f"Bearer {grant['token']}"}
    answer = await send(http, encode(files(3)), headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert kept() == (0, 0)


async def test_no_credential_no_batch(http: httpx.AsyncClient) -> None:
    answer = await send(http, encode(files(1)), headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert (await http.get(BATCH)).status_code == 405


async def test_the_same_files_twice_at_once(http: httpx.AsyncClient) -> None:
    body = encode(files(50, directory="twice"))
    answers = await asyncio.gather(*(send(http, body) for _ in range(4)))
    found = [each["file"]["_id"] for answer in answers for each in answer.json()["outcomes"]]
    assert len(set(found)) == 200
    log = (await http.get("/v1/audit", params={"limit": 1000, "act": "created"})).json()
    noted = [each["file_id"] for each in log["entries"]]
    assert all(noted.count(each) == 1 for each in found)
