"""`/v1/uploads`: the same uploads as the channel's, by plain HTTP."""

from __future__ import annotations

import base64
import hashlib
from random import Random
from typing import Any

import httpx
import pytest
from bson import ObjectId

from tests.conftest import Kept, Mongo
from tests.support.servers import Process
from tests.support.users import client, user
from tests.support.wire import cells, channel, checksum

CELL = 1024
DATA = Random(2).randbytes(3 * CELL + 10)


async def create(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"name": "a.bin", "size": len(DATA), "chunk_size": CELL, **fields}
    made = await http.post("/v1/uploads", json=body)
    assert made.status_code == 201
    upload: dict[str, Any] = made.json()
    assert made.headers["location"] == f"/v1/uploads/{upload['_id']}"
    return upload


async def put(
    http: httpx.AsyncClient, upload_id: str, start: int, data: bytes, **headers: str
) -> httpx.Response:
    return await http.put(f"/v1/uploads/{upload_id}/chunks/{start}", content=data, headers=headers)


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


# -- whole uploads


async def test_an_upload_from_creation_to_download(http: httpx.AsyncClient, kept: Kept) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    upload = await create(http, name="film.mp4", directory="d", tags=["t"], fingerprint="f")
    assert upload["state"] == "uploading"
    assert upload["missing"] == [[0, len(DATA)]]
    assert upload["upload_size"] == 0
    assert upload["upload_end"] is False
    assert upload["expires_at"].endswith("Z")
    for start, piece in cells(DATA, CELL)[::-1]:
        stored = await put(http, upload["_id"], start, piece)
        assert stored.status_code == 200
        assert stored.json()["slice_start"] == start
        assert stored.json()["size"] == len(piece)
    assert stored.json()["upload_size"] == len(DATA)
    finished = await http.post(f"/v1/uploads/{upload['_id']}/finish", json={"sha256": digest})
    assert finished.status_code == 200
    manifest = finished.json()
    assert manifest["state"] == "ready"
    assert manifest["upload_end"] is True
    assert (manifest["sha256"], manifest["crc32c"]) == (digest, checksum(DATA))
    assert manifest["mime_type"] == "video/mp4"
    assert (await http.get(f"/v1/files/{upload['_id']}")).content == DATA
    again = await http.post(f"/v1/uploads/{upload['_id']}/finish")
    assert again.json() == manifest
    assert kept() == (1, 4)


async def test_the_transport_may_change_in_the_middle(
    server: Process, other_server: Process, http: httpx.AsyncClient
) -> None:
    pieces = cells(DATA, CELL)
    upload_id = (await create(http))["_id"]
    await put(http, upload_id, *pieces[0])
    async with channel(other_server) as wire:
        upload = await wire.resume(1, upload_id)
        assert upload["missing"] == [[CELL, len(DATA)]]
        await wire.chunk(1, *pieces[2])
        await wire.stored(1)
    assert (await http.get(f"/v1/uploads/{upload_id}")).json()["missing"] == [
        [CELL, 2 * CELL],
        [3 * CELL, len(DATA)],
    ]
    async with other_server.http() as other:
        await put(other, upload_id, *pieces[3])
    await put(http, upload_id, *pieces[1])
    async with channel(server) as wire:
        await wire.resume(1, upload_id)
        file = await wire.finish(1)
    assert file["crc32c"] == checksum(DATA)


async def test_an_unknown_length(http: httpx.AsyncClient) -> None:
    upload_id = (await create(http, size=None))["_id"]
    for start, end in ((0, 10), (10, CELL), (CELL, CELL + 1)):
        assert (await put(http, upload_id, start, DATA[start:end])).status_code == 200
    finish = f"/v1/uploads/{upload_id}/finish"
    assert refusal(await http.post(finish)) == (400, "invalid-argument")
    assert refusal(await http.post(finish, json={"size": CELL})) == (400, "invalid-argument")
    done = await http.post(finish, json={"size": CELL + 1})
    assert done.json()["size"] == CELL + 1


