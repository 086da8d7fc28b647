"""`/v1/audit`: every act by whoever did it, by every credential, and never a token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.receivers import receiving, status
from tests.support.servers import Process, inside, process
from tests.support.tus import BYTES
from tests.support.users import JWT, client, refusal, user
from tests.support.wire import ABORT, CLOSED, COMPLETE, FINISH, dial


@pytest.fixture(scope="module")
def site(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    url = mongod.replace("/?", "/audit?")
    data = tmp_path_factory.mktemp("audit")
    with process(data, url, webhook_private=True, **JWT) as running:
        yield running


@pytest.fixture
async def admin(site: Process) -> Any:
    async with client(site, user("root", "admin")) as found:
        yield found


async def entries(admin: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """What is in the log, the oldest first."""
    answer = await admin.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found[::-1]


def acts(found: list[dict[str, Any]]) -> list[str]:
    return [each["act"] for each in found]


async def test_the_life_of_a_file(site: Process, admin: httpx.AsyncClient) -> None:
    async with client(site, user("life")) as mine:
        made = await mine.post("/v1/files", params={"name": "a"}, content=b"x")
        path = f"/v1/files/{made.json()['_id']}"
        await mine.patch(path, json={"name": "b", "tags": ["t"]})
        await mine.patch(path, json={"public": True})
        # Whoever fetches what is theirs is not noted.
        assert (await mine.get("/v1/archive")).status_code == 200
        times = {"modified_at": "2020-01-01T00:00:00Z", "expires_at": "2999-01-01T00:00:00Z"}
        await admin.patch(path, json={"directory": "d", **times})
        await mine.delete(path)
    found = await entries(admin, owner="life")
    assert acts(found) == ["created", "changed", "shared", "changed", "deleted"]
    assert [each["user_id"] for each in found] == ["life", "life", "life", "root", "life"]
    assert {each["file_id"] for each in found} == {made.json()["_id"]}
    assert [each["name"] for each in found] == ["a", "b", "b", "b", "b"]
    assert found[1]["detail"] == "name, tags"
    assert found[3]["detail"] == "directory, modified_at, expires_at"
    assert found[0]["request_id"] == made.headers["x-request-id"]
    assert await entries(admin, file_id=made.json()["_id"]) == found
    assert acts(await entries(admin, owner="life", user_id="root")) == ["changed"]
    assert acts(await entries(admin, owner="life", act="deleted")) == ["deleted"]


async def test_an_admin_who_acts_for_a_user_did_it(site: Process, admin: httpx.AsyncClient) -> None:
    query = {"name": "a", "user_id": "acted"}
    await admin.post("/v1/files", params=query, content=b"x")
    await admin.delete("/v1/users/acted")
    found = await entries(admin, owner="acted")
    assert acts(found) == ["created", "deleted", "user-deleted"]
    assert {each["user_id"] for each in found} == {"root"}


async def test_grants_are_minted_used_and_revoked(site: Process, admin: httpx.AsyncClient) -> None:
    minter = user("minter", "grant")
    async with (
        client(site, minter) as mine,
        httpx.AsyncClient(base_url=site.url) as bearer,
    ):
        up = (await mine.post("/v1/grants", json={"action": "upload"})).json()
        made = (await bearer.put(up["url"], params={"name": "a"}, content=b"x")).json()
        body = {"action": "download", "file_id": made["_id"]}
        down = (await mine.post("/v1/grants", json=body)).json()
        for _ in range(3):
            assert (await bearer.get(down["url"])).content == b"x"
        await mine.delete(f"/v1/grants/{down['id']}")
    found = await entries(admin, owner="minter")
    assert acts(found) == ["minted", "created", "minted", "fetched", "revoked"]
    assert [each["grant_id"] for each in found] == [up["id"], up["id"], *[down["id"]] * 3]
    assert found[0]["detail"] == "upload"
    assert found[2]["detail"] == f"download {made['_id']}"
    text = (await admin.get("/v1/audit")).text
    assert "lg_" not in text
    assert minter not in text


async def test_every_transport_is_noted(site: Process, admin: httpx.AsyncClient) -> None:
    async with client(site, user("ways")) as mine, dial(site) as wire:
        await wire.hello(user("ways"))
        await wire.create(1, 0)
        await wire.send(FINISH, 1, {})
        await wire.expect(COMPLETE)
        await wire.create(2, 5)
        await wire.send(ABORT, 2)
        await wire.expect(CLOSED)
        tus = {**BYTES, "upload-length": "1"}
        assert (await mine.post("/v1/tus", headers=tus, content=b"x")).status_code == 201
        draft = {"upload-complete": "?1", "upload-draft-interop-version": "8"}
        assert (await mine.post("/v1/resumable", headers=draft, content=b"x")).is_success
        upload = (await mine.post("/v1/uploads", json={"name": "p", "size": 0})).json()
        for _ in range(2):
            assert (await mine.post(f"/v1/uploads/{upload['_id']}/finish")).is_success
    found = await entries(admin, owner="ways")
    assert acts(found) == ["created", "aborted", "created", "created", "created"]


async def test_what_admins_do_is_noted(site: Process, admin: httpx.AsyncClient) -> None:
    await admin.put("/v1/users/noted/quota", json={"quota": 5})
    assert [each["detail"] for each in await entries(admin, owner="noted")] == ["5"]
    await admin.post("/v1/session", json={})
    body = {"url": "http://127.0.0.1:9/", "events": ["file.ready"]}
    path = (await admin.post("/v1/webhooks", json=body)).headers["location"]
    await admin.patch(path, json={"enabled": False})
    await admin.delete(path)
    found = await entries(admin, user_id="root")
    assert acts(found)[-4:] == [
        "signed-in",
        "webhook-added",
        "webhook-changed",
        "webhook-removed",
    ]
    assert found[-1]["detail"] == path.rsplit("/", 1)[1]


async def test_it_is_read_in_pages_and_by_admins(site: Process, admin: httpx.AsyncClient) -> None:
    async with client(site, user("pages")) as mine:
        for _ in range(3):
            await mine.post("/v1/files", params={"name": "a"}, content=b"x")
        assert refusal(await mine.get("/v1/audit")) == (403, "forbidden")
    query = {"owner": "pages", "limit": "2"}
    page = (await admin.get("/v1/audit", params=query)).json()
    rest = (await admin.get("/v1/audit", params=query | {"cursor": page["cursor"]})).json()
    assert (len(page["entries"]), len(rest["entries"]), rest["cursor"]) == (2, 1, None)
    for wrong in ({"act": "read"}, {"file_id": "none"}, {"user": "a"}, {"cursor": "x"}):
        answer = await admin.get("/v1/audit", params=wrong)
        assert refusal(answer) == (400, "invalid-argument"), wrong


async def test_a_decision_is_noted_for_the_owner(tmp_path: Any, database_url: str) -> None:
    verdicts = {"good": 200, "bad": 403}
    async with receiving(lambda got: status(verdicts[got.content["data"]["name"]])) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        async with (
            inside(tmp_path, database_url, approve_url=url) as server,
            server.http() as http,
        ):
            for name in verdicts:
                await http.post("/v1/files", params={"name": name}, content=b"x")
            found = await entries(http)
    assert [(each["act"], each["name"]) for each in found] == [
        ("created", "good"),
        ("rejected", "bad"),
    ]


async def test_it_can_be_switched_off(tmp_path: Any, database_url: str) -> None:
    async with inside(tmp_path, database_url, audit_ttl=0) as server, server.http() as http:
        await http.post("/v1/files", params={"name": "a"}, content=b"x")
        assert await entries(http) == []
