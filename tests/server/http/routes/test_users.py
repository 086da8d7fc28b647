"""An admin acts for every user: lists, ids, creation, and deleting a user with all they have."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.servers import Process, process
from tests.support.users import JWT, client, mint, put, refusal, user
from tests.support.wire import channel


@pytest.fixture(scope="module")
def site(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with many users on a database of its own."""
    url = mongod.replace("/?", "/admins?")
    with process(tmp_path_factory.mktemp("admins"), url, chunk_size=1024, **JWT) as running:
        yield running


@pytest.fixture
async def admin(site: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with client(site, user("root", "admin")) as found:
        yield found


async def by_grant(site: Process, owner: str) -> str:
    """The id of a file that came by a grant for a user who may have no account elsewhere."""
    grant = await mint(site, user_id=owner, name="granted.jpg", directory="d")
    async with client(site) as bearer:
        answer = await bearer.put(grant["url"], content=b"by a grant")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


async def begun(site: Process, owner: str, size: int = 2048) -> str:
    async with client(site, user(owner)) as mine:
        answer = await mine.post("/v1/uploads", json={"name": "begun", "size": size})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


async def usage(admin: httpx.AsyncClient, owner: str) -> tuple[int, int]:
    found = (await admin.get("/v1/usage", params={"user_id": owner})).json()
    assert found["user_id"] == owner
    return found["used"], found["reserved"]


# -- every id, whoever owns it


async def test_a_file_that_came_by_a_grant_is_an_admins_to_read_change_and_delete(
    site: Process, admin: httpx.AsyncClient
) -> None:
    file = await by_grant(site, "ann")
    assert (await admin.get(f"/v1/files/{file}")).content == b"by a grant"
    assert (await admin.head(f"/v1/files/{file}")).status_code == 200
    assert (await admin.get(f"/v1/manifests/{file}")).json()["user_id"] == "ann"
    link = (await admin.get(f"/v1/media/{file}")).json()["download"]["url"]
    assert (await admin.get(link)).content == b"by a grant"
    changed = await admin.patch(f"/v1/files/{file}", json={"tags": ["seen"]})
    assert (changed.status_code, changed.json()["user_id"]) == (200, "ann")
    async with client(site, user("ann")) as ann:
        assert (await ann.get("/v1/tags/seen")).json()["files"] == 1
    shared = await admin.post("/v1/grants", json={"action": "download", "file_id": file})
    assert shared.status_code == 201
    assert (await admin.delete(f"/v1/files/{file}")).status_code == 204
    assert await usage(admin, "ann") == (0, 0)


async def test_an_upload_of_anothers_is_an_admins_to_show_send_finish_and_abort(
    site: Process, admin: httpx.AsyncClient
) -> None:
    upload, other = await begun(site, "una"), await begun(site, "una")
    assert (await admin.get(f"/v1/uploads/{upload}")).json()["missing"] == [[0, 2048]]
    for start in (0, 1024):
        piece = await admin.put(f"/v1/uploads/{upload}/chunks/{start}", content=b"x" * 1024)
        assert piece.status_code == 200, piece.text
    finished = await admin.post(f"/v1/uploads/{upload}/finish")
    assert (finished.status_code, finished.json()["user_id"]) == (200, "una")
    assert (await admin.delete(f"/v1/uploads/{other}")).status_code == 204
    assert await usage(admin, "una") == (2048, 0)
    assert await usage(admin, "root") == (0, 0)


async def test_an_upload_of_anothers_is_resumed_over_the_channel(site: Process) -> None:
    upload = await begun(site, "cara", 5)
    root = Process(site.url, user("root", "admin"), site.data, site.child, site.log)
    async with channel(root) as wire:
        await wire.resume(1, upload)
        await wire.chunk(1, 0, b"bytes")
        await wire.stored(1)
    async with client(site, user("cara")) as cara:
        assert (await cara.get(f"/v1/uploads/{upload}")).json()["missing"] == []


# -- every list


async def test_every_list_shows_another_users(site: Process, admin: httpx.AsyncClient) -> None:
    file, upload = await put(site, "lia"), await begun(site, "lia")
    async with client(site, user("lia", "grant")) as lia:
        await lia.post("/v1/tags", json={"name": "own"})
        grant = (await lia.post("/v1/grants", json={"action": "upload"})).json()["id"]
    asked: list[tuple[str, str, str, str]] = [
        ("/v1/files", "files", "_id", file),
        ("/v1/uploads", "uploads", "_id", upload),
        ("/v1/tags", "tags", "name", "own"),
        ("/v1/grants", "grants", "id", grant),
    ]
    for path, key, field, wanted in asked:
        found = (await admin.get(path, params={"user_id": "lia"})).json()[key]
        assert [each[field] for each in found] == [wanted], path
        own = (await admin.get(path)).json()[key]
        assert wanted not in [each[field] for each in own], path
    assert await usage(admin, "lia") == (5, 2048)


async def test_tags_of_another_are_changed_by_an_admin(
    site: Process, admin: httpx.AsyncClient
) -> None:
    theirs = {"user_id": "tess"}
    created = await admin.post("/v1/tags", params=theirs, json={"name": "old"})
    assert created.status_code == 201
    renamed = await admin.patch("/v1/tags/old", params=theirs, json={"name": "new"})
    assert renamed.json()["name"] == "new"
    assert (await admin.get("/v1/tags/new")).status_code == 404
    assert (await admin.get("/v1/tags/new", params=theirs)).status_code == 200
    assert (await admin.delete("/v1/tags/new", params=theirs)).status_code == 204
    async with client(site, user("tess")) as tess:
        assert (await tess.get("/v1/tags")).json()["tags"] == []


async def test_a_directory_of_anothers_is_deleted_and_the_admins_own_stays(
    site: Process, admin: httpx.AsyncClient
) -> None:
    mine = await admin.post("/v1/files?name=a&directory=d", content=b"mine")
    await by_grant(site, "dora")
    answer = await admin.delete("/v1/files", params={"directory": "d", "user_id": "dora"})
    assert answer.json() == {"directory": "d", "deleted": 1}
    assert (await admin.get(mine.headers["Location"])).content == b"mine"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/files?directory=d"),
        ("GET", "/v1/uploads"),
        ("GET", "/v1/tags"),
        ("POST", "/v1/tags"),
        ("GET", "/v1/grants"),
        ("GET", "/v1/usage"),
    ],
)
async def test_for_everyone_else_other_users_do_not_exist(
    site: Process, method: str, path: str
) -> None:
    address = path + ("&" if "?" in path else "?") + "user_id="
    async with client(site, user("eve", "grant")) as eve:
        assert refusal(await eve.request(method, address + "ann")) == (404, "not-found")
        own = await eve.request(method, address + "eve")
        assert own.status_code in (200, 201, 400), own.text  # 400: POST /v1/tags without a body


