"""`/v1/webhooks` over HTTP: for admins only, the secret once, and what a receiver then gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.receivers import receiving, status
from tests.support.servers import Process, process, until
from tests.support.users import JWT, client, refusal, user

UNKNOWN = "0" * 24


@pytest.fixture(scope="module")
def site(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that sends webhooks to the loopback."""
    url = mongod.replace("/?", "/webhooks?")
    data = tmp_path_factory.mktemp("webhooks")
    with process(data, url, webhook_private=True, **JWT) as running:
        yield running


@pytest.fixture
async def admin(site: Process) -> Any:
    async with client(site, user("root", "admin")) as found:
        yield found
        for each in (await found.get("/v1/webhooks")).json()["webhooks"]:
            await found.delete(f"/v1/webhooks/{each['id']}")


async def test_a_file_is_reported_and_the_delivery_is_logged(admin: httpx.AsyncClient) -> None:
    async with receiving() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        events = ["file.deleted", "file.ready"]
        added = await admin.post("/v1/webhooks", json={"url": url, "events": events})
        assert added.status_code == 201
        webhook = added.json()
        assert webhook.pop("secret").startswith("whsec_")
        assert webhook["events"] == ["file.ready", "file.deleted"]
        assert (await admin.get("/v1/webhooks")).json() == {"webhooks": [webhook]}
        assert (await admin.get(added.headers["location"])).json() == webhook
        made = await admin.post("/v1/files", params={"name": "a"}, content=b"x")
        file_id = made.json()["_id"]
        await admin.delete(f"/v1/files/{file_id}")
        await until(lambda: len(receiver.got) == 2)
        assert [each.event for each in receiver.got] == ["file.ready", "file.deleted"]
        assert {each.content["data"]["_id"] for each in receiver.got} == {file_id}

        async def log(**query: str | int) -> Any:
            answer = await admin.get(f"/v1/webhooks/{webhook['id']}/deliveries", params=query)
            return answer.json()

        while (await log(state="pending"))["deliveries"]:
            pass
        page = await log(limit=1)
        rest = await log(limit=1, cursor=page["cursor"])
        assert rest["cursor"] is None
        (deleted,), (ready,) = page["deliveries"], rest["deliveries"]
        assert deleted["message_id"] == receiver.got[1].id
        assert (ready["event"], ready["state"], ready["status"]) == (
            "file.ready",
            "delivered",
            204,
        )
        assert (ready["file_id"], ready["tries"], ready["due_at"]) == (file_id, 1, None)


async def test_a_test_tells_what_became_of_it(admin: httpx.AsyncClient) -> None:
    async with receiving(lambda _got: status(500)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        added = await admin.post("/v1/webhooks", json={"url": url, "events": ["file.ready"]})
        path = f"/v1/webhooks/{added.json()['id']}"
        answer = await admin.post(f"{path}/test")
        delivery = answer.json()
        assert (answer.status_code, delivery["state"], delivery["status"]) == (200, "failed", 500)
        assert (delivery["event"], delivery["file_id"]) == ("webhook.test", None)
        assert delivery["error"] == "The answer has the status 500."
        refused = await admin.post(f"{path}/test", json={"event": "file.ready"})
        assert refusal(refused) == (400, "invalid-argument")


async def test_it_is_changed_disabled_enabled_and_removed(admin: httpx.AsyncClient) -> None:
    body = {"url": "http://127.0.0.1:9/", "events": ["file.ready"]}
    path = (await admin.post("/v1/webhooks", json=body)).headers["location"]
    changed = (await admin.patch(path, json={"events": ["upload.expired"]})).json()
    assert changed["events"] == ["upload.expired"]
    disabled = (await admin.patch(path, json={"enabled": False})).json()
    assert (disabled["enabled"], disabled["disabled_because"]) == (False, "An admin disabled it.")
    enabled = (await admin.patch(path, json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_at"]) == (True, None)
    assert (await admin.delete(path)).status_code == 204
    assert refusal(await admin.get(path)) == (404, "not-found")
    assert refusal(await admin.delete(path)) == (404, "not-found")


async def test_only_an_admin_may(site: Process) -> None:
    calls = [
        ("POST", ""),
        ("GET", ""),
        ("GET", f"/{UNKNOWN}"),
        ("PATCH", f"/{UNKNOWN}"),
        ("DELETE", f"/{UNKNOWN}"),
        ("POST", f"/{UNKNOWN}/test"),
        ("GET", f"/{UNKNOWN}/deliveries"),
    ]
    async with client(site, user("ann")) as ann:
        for method, path in calls:
            answer = await ann.request(method, f"/v1/webhooks{path}")
            assert refusal(answer) == (403, "forbidden"), (method, path)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "http://127.0.0.1/"},
        {"url": "http://127.0.0.1/", "events": []},
        {"url": "http://127.0.0.1/", "events": ["file.read"]},
        {"url": "ftp://127.0.0.1/", "events": ["file.ready"]},
        {"url": "http://127.0.0.1/", "events": ["file.ready"], "secret": "mine"},
    ],
)
async def test_what_is_wrong_is_refused(admin: httpx.AsyncClient, body: Any) -> None:
    assert refusal(await admin.post("/v1/webhooks", json=body)) == (400, "invalid-argument")
    assert (await admin.get("/v1/webhooks")).json() == {"webhooks": []}


async def test_usually_only_public_addresses_are_taken(http: httpx.AsyncClient) -> None:
    """A server with the usual settings."""
    for url in ("https://127.0.0.1/", "https://0x7f000001/", "https://[::ffff:10.0.0.1]/"):
        answer = await http.post("/v1/webhooks", json={"url": url, "events": ["file.ready"]})
        assert refusal(answer) == (400, "invalid-argument")
        assert "LADING_WEBHOOK_PRIVATE" in answer.json()["detail"]
    answer = await http.post("/v1/webhooks", json={"url": "http://a/", "events": ["file.ready"]})
    assert "https://" in answer.json()["detail"]
