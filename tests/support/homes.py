"""Files in homes of every kind, published and public, as tests of the HTTP side need them."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from lading.protocol.manifest import Manifest
from tests.support.servers import Inside


async def stored(server: Inside, data: bytes, **asked: str) -> str:
    """A finished file in its final place; returns its id."""
    kind = asked.pop("content_type", "application/octet-stream")
    async with server.http() as http:
        answer = await http.post(
            "/v1/files", content=data, params=asked, headers={"Content-Type": kind}
        )
    assert answer.status_code == 201, answer.text
    file_id = str(answer.json()["_id"])
    await in_place(server, file_id)
    return file_id


async def make_public(server: Inside, file_id: str, public: bool = True) -> None:
    """Make a file public, or private again."""
    async with server.http() as http:
        answer = await http.patch(f"/v1/files/{file_id}", json={"public": public})
    assert answer.status_code == 200, answer.text
    await in_place(server, file_id)


async def changed(server: Inside, file_id: str, **fields: Any) -> None:
    """Change fields of a manifest behind the server's back."""
    manifests = server.services.database.manifests
    await manifests.update_one({"_id": ObjectId(file_id)}, {"$set": fields})


async def manifest_of(server: Inside, file_id: str) -> Manifest:
    return await server.services.uploads.find(file_id, None)


async def in_place(server: Inside, file_id: str) -> None:
    """Bring a file to its place, as the steps after its publication do."""
    manifest = await manifest_of(server, file_id)
    await server.services.homes[manifest.blobs].place(manifest)