async def test_a_bearer_of_a_grant_acts_for_nobody_else(site: Process) -> None:
    grant = await mint(site, user_id="gwen")
    async with client(site, grant["token"]) as bearer:
        answer = await bearer.post("/v1/files?name=a&user_id=bob", content=b"x")
        assert refusal(answer) == (404, "not-found")
        answer = await bearer.post("/v1/uploads", json={"name": "a", "user_id": "bob"})
        assert refusal(answer) == (404, "not-found")


# -- creating for a user


async def test_what_an_admin_creates_for_a_user_is_the_users_who_also_pays(
    site: Process, admin: httpx.AsyncClient
) -> None:
    await admin.put("/v1/users/paul/quota", json={"quota": 30})
    file = await admin.post("/v1/files?name=a&user_id=paul", content=b"x" * 10)
    upload = await admin.post("/v1/uploads", json={"name": "b", "size": 10, "user_id": "paul"})
    digest = hashlib.sha256(b"").hexdigest()
    medium = await admin.post("/v1/media", json={"size": 10, "sha256": digest, "user_id": "paul"})
    owners = [file.json(), upload.json(), medium.json()["media"]]
    assert [each["user_id"] for each in owners] == ["paul"] * 3
    assert await usage(admin, "paul") == (10, 20)
    full = await admin.post("/v1/files?name=c&user_id=paul", content=b"x")
    assert refusal(full) == (507, "quota-exceeded")
    async with client(site, user("mary")) as mary:
        for path, body in (
            ("/v1/uploads", {"name": "b", "size": 1, "user_id": "paul"}),
            ("/v1/media", {"size": 1, "sha256": digest, "user_id": "paul"}),
        ):
            assert refusal(await mary.post(path, json=body)) == (404, "not-found")


