"""Kinds of files over every transport: one byte too much, a wrong type, an unknown kind."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.client.client import Client
from lading.protocol.errors import TooLarge
from tests.support.servers import Process, process
from tests.support.users import JWT, client, mint, refusal, used, user
from tests.support.wire import CREATE, dial

LIMIT = 5000
KINDS = f"""
[avatar]
max_size = {LIMIT}
mime_types = ["image/*"]
crop = "square"
public = true
sizes = [1, 2]
directory = "avatars"

[film]
max_size = "50MB"

[passing]
expires_in = "30d"
"""
RULES = {
    "name": "avatar",
    "max_size": LIMIT,
    "mime_types": ["image/*"],
    "crop": "square",
    "public": True,
    "sizes": [1, 2],
    "directory": "avatars",
    "expires_in": None,
}
GIF = b"GIF89a" + bytes(LIMIT - 6)
PAGE = b"<!doctype html><script>alert(1)</script>" + b" " * 2000


@pytest.fixture(scope="module")
def server(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("kinds")
    path = folder / "kinds.toml"
    path.write_text(KINDS)
    url = mongod.replace("/?", "/kinds?")
    with process(
        folder / "data", url, kinds=path, small_file_limit="10kB", chunk_size=1024, **JWT
    ) as run:
        yield run


@pytest.fixture
async def ann(server: Process) -> AsyncIterator[httpx.AsyncClient]:
    """The user `ann`, who has nothing stored afterwards that counts."""
    async with client(server, user("ann")) as browser:
        yield browser


async def nothing_left(ann: httpx.AsyncClient) -> None:
    assert (await ann.get("/v1/uploads")).json()["uploads"] == []
    assert (await ann.get("/v1/usage")).json()["reserved"] == 0


async def test_files_of_a_kind_may_have_an_end(ann: httpx.AsyncClient) -> None:
    made = (await ann.post("/v1/files", params={"kind": "passing"}, content=b"x")).json()
    ends, begins = (datetime.fromisoformat(made[name]) for name in ("expires_at", "updated_at"))
    assert timedelta(days=30, seconds=-60) < ends - begins < timedelta(days=30, seconds=60)
    upload = (
        await ann.post("/v1/uploads", json={"name": "a", "size": 0, "kind": "passing"})
    ).json()
    assert upload["kind_rules"]["expires_in"] == 30 * 86400
    file = (await ann.post(f"/v1/uploads/{upload['_id']}/finish", json={})).json()
    assert file["expires_at"] > upload["expires_at"]
    for each in (made, file):
        await ann.delete(f"/v1/files/{each['_id']}")


async def unknown(data: bytes) -> AsyncIterator[bytes]:
    """A body whose length nobody declares."""
    for start in range(0, len(data), 700):
        yield data[start : start + 700]


async def test_the_kinds_are_listed(server: Process, ann: httpx.AsyncClient) -> None:
    listed = (await ann.get("/v1/kinds")).json()["kinds"]
    assert listed[0] == RULES
    assert [kind["name"] for kind in listed] == ["avatar", "film", "passing"]
    async with client(server) as nobody:
        assert refusal(await nobody.get("/v1/kinds")) == (401, "unauthorized")


async def test_a_file_of_a_kind(ann: httpx.AsyncClient) -> None:
    made = await ann.post("/v1/files", params={"kind": "avatar", "directory": "x"}, content=GIF)
    assert made.status_code == 201, made.text
    file = made.json()
    assert (file["kind"], file["directory"], file["size"]) == ("avatar", "avatars", LIMIT)
    assert file["mime_type"] == "image/gif"
    found = (await ann.get("/v1/files", params={"kind": "avatar"})).json()["files"]
    assert file["_id"] in [each["_id"] for each in found]
    assert (await ann.get("/v1/files", params={"kind": "film"})).json()["files"] == []


@pytest.mark.parametrize("how", ["raw", "streamed", "form"])
@pytest.mark.parametrize("by", ["user", "grant"])
async def test_one_byte_too_much_in_one_body(
    server: Process, ann: httpx.AsyncClient, how: str, by: str
) -> None:
    minted = await mint(server, kind="avatar", max_size=LIMIT + 1, uses=9)
    url = "/v1/files?kind=avatar" if by == "user" else minted["url"]
    for extra, status in ((0, 201), (1, 413)):
        data = GIF + bytes(extra)
        body: Any = unknown(data) if how == "streamed" else data
        given = {"files": {"file": ("a", data)}} if how == "form" else {"content": body}
        answer = await ann.post(url, **given)
        assert answer.status_code == status, answer.text
    assert refusal(answer) == (413, "too-large")
    assert answer.json()["limit"] == LIMIT
    await nothing_left(ann)
    if by == "grant":
        assert await used(server, minted) == 1


async def test_the_smaller_limit_of_grant_and_kind_holds(
    server: Process, ann: httpx.AsyncClient
) -> None:
    minted = await mint(server, kind="avatar", max_size=100)
    answer = await ann.put(minted["url"], content=GIF[:101])
    assert (*refusal(answer), answer.json()["limit"]) == (413, "too-large", 100)
    # Without a bound of its own, a grant of a kind may take more than one small file.
    large = await mint(server, kind="film")
    made = await ann.put(large["url"], content=bytes(11_000))
    assert made.status_code == 201
    await ann.delete(f"/v1/files/{made.json()['_id']}")


async def test_uploads_in_pieces(ann: httpx.AsyncClient) -> None:
    body = {"name": "a", "kind": "avatar", "size": LIMIT + 1}
    assert refusal(await ann.post("/v1/uploads", json=body)) == (413, "too-large")
    begun = await ann.post("/v1/uploads", json={"name": "a", "kind": "avatar"})
    assert begun.status_code == 201
    upload = begun.json()
    assert (upload["kind"], upload["kind_rules"]) == ("avatar", RULES)
    address = f"/v1/uploads/{upload['_id']}"
    for start in range(0, 4096, 1024):
        data = GIF[start : start + 1024]
        assert (await ann.put(f"{address}/chunks/{start}", content=data)).status_code == 200
    late = await ann.put(f"{address}/chunks/4096", content=bytes(LIMIT - 4096 + 1))
    assert (*refusal(late), late.json()["limit"]) == (413, "too-large", LIMIT)
    last = await ann.put(f"{address}/chunks/4096", content=bytes(LIMIT - 4096))
    assert last.status_code == 200
    done = await ann.post(f"{address}/finish", json={"size": LIMIT})
    assert (done.status_code, done.json()["kind"]) == (200, "avatar")


async def test_first_bytes_of_another_type(ann: httpx.AsyncClient) -> None:
    begun = await ann.post("/v1/uploads", json={"name": "a.png", "kind": "avatar", "size": 2040})
    address = f"/v1/uploads/{begun.json()['_id']}"
    answer = await ann.put(f"{address}/chunks/0", content=PAGE[:1024])
    assert refusal(answer) == (415, "unsupported-media-type")
    await ann.delete(address)
    named = {"name": "a", "kind": "avatar", "mime_type": "text/html"}
    refused = await ann.post("/v1/uploads", json=named)
    assert refusal(refused) == (415, "unsupported-media-type")
    assert "avatar" in refused.json()["detail"]
    # A file that is too short to be judged by its first piece is judged at its end.
    short = await ann.post("/v1/files?kind=avatar&name=a.png", content=PAGE[:50])
    assert refusal(short) == (415, "unsupported-media-type")
    await nothing_left(ann)


async def test_over_websocket(server: Process, ann: httpx.AsyncClient) -> None:
    async with dial(server) as wire:
        await wire.hello(user("ann"))
        await wire.send(CREATE, 1, {"name": "a", "size": LIMIT + 1, "kind": "avatar"})
        assert (await wire.problem(1))["code"] == "too-large"
        await wire.send(CREATE, 2, {"name": "a", "kind": "avatars"})
        problem = await wire.problem(2)
        assert problem["code"] == "invalid-argument"
        assert "`avatar`" in problem["detail"]
        await wire.send(CREATE, 3, {"name": "a", "size": 3, "kind": "avatar"})
        assert (await wire.opened(3))["kind_rules"] == RULES
        await wire.send(CREATE, 4, {"name": "a", "size": 3})
        plain = await wire.opened(4)
        assert "kind_rules" not in plain
    for upload in (await ann.get("/v1/uploads")).json()["uploads"]:
        await ann.delete(f"/v1/uploads/{upload['_id']}")


@pytest.mark.parametrize("size", [LIMIT, None], ids=["declared", "unknown"])
async def test_one_byte_too_much_over_websocket(
    server: Process, ann: httpx.AsyncClient, size: int | None
) -> None:
    async with dial(server) as wire:
        await wire.hello(user("ann"))
        asked = {"name": "a.gif", "kind": "avatar"} | ({} if size is None else {"size": size})
        await wire.send(CREATE, 1, asked)
        await wire.opened(1)
        for start in range(0, 4096, 1024):
            await wire.chunk(1, start, GIF[start : start + 1024])
            await wire.stored(1)
        await wire.chunk(1, 4096, bytes(LIMIT - 4096 + 1))
        refused = (await wire.refused(1, 4096))["code"]
        assert refused == ("out-of-bounds" if size is not None else "too-large")
        await wire.chunk(1, 4096, bytes(LIMIT - 4096))
        await wire.stored(1)
        file = await wire.finish(1, size=LIMIT)
        await ann.delete(f"/v1/files/{file['id']}")
    await nothing_left(ann)


async def test_one_byte_too_much_in_a_data_url(server: Process, ann: httpx.AsyncClient) -> None:
    minted = await mint(server, kind="avatar", uses=2)
    async with client(server) as nobody:
        for extra, status in ((1, 413), (0, 201)):
            data = base64.b64encode(GIF + bytes(extra)).decode()
            body = {"name": "a.gif", "data": f"data:image/gif;base64,{data}"}
            answer = await nobody.post(minted["url"], json=body)
            assert answer.status_code == status, answer.text
    await ann.delete(f"/v1/files/{answer.json()['_id']}")
    await nothing_left(ann)


async def test_media(ann: httpx.AsyncClient) -> None:
    digest = hashlib.sha256(GIF).hexdigest()
    asked = {"sha256": digest, "kind": "avatar", "size": LIMIT}
    refused = await ann.post("/v1/media", json={**asked, "size": LIMIT + 1})
    assert refusal(refused) == (413, "too-large")
    made = await ann.post("/v1/media", json=asked)
    assert made.status_code == 201
    assert made.json()["kind_rules"] == RULES
    url = made.json()["upload"]["url"]
    assert refusal(await ann.put(url, content=GIF + b"\0")) == (413, "too-large")
    assert (await ann.put(url, content=GIF)).status_code == 200
    medium = made.json()["media"]["_id"]
    assert (await ann.post(f"/v1/media/{medium}/finalize")).json()["kind"] == "avatar"


async def test_an_unknown_kind(server: Process, ann: httpx.AsyncClient) -> None:
    async with client(server, user("site", "grant")) as site:
        answers = [
            await ann.post("/v1/files?kind=avatars", content=GIF),
            await ann.post("/v1/uploads", json={"name": "a", "kind": "avatars"}),
            await ann.post("/v1/media", json={"size": 1, "sha256": "0" * 64, "kind": "avatars"}),
            await site.post("/v1/grants", json={"action": "upload", "kind": "avatars"}),
        ]
    for answer in answers:
        assert refusal(answer) == (400, "invalid-argument")
        assert "did you mean `avatar`?" in answer.json()["detail"]
    await nothing_left(ann)


async def test_a_grant_is_for_its_kind(server: Process, ann: httpx.AsyncClient) -> None:
    minted = await mint(server, kind="avatar", directory="own", uses=2)
    assert minted["kind_rules"] == RULES
    async with client(server) as bearer:
        other = await bearer.post(minted["url"], params={"kind": "film"}, content=GIF)
        assert refusal(other) == (403, "forbidden")
        made = await bearer.post(minted["url"], content=GIF)
    assert (made.json()["kind"], made.json()["directory"]) == ("avatar", "own")


async def test_a_server_without_kinds(users_server: Process) -> None:
    async with client(users_server, user("ann")) as browser:
        assert (await browser.get("/v1/kinds")).json() == {"kinds": []}
        answer = await browser.post("/v1/files?kind=avatar", content=GIF)
    assert refusal(answer) == (400, "invalid-argument")
    assert "has no kinds" in answer.json()["detail"]


async def test_the_python_client_names_a_kind(server: Process, tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(GIF)
    async with Client(server.url, user("cid")) as lading:
        assert (await lading.kinds())[0] == RULES
        for one_request in (True, False):
            file = await lading.upload(path, kind="avatar", resume=False, one_request=one_request)
            assert (await lading.manifest(file.id)).raw["kind"] == "avatar"
        assert len([each async for each in lading.list(kind="avatar")]) == 2
        path.write_bytes(GIF + b"\0")
        with pytest.raises(TooLarge):
            await lading.upload(path, kind="avatar", one_request=True)
    async with Client(server.url, user("site", "grant")) as site:
        assert (await site.grant(kind="avatar")).raw["kind_rules"] == RULES
