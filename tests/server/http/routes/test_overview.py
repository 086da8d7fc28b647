"""`/v1/overview`: what admins see of all users, and that nobody else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.servers import Process, inside
from tests.support.users import client, mint, put, refusal, shown, user

ROUTES = ("/v1/overview", "/v1/overview/uploads", "/v1/overview/grants")


@pytest.mark.parametrize("path", ROUTES)
async def test_only_admins_see_it(users_server: Process, path: str) -> None:
    async with client(users_server, user("ann", "grant")) as ann:
        assert refusal(await ann.get(path)) == (403, "forbidden")
        grant = await mint(users_server)
        answer = await ann.get(path, headers=shown(grant["token"]))
        assert refusal(answer) == (403, "forbidden")
        assert (await ann.get("/v1/usage")).json()["admin"] is False


async def test_it_has_the_numbers_of_the_server(tmp_path: Path, database_url: str) -> None:
    async with inside(tmp_path, database_url) as server, server.http() as http:
        before = (await http.get("/v1/overview")).json()
        await http.post("/v1/files", params={"name": "a"}, content=b"12345")
        await http.post("/v1/uploads", json={"name": "b", "size": 5})
        after = (await http.get("/v1/overview")).json()
        assert (await http.get("/v1/usage")).json()["admin"] is True
    assert before["uploads"] == {"begun": 0, "finished": 0, "aborted": 0, "expired": 0}
    assert after["uploads"] == {"begun": 2, "finished": 1, "aborted": 0, "expired": 0}
    assert after["traffic"]["stored"] == 5
    assert after["traffic"]["sent"] > before["traffic"]["sent"]
    assert after["requests"] == before["requests"] + 3
    assert after["connections"] == {"http": 1, "websocket": 0, "streams": 0}
    assert after["outbox"]["left"] >= 0
    assert after["webhooks"] == {"left": 0, "oldest_seconds": 0}
    assert after["webhooks_disabled"] == 0
    assert set(after["janitor"]) == {"sweeps", "expired", "emptied", "purged", "failed"}
    assert set(after["free_space"]) <= {"database", "directory"}
    assert before["at"] < after["at"]


async def test_uploads_and_grants_of_all_users_are_listed(users_server: Process) -> None:
    begun = []
    for name in ("seen-1", "seen-2"):
        async with client(users_server, user(name)) as mine:
            made = await mine.post("/v1/uploads", json={"name": name, "size": 5})
            begun.append(made.json()["_id"])
    await put(users_server, "seen-1")
    grants = [await mint(users_server, user_id=name) for name in ("seen-1", "seen-2")]
    async with client(users_server, user("root", "admin")) as root:
        found = (await root.get("/v1/overview/uploads", params={"limit": 2})).json()
        assert [each["_id"] for each in found["uploads"]] == begun[::-1]
        assert [each["user_id"] for each in found["uploads"]] == ["seen-2", "seen-1"]
        page = (await root.get("/v1/overview/grants", params={"limit": 1})).json()
        assert [each["id"] for each in page["grants"]] == [grants[1]["id"]]
        query = {"limit": 1, "cursor": page["cursor"]}
        rest = (await root.get("/v1/overview/grants", params=query)).json()
        assert [(each["id"], each["minter"]) for each in rest["grants"]] == [
            (grants[0]["id"], "site")
        ]
        for each in begun:
            assert (await root.delete(f"/v1/uploads/{each}")).is_success
        await root.delete(f"/v1/grants/{grants[0]['id']}")
        left = (await root.get("/v1/overview/grants")).json()["grants"]
        assert grants[0]["id"] not in [each["id"] for each in left]
