"""Directories over HTTP: listed with the number and size of their files, and moved."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conftest import Kept
from tests.support.servers import Process
from tests.support.users import client, user


async def make(http: httpx.AsyncClient, directory: str, size: int = 1) -> str:
    made = await http.post("/v1/files", params={"directory": directory}, content=b"x" * size)
    assert made.status_code == 201
    return str(made.json()["_id"])


async def listed(http: httpx.AsyncClient, **params: Any) -> list[tuple[str, int, int]]:
    answer = await http.get("/v1/directories", params=params)
    assert answer.status_code == 200, answer.text
    return [(d["directory"], d["files"], d["size"]) for d in answer.json()["directories"]]


async def test_directories_are_listed_in_pages(http: httpx.AsyncClient, kept: Kept) -> None:
    for size, directory in enumerate(("a", "a/b", "a/b/c", "d", "")):
        await make(http, directory, size)
    assert await listed(http) == [("a", 3, 0 + 1 + 2), ("d", 1, 3)]
    assert await listed(http, directory="/a/") == [("a/b", 2, 1 + 2)]
    page = (await http.get("/v1/directories", params={"limit": "1"})).json()
    rest = {"limit": "1", "cursor": page["cursor"]}
    assert await listed(http, **rest) == [("d", 1, 3)]
    assert (await http.get("/v1/directories", params=rest)).json()["cursor"] is None
    for wrong in ({"directory": "a\0"}, {"cursor": "x" * 1025}, {"limit": "0"}, {"below": "a"}):
        assert (await http.get("/v1/directories", params=wrong)).status_code == 400
    assert kept() == (5, 4)


async def test_a_directory_is_moved_and_the_addresses_stay(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    file = await make(http, "a/b/c")
    moved = await http.patch(
        "/v1/directories", params={"directory": "a/b"}, json={"directory": "/d/"}
    )
    assert moved.json() == {"directory": "d", "moved": 1}
    assert (await http.get(f"/v1/files/{file}")).status_code == 200
    assert (await http.get(f"/v1/manifests/{file}")).json()["directory"] == "d/c"
    for query, body in (
        ("", {"directory": "x"}),
        ("?directory=/", {"directory": "x"}),
        ("?directory=d", {"directory": "d/c"}),
        ("?directory=d", {}),
        ("?directory=d", {"directory": 1}),
        ("?directory=d", {"directory": "x" * 1025}),
    ):
        refused = await http.patch("/v1/directories" + query, json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert kept() == (1, 1)


async def test_nobody_lists_or_moves_the_directories_of_others(users_server: Process) -> None:
    async with (
        client(users_server, user("dora")) as dora,
        client(users_server, user("emil")) as emil,
    ):
        await make(dora, "a")
        assert await listed(emil) == []
        moved = await emil.patch("/v1/directories?directory=a", json={"directory": "b"})
        assert moved.json()["moved"] == 0
        for request in (
            await emil.get("/v1/directories?user_id=dora"),
            await emil.patch("/v1/directories?directory=a&user_id=dora", json={"directory": "b"}),
        ):
            assert request.status_code == 404
        assert await listed(dora) == [("a", 1, 1)]
    async with client(users_server, user("root", "admin")) as root:
        assert await listed(root, user_id="dora") == [("a", 1, 1)]