# -- users


async def test_users_are_listed_page_by_page(site: Process, admin: httpx.AsyncClient) -> None:
    for name in ("list-a", "list-b", "list/c", "list-\u00fc"):
        await put(site, name)
    found: list[Any] = []
    cursor: str | None = "list"
    while cursor is not None:
        page = (await admin.get("/v1/users", params={"limit": 2, "cursor": cursor})).json()
        found, cursor = found + page["users"], page["cursor"]
    listed = {each["user_id"]: each for each in found}
    assert {"list-a", "list-b", "list/c", "list-\u00fc"} <= set(listed)
    assert listed["list-a"] == {"user_id": "list-a", "used": 5, "reserved": 0, "quota": None}
    assert [each["user_id"] for each in found] == sorted(listed)


async def test_only_an_admin_lists_and_deletes_users(site: Process) -> None:
    async with client(site, user("mary", "grant")) as mary:
        assert refusal(await mary.get("/v1/users")) == (403, "forbidden")
        assert refusal(await mary.delete("/v1/users/ann")) == (403, "forbidden")
        assert refusal(await mary.delete("/v1/users/mary")) == (403, "forbidden")
    grant = await mint(site, user_id="mary")
    async with client(site, grant["token"]) as bearer:
        assert refusal(await bearer.get("/v1/users")) == (403, "forbidden")


@pytest.mark.parametrize("name", ["gone", "gone/with a slash", "g\u00f6ne"])
async def test_a_user_is_deleted_with_all_they_have(
    site: Process, admin: httpx.AsyncClient, name: str
) -> None:
    files = [await put(site, name, b"x" * 5000) for _ in range(3)]
    upload = await begun(site, name)
    await admin.put(f"/v1/users/{quote(name, safe='')}/quota", json={"quota": 10**6})
    grant = await mint(site, user_id=name)
    async with client(site, user(name, "grant")) as mine:
        await mine.post("/v1/tags", json={"name": "own"})
        own = (await mine.post("/v1/grants", json={"action": "upload"})).json()
        kept = await put(site, "neighbour")

        answer = await admin.delete(f"/v1/users/{quote(name, safe='')}")
        assert answer.status_code == 200, answer.text
        nothing = {"user_id": name, "files": 0, "uploads": 0, "tags": 0, "grants": 0}
        assert answer.json() == {**nothing, "files": 3, "uploads": 1, "tags": 1, "grants": 2}
        for file in (*files, upload):
            assert refusal(await admin.get(f"/v1/files/{file}")) == (404, "not-found")
        assert (await mine.get("/v1/tags")).json()["tags"] == []
        for token in (grant["token"], own["token"]):
            async with client(site, token) as bearer:
                refused = await bearer.post("/v1/files?name=a", content=b"x")
                assert refusal(refused) == (401, "unauthorized")
        assert (await admin.get(f"/v1/files/{kept}")).status_code == 200
        everyone = (await admin.get("/v1/users?limit=1000")).json()["users"]
        assert name not in [each["user_id"] for each in everyone]

        again = await admin.delete(f"/v1/users/{quote(name, safe='')}")
        assert again.json() == nothing
        # The quota went too, and whoever still has a token begins anew.
        assert (await mine.get("/v1/usage")).json()["quota"] is None
        await put(site, name)
        assert await usage(admin, name) == (5, 0)


async def test_the_address_of_a_quota_is_not_that_of_a_user(admin: httpx.AsyncClient) -> None:
    answer = await admin.delete("/v1/users/ann/quota")
    assert refusal(answer) == (405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT"}
