"""`GET /v1/manifests/{id}`: the whole manifest, with its chunks."""

from __future__ import annotations

import os

import httpx
import pytest

from tests.support.servers import Process
from tests.support.wire import cells, channel

CELL = 1024


@pytest.mark.parametrize("count", [0, 1, 3, 512, 513, 1100])
async def test_a_manifest_names_all_its_chunks(
    server: Process, http: httpx.AsyncClient, count: int
) -> None:
    data = os.urandom(count * CELL)
    async with channel(server) as wire:
        upload = await wire.create(1, len(data), chunk_size=CELL, name='quo"te \u2028.bin')
        for start, piece in cells(data, CELL):
            await wire.chunk(1, start, piece)
        await wire.stored(count)
        await wire.finish(1)
    response = await http.get(f"/v1/manifests/{upload['id']}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "private, no-cache"
    manifest = response.json()
    assert manifest["chunks"] == [
        {"object_id": f"{upload['id']}{start:016x}", "slice_start": start, "size": CELL}
        for start in range(0, len(data), CELL)
    ]
    assert manifest["name"] == 'quo"te \u2028.bin'
    assert manifest["size"] == manifest["upload_size"] == len(data)
    assert manifest["upload_end"] is True
    named = {"_id", "user_id", "name", "size", "mime_type", "upload_size", "upload_end", "chunks"}
    assert named <= set(manifest)


async def test_the_manifest_of_an_upload_under_way_is_exact(
    server: Process, http: httpx.AsyncClient
) -> None:
    async with channel(server) as wire:
        upload = await wire.create(1, 3 * CELL, chunk_size=CELL)
        for number in (2, 0):
            await wire.chunk(1, number * CELL, bytes(CELL))
        await wire.stored(2)
        manifest = (await http.get(f"/v1/manifests/{upload['id']}")).json()
    assert manifest["upload_size"] == 2 * CELL
    assert manifest["upload_end"] is False
    assert manifest["state"] == "uploading"
    assert [chunk["slice_start"] for chunk in manifest["chunks"]] == [0, 2 * CELL]


async def test_there_is_no_such_manifest(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/manifests/" + "0" * 24)
    assert (response.status_code, response.json()["code"]) == (404, "not-found")
