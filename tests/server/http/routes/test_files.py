"""`/v1/files`: small files by REST, whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.conftest import Kept
from tests.support.forms import FILE, form, parts_of
from tests.support.servers import Process, inside, process
from tests.support.wire import checksum

LIMIT = 32_000_000


def digest_of(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


# -- raw bodies


async def test_a_file_is_made_and_fetched(http: httpx.AsyncClient) -> None:
    data = Random(4).randbytes(10_000)
    made = await http.post(
        "/v1/files",
        params={"name": "a note.txt", "directory": "a/b", "tag": ["x", "y"]},
        content=data,
        headers={"Content-Type": "text/plain; charset=utf-8"},
    )
    assert made.status_code == 201
    manifest = made.json()
    assert made.headers["location"] == f"/v1/files/{manifest['_id']}"
    assert made.headers["content-type"] == "application/json"
    assert {key: manifest[key] for key in manifest if not key.endswith("_at")} == {
        "_id": manifest["_id"],
        "user_id": "admin",
        "name": "a note.txt",
        "directory": "a/b",
        "size": 10_000,
        "mime_type": "text/plain; charset=utf-8",
        "upload_size": 10_000,
        "upload_end": True,
        "state": "ready",
        "chunk_size": 2**20,
        "sha256": hashlib.sha256(data).hexdigest(),
        "crc32c": checksum(data),
        "tags": ["x", "y"],
        "kind": None,
        "sender": None,
        "blobs": "mongo",
        "public": False,
        "media": None,
        "pictures": [],
    }
    assert manifest["created_at"].endswith("Z")
    assert manifest["created_at"] <= manifest["updated_at"]
    assert manifest["expires_at"] is None
    assert (await http.get(made.headers["location"])).content == data


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 4 * 2**20, 4 * 2**20 + 1, 9_000_000])
async def test_any_length_is_exact(http: httpx.AsyncClient, size: int, chunked: bool) -> None:
    data = os.urandom(size)
    made = await http.post("/v1/files?name=x", content=parts_of(data) if chunked else data)
    assert made.status_code == 201
    assert made.json()["size"] == size
    assert made.json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert (await http.get(made.headers["location"])).content == data


async def test_a_file_without_a_name_has_one(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/files", content=b"x")
    assert made.json()["name"] == "unnamed"
    assert made.json()["mime_type"] == "application/octet-stream"


async def test_the_type_that_curl_gives_every_body_is_none(http: httpx.AsyncClient) -> None:
    said = {"Content-Type": "application/x-www-form-urlencoded"}
    made = await http.post("/v1/files?name=a.mp4", content=b"x", headers=said)
    assert made.json()["mime_type"] == "video/mp4"


async def test_behind_a_public_address_locations_are_absolute(
    tmp_path: Path, database_url: str
) -> None:
    public = "https://files.example.org/media"
    async with inside(tmp_path, database_url, public_url=public) as running:
        port = running.server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=running.headers, trust_env=False
        ) as client:
            made = await client.post("/v1/files?name=x", content=b"x")
    assert made.headers["location"] == f"{public}/v1/files/{made.json()['_id']}"


# -- the limit


@pytest.mark.parametrize("how", ["length", "chunked", "form"])
async def test_the_largest_file_and_one_byte_more(
    http: httpx.AsyncClient, kept: Kept, how: str
) -> None:
    data = os.urandom(LIMIT + 1)

    def body(size: int) -> dict[str, Any]:
        if how == "form":
            content, headers = form((FILE, data[:size]))
            return {"content": content, "headers": headers}
        return {"content": data[:size] if how == "length" else parts_of(data[:size])}

    made = await http.post("/v1/files", **body(LIMIT))
    assert made.status_code == 201
    assert made.json()["crc32c"] == checksum(data[:LIMIT])
    await http.delete(made.headers["location"])
    refused = await http.post("/v1/files", **body(LIMIT + 1))
    assert refused.status_code == 413
    assert refused.json()["code"] == "too-large"
    assert refused.json()["limit"] == LIMIT
    assert kept() == (0, 0)


async def test_the_limit_is_a_setting_and_holds_at_the_byte(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url, small_file_limit=1000) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(
            b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % str(running.token).encode()
        )
        # Not the end of the body: the byte that is too much is enough.
        writer.write(b"3e9\r\n" + bytes(1001) + b"\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_is_too_large_need_not_be_sent(server: Process) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 32000001\r\n"
        b"Expect: 100-continue\r\nAuthorization: Bearer %b\r\n\r\n" % str(server.token).encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    await writer.wait_closed()


# -- digests


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
async def test_a_digest_of_another_length_is_no_sha_256(
    http: httpx.AsyncClient, kept: Kept, field: str
) -> None:
    """Nothing is wrong with the bytes, and to send them again would not help."""
    before = kept()
    refused = await http.post("/v1/files", content=b"x", headers={field: "sha-256=:AAAA:"})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert "32 bytes" in refused.json()["detail"]
    assert kept() == before


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
async def test_a_digest_is_honoured(http: httpx.AsyncClient, kept: Kept, field: str) -> None:
    data = os.urandom(1000)
    for value in (digest_of(data), f"md5=:AAAA:, {digest_of(data)}", "sha-512=:AAAA:"):
        made = await http.post("/v1/files", content=data, headers={field: value})
        assert made.status_code == 201
    assert kept() == (3, 3)
    wrong = await http.post("/v1/files", content=data, headers={field: digest_of(b"other")})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "checksum-mismatch")
    for value in ("sha-256=AAAA", "sha-256=:?:"):
        malformed = await http.post("/v1/files", content=data, headers={field: value})
        assert (malformed.status_code, malformed.json()["code"]) == (400, "invalid-argument")
    assert kept() == (3, 3)


async def test_the_digests_of_a_form_and_of_its_file_are_not_the_same(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    body, headers = form((FILE, b"hello"))
    for fields in (
        {"Content-Digest": digest_of(body)},
        {"Repr-Digest": digest_of(b"hello")},
        {"Content-Digest": digest_of(body), "Repr-Digest": digest_of(b"hello")},
    ):
        made = await http.post("/v1/files", content=body, headers=headers | fields)
        assert made.status_code == 201, fields
    wrong = {**headers, "Repr-Digest": digest_of(body)}
    refused = await http.post("/v1/files", content=body, headers=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "checksum-mismatch")
    assert kept() == (3, 3)


# -- access


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/" + "0" * 24),
        ("PATCH", "/v1/files/" + "0" * 24),
        ("DELETE", "/v1/files/" + "0" * 24),
        ("DELETE", "/v1/files?directory=a"),
        ("GET", "/v1/manifests/" + "0" * 24),
        ("GET", "/v1/uploads"),
        ("POST", "/v1/uploads"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "lading_token=wrong"}],
    ids=["none", "wrong", "wrong-cookie"],
)
async def test_without_a_credential_nothing_is_done(
    server: Process, kept: Kept, method: str, path: str, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        response = await client.request(method, path, headers=headers)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert kept() == (0, 0)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/files", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
        ("POST", "/v1/files/" + "0" * 24, {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("TRACE", "/v1/files", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
    ],
)
async def test_other_methods_are_told_which_there_are(
    http: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    response = await http.request(method, path)
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")
    assert {name.strip() for name in response.headers["allow"].split(",")} == allowed


# -- memory


async def test_files_of_many_clients_stay_within_the_byte_budget(
    tmp_path: Path, database_url: str
) -> None:
    budget, count, data = 32 * 2**20, 16, os.urandom(8_000_000)
    with process(tmp_path, database_url, byte_budget=budget) as running:
        async with running.http() as client:
            await client.post("/v1/files", content=b"x")
            running.forget_peak()
            before = running.resident
            made = await asyncio.gather(
                *(client.post("/v1/files", content=parts_of(data)) for _ in range(count))
            )
        assert {response.status_code for response in made} == {201}
        assert running.peak - before < budget + count * 2**20