# -- pieces


async def test_a_piece_once_more_is_the_same_piece(http: httpx.AsyncClient, kept: Kept) -> None:
    upload_id = (await create(http))["_id"]
    first = await put(http, upload_id, 0, DATA[:CELL])
    second = await put(http, upload_id, 0, DATA[:CELL])
    assert first.json() == second.json()
    conflict = await put(http, upload_id, 0, bytes(CELL))
    assert refusal(conflict) == (409, "chunk-conflict")
    assert kept() == (1, 1)


def fields(value: int) -> list[dict[str, str]]:
    encoded = base64.b64encode(value.to_bytes(4, "big")).decode()
    return [{"X-Lading-Crc32c": str(value)}, {"Content-Digest": f"crc32c=:{encoded}:"}]


@pytest.mark.parametrize("number", [0, 1], ids=["own-header", "content-digest"])
async def test_a_checksum_guards_the_way(http: httpx.AsyncClient, kept: Kept, number: int) -> None:
    upload_id, piece = (await create(http))["_id"], DATA[:CELL]
    wrong = await put(http, upload_id, 0, piece, **fields(checksum(piece) ^ 1)[number])
    assert refusal(wrong) == (422, "checksum-mismatch")
    assert wrong.json()["retryable"]
    assert kept() == (1, 0)
    right = await put(http, upload_id, 0, piece, **fields(checksum(piece))[number])
    assert right.status_code == 200


@pytest.mark.parametrize(
    ("start", "size", "refused"),
    [
        (0, CELL - 1, (422, "out-of-bounds")),
        (0, CELL + 1, (413, "too-large")),
        (0, 0, (422, "out-of-bounds")),
        (10, CELL - 10, (422, "out-of-bounds")),
        (3 * CELL, 11, (422, "out-of-bounds")),
        (4 * CELL, 10, (422, "out-of-bounds")),
    ],
)
async def test_a_piece_that_does_not_fit(
    http: httpx.AsyncClient, kept: Kept, start: int, size: int, refused: tuple[int, str]
) -> None:
    upload_id = (await create(http))["_id"]
    assert refusal(await put(http, upload_id, start, bytes(size))) == refused
    assert kept() == (1, 0)


