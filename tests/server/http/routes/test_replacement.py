"""`PUT /v1/files/{id}`, and uploads with `replaces`, by HTTP and by WebSocket."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conftest import Kept
from tests.server.http.routes.test_files import digest_of
from tests.support.servers import Process
from tests.support.wire import channel

NEW = b"<html>other bytes, and more of them"


async def make(http: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    made = await http.post("/v1/files", params={"name": "a.txt", **params}, content=b"first")
    found: dict[str, Any] = made.json()
    return found


async def test_the_address_stays(http: httpx.AsyncClient, server: Process, kept: Kept) -> None:
    file = await make(http, directory="d", tag="x", public="true")
    path = f"/v1/files/{file['_id']}"
    before = await http.get(path)
    answer = await http.put(
        path,
        content=NEW,
        params={"modified_at": "2026-01-02T03:04:05Z"},
        headers={"content-type": "text/html", "repr-digest": digest_of(NEW)},
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    kept_fields = ("_id", "name", "directory", "tags", "public", "created_at", "expires_at")
    assert {key: found[key] for key in kept_fields} == {key: file[key] for key in kept_fields}
    assert (found["size"], found["mime_type"], found["state"]) == (len(NEW), "text/html", "ready")
    assert found["modified_at"] == "2026-01-02T03:04:05.000Z"
    after = await http.get(path)
    assert after.content == NEW
    assert after.headers["etag"] != before.headers["etag"]
    assert (await http.get(path, params={"v": "2"})).content == NEW, "another address for caches"
    old = {"range": "bytes=3-", "if-range": before.headers["etag"]}
    assert (await http.get(path, headers=old)).status_code == 200, "never a part of other bytes"
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone:
        assert (await anyone.get(f"/public/{file['_id']}")).content == NEW
    chunks = (await http.get(f"/v1/manifests/{file['_id']}")).json()["chunks"]
    assert [each["size"] for each in chunks] == [len(NEW)]
    entries = (await http.get("/v1/audit", params={"file_id": file["_id"]})).json()["entries"]
    assert [each["act"] for each in entries] == ["replaced", "created"]
    assert (await http.get("/v1/files")).json()["files"][0] == found


async def test_conditions(http: httpx.AsyncClient, kept: Kept) -> None:
    file = await make(http)
    path = f"/v1/files/{file['_id']}"
    tag = (await http.get(path)).headers["etag"]
    assert (await http.put(path, content=NEW, headers={"if-match": '"x"'})).status_code == 412
    assert (await http.get(path)).content == b"first"
    assert (await http.put(path, content=NEW, headers={"if-match": tag})).status_code == 200
    again = await http.put(path, content=b"third", headers={"if-match": tag})
    assert (again.status_code, again.json()["code"]) == (412, "precondition-failed")
    assert (await http.get(path)).content == NEW


async def test_what_is_refused_changes_nothing(http: httpx.AsyncClient, kept: Kept) -> None:
    file = await make(http)
    path = f"/v1/files/{file['_id']}"
    assert (await http.put(f"/v1/files/{'0' * 24}", content=NEW)).status_code == 404
    wrong = {"repr-digest": digest_of(b"others")}
    assert (await http.put(path, content=NEW, headers=wrong)).status_code == 422
    assert (await http.put(path, content=NEW, params={"name": "b"})).status_code == 400
    upload = (await http.post("/v1/uploads", json={"name": "u", "size": 1})).json()["_id"]
    assert (await http.put(f"/v1/files/{upload}", content=NEW)).status_code == 409
    await http.delete(f"/v1/files/{upload}")
    assert (await http.get(path)).content == b"first"
    assert (await http.put(path, content=b"")).status_code == 200
    assert (await http.get(path)).content == b""
    assert (await http.get("/v1/uploads")).json()["uploads"] == []


async def test_a_larger_one_as_an_upload(http: httpx.AsyncClient, kept: Kept) -> None:
    file = await make(http)
    asked = {"name": "ignored", "size": len(NEW), "replaces": file["_id"]}
    made = await http.post("/v1/uploads", json=asked)
    assert made.status_code == 201, made.text
    upload = made.json()
    assert (upload["replaces"], upload["name"]) == (file["_id"], "a.txt")
    (listed,) = (await http.get("/v1/uploads")).json()["uploads"]
    assert listed["replaces"] == file["_id"]
    path = f"/v1/uploads/{upload['_id']}"
    assert (await http.put(f"{path}/chunks/0", content=NEW)).status_code == 200
    done = await http.post(f"{path}/finish")
    assert done.json()["_id"] == file["_id"]
    assert (await http.post(f"{path}/finish")).json()["_id"] == file["_id"], "once more"
    assert (await http.get(f"/v1/files/{file['_id']}")).content == NEW
    refused = await http.post("/v1/uploads", json={**asked, "replaces": "0" * 24})
    assert refused.status_code == 404
    grant = (await http.post("/v1/grants", json={"action": "upload"})).json()["token"]
    bearer = {"authorization": f"Bearer {grant}"}
    assert (await http.post("/v1/uploads", json=asked, headers=bearer)).status_code == 403


async def test_over_websocket(http: httpx.AsyncClient, server: Process, kept: Kept) -> None:
    file = await make(http)
    async with channel(server) as wire:
        opened = await wire.create(1, len(NEW), replaces=file["_id"])
        assert opened["name"] == "a.txt"
        await wire.chunk(1, 0, NEW)
        await wire.stored(1)
        assert (await wire.finish(1))["id"] == file["_id"]
        again = await wire.resume(2, str(opened["id"]))  # as one whose COMPLETE was lost
        assert (again["id"], again["state"], again["missing"]) == (file["_id"], "ready", [])
        assert (await wire.complete(2))["id"] == file["_id"]
    assert (await http.get(f"/v1/files/{file['_id']}")).content == NEW


async def test_orders_know_the_new_bytes(http: httpx.AsyncClient, kept: Kept) -> None:
    old = {"modified_at": "2020-01-01T00:00:00Z"}
    first, second = await make(http, **old), await make(http, **old)
    when = {"modified_at": "2021-01-01T00:00:00Z"}
    await http.put(f"/v1/files/{first['_id']}", content=NEW, params=when)
    for order in ("-size", "-modified"):
        files = (await http.get("/v1/files", params={"order": order})).json()["files"]
        assert [each["_id"] for each in files] == [first["_id"], second["_id"]], order
    await http.put(f"/v1/files/{second['_id']}", content=b"")
    files = (await http.get("/v1/files", params={"order": "-modified"})).json()["files"]
    assert files[0]["_id"] == second["_id"], "uploaded later than 2021, and no other time is known"