async def test_a_piece_of_what_is_complete(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/files", content=DATA)
    file = made.json()["_id"]
    assert (await put(http, file, 0, DATA)).status_code == 200
    assert refusal(await put(http, file, 0, bytes(len(DATA)))) == (409, "already-complete")


# -- finishing and aborting


async def test_finish_says_what_is_missing(http: httpx.AsyncClient) -> None:
    upload_id = (await create(http))["_id"]
    await put(http, upload_id, CELL, DATA[CELL : 2 * CELL])
    refused = await http.post(f"/v1/uploads/{upload_id}/finish")
    assert refusal(refused) == (409, "incomplete")
    assert refused.json()["missing"] == [[0, CELL], [2 * CELL, len(DATA)]]


async def test_a_digest_that_differs_keeps_the_upload_open(http: httpx.AsyncClient) -> None:
    upload_id = (await create(http))["_id"]
    for start, piece in cells(DATA, CELL):
        await put(http, upload_id, start, piece)
    finish = f"/v1/uploads/{upload_id}/finish"
    wrong = await http.post(finish, json={"sha256": "0" * 64})
    assert refusal(wrong) == (422, "checksum-mismatch")
    right = await http.post(finish, json={"sha256": hashlib.sha256(DATA).hexdigest()})
    assert right.status_code == 200


async def test_abort_deletes_the_upload(http: httpx.AsyncClient, kept: Kept) -> None:
    upload_id = (await create(http))["_id"]
    await put(http, upload_id, 0, DATA[:CELL])
    address = f"/v1/uploads/{upload_id}"
    assert (await http.delete(address)).status_code == 204
    assert kept() == (0, 0)
    assert refusal(await http.delete(address)) == (404, "not-found")
    assert refusal(await http.get(address)) == (404, "not-found")
    assert refusal(await put(http, upload_id, 0, DATA[:CELL])) == (404, "not-found")
    assert refusal(await http.post(address + "/finish")) == (404, "not-found")


async def test_a_complete_upload_is_deleted_as_a_file(http: httpx.AsyncClient, kept: Kept) -> None:
    file = (await http.post("/v1/files", content=DATA)).json()["_id"]
    assert refusal(await http.delete(f"/v1/uploads/{file}")) == (409, "already-complete")
    assert kept() == (1, 1)


async def test_an_expired_upload_is_gone(http: httpx.AsyncClient, mongo: Mongo) -> None:
    upload_id = (await create(http))["_id"]
    mongo["shared"]["manifests"].update_one(
        {"_id": ObjectId(upload_id)}, {"$set": {"state": "expired"}}
    )
    address = f"/v1/uploads/{upload_id}"
    for response in (
        await http.get(address),
        await http.delete(address),
        await http.post(address + "/finish"),
        await http.get(f"/v1/files/{upload_id}"),
        await http.get(f"/v1/manifests/{upload_id}"),
    ):
        assert refusal(response) == (410, "gone")


# -- lists


async def test_unfinished_uploads_can_be_found_from_another_device(
    server: Process, http: httpx.AsyncClient, kept: Kept
) -> None:
    assert (await http.get("/v1/uploads")).json() == {"uploads": [], "cursor": None}
    async with channel(server) as wire:
        first = await wire.create(1, 10, name="first", fingerprint="f1", chunk_size=CELL)
        second = await wire.create(2, None, name="second", fingerprint="f2")
        await wire.upload(3, b"finished")
        with_first = await wire.create(4, 10, fingerprint="f1")
        await wire.chunk(1, 0, b"x" * 10)
        await wire.stored(1)
    listed = (await http.get("/v1/uploads")).json()["uploads"]
    assert [each["_id"] for each in listed] == [with_first["id"], second["id"], first["id"]]
    assert listed[2]["missing"] == []
    assert listed[2]["upload_size"] == 10
    assert listed[1]["size"] is None
    assert listed[0]["missing"] == [[0, 10]]
    by_print = (await http.get("/v1/uploads?fingerprint=f1")).json()["uploads"]
    assert [each["_id"] for each in by_print] == [with_first["id"], first["id"]]
    assert len((await http.get("/v1/uploads?limit=1")).json()["uploads"]) == 1
    shown = (await http.get(f"/v1/uploads/{first['id']}")).json()
    assert shown == listed[2]
    assert kept() == (4, 2)


async def test_another_users_uploads_are_not_listed(
    http: httpx.AsyncClient, mongo: Mongo, kept: Kept
) -> None:
    upload_id = (await create(http))["_id"]
    mongo["shared"]["manifests"].update_one(
        {"_id": ObjectId(upload_id)}, {"$set": {"user_id": "bob"}}
    )
    assert (await http.get("/v1/uploads")).json()["uploads"] == []
    assert kept() == (1, 0)


async def test_another_users_upload_does_not_exist(users_server: Process) -> None:
    async with client(users_server, user("ann")) as ann, client(users_server, user("bob")) as bob:
        upload_id = (await create(ann))["_id"]
        absent = await bob.get("/v1/uploads/" + "0" * 24)
        for response in (
            await bob.get(f"/v1/uploads/{upload_id}"),
            await bob.delete(f"/v1/uploads/{upload_id}"),
            await put(bob, upload_id, 0, DATA[:CELL]),
        ):
            assert refusal(response) == refusal(absent) == (404, "not-found")
        assert (await ann.get(f"/v1/uploads/{upload_id}")).json()["upload_size"] == 0
