"""Tags over HTTP: created, used, counted, renamed, deleted, and names that no tag may have."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.servers import Process
from tests.support.users import client, mint, refusal, user

_numbers = itertools.count(1)


@pytest.fixture
async def mine(users_server: Process) -> AsyncIterator[httpx.AsyncClient]:
    """A user of the test's own."""
    async with client(users_server, user(f"tags-{next(_numbers)}")) as found:
        yield found


async def put(mine: httpx.AsyncClient, *tags: str) -> str:
    answer = await mine.post("/v1/files", content=b"x", params={"name": "a", "tag": tags})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


async def listed(mine: httpx.AsyncClient, **params: Any) -> list[tuple[str, int]]:
    answer = await mine.get("/v1/tags", params=params)
    assert answer.headers["Cache-Control"] == "no-store"
    return [(each["name"], each["files"]) for each in answer.json()["tags"]]


async def tags_of(mine: httpx.AsyncClient, file: str) -> list[str]:
    return sorted((await mine.get(f"/v1/manifests/{file}")).json()["tags"])


def where(name: str) -> str:
    return f"/v1/tags/{quote(name, safe='')}"


async def test_a_life(mine: httpx.AsyncClient) -> None:
    assert (await mine.get("/v1/tags")).json() == {"tags": [], "cursor": None}
    made = await mine.post("/v1/tags", json={"name": "sea"})
    assert (made.status_code, made.json()) == (201, {"name": "sea", "files": 0})
    assert made.headers["Location"] == "/v1/tags/sea"
    assert refusal(await mine.post("/v1/tags", json={"name": "sea"})) == (409, "name-taken")
    first, second = await put(mine, "sea", "sun"), await put(mine, "sea")
    assert await listed(mine) == [("sea", 2), ("sun", 1)]
    assert (await mine.get("/v1/tags/sea")).json() == {"name": "sea", "files": 2}

    renamed = await mine.patch("/v1/tags/sea", json={"name": "ocean"})
    assert (renamed.status_code, renamed.json()) == (200, {"name": "ocean", "files": 2})
    assert await tags_of(mine, first) == ["ocean", "sun"]
    assert await tags_of(mine, second) == ["ocean"]
    found = (await mine.get("/v1/files?tag=ocean&tag=sun")).json()["files"]
    assert [each["_id"] for each in found] == [first]
    assert (await mine.get("/v1/files?tag=sea")).json()["files"] == []
    assert refusal(await mine.get("/v1/tags/sea")) == (404, "not-found")

    gone = await mine.delete("/v1/tags/ocean")
    assert (gone.status_code, gone.content) == (204, b"")
    assert await tags_of(mine, first) == ["sun"]
    assert await tags_of(mine, second) == []
    assert refusal(await mine.delete("/v1/tags/ocean")) == (404, "not-found")
    assert (await mine.get(f"/v1/files/{first}")).status_code == 200
    assert await listed(mine) == [("sun", 1)]


async def test_counts_follow_the_files(mine: httpx.AsyncClient) -> None:
    files = [await put(mine, "x", "y") for _ in range(3)]
    upload = (await mine.post("/v1/uploads", json={"name": "u", "size": 0, "tags": ["x"]})).json()
    assert await listed(mine) == [("x", 3), ("y", 3)]
    await mine.post(f"/v1/uploads/{upload['_id']}/finish")
    assert await listed(mine) == [("x", 4), ("y", 3)]
    await mine.delete(f"/v1/files/{files[0]}")
    assert await listed(mine) == [("x", 3), ("y", 2)]
    await mine.patch(f"/v1/files/{files[1]}", json={"tags": ["z"]})
    await mine.patch(f"/v1/files/{files[2]}", json={"name": "b"})
    assert await listed(mine) == [("x", 2), ("y", 1), ("z", 1)]
    await mine.patch(f"/v1/files/{files[2]}", json={"tags": []})
    assert await listed(mine) == [("x", 1), ("y", 0), ("z", 1)]


async def test_a_tag_of_an_unfinished_upload_is_not_there_and_is_renamed_all_the_same(
    mine: httpx.AsyncClient,
) -> None:
    upload = (await mine.post("/v1/uploads", json={"name": "u", "size": 0, "tags": ["x"]})).json()
    assert await listed(mine) == []
    await put(mine, "x")
    await mine.patch("/v1/tags/x", json={"name": "y"})
    finished = await mine.post(f"/v1/uploads/{upload['_id']}/finish")
    assert finished.json()["tags"] == ["y"]
    assert await listed(mine) == [("y", 2)]


async def test_renaming_onto_a_tag_that_is_there(mine: httpx.AsyncClient) -> None:
    file = await put(mine, "x")
    await put(mine, "used")
    await mine.post("/v1/tags", json={"name": "created"})
    for name in ("used", "created"):
        answer = await mine.patch("/v1/tags/x", json={"name": name})
        assert refusal(answer) == (409, "name-taken")
    assert await tags_of(mine, file) == ["x"]
    assert (await mine.patch("/v1/tags/x", json={"name": "x"})).json() == {"name": "x", "files": 1}
    assert refusal(await mine.patch("/v1/tags/no", json={"name": "new"})) == (404, "not-found")


async def test_pages(mine: httpx.AsyncClient) -> None:
    names = [f"t{number}" for number in range(5)]
    for name in reversed(names):
        await mine.post("/v1/tags", json={"name": name})
    found: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await mine.get("/v1/tags", params=params)).json()
        found += [each["name"] for each in page["tags"]]
        if page["cursor"] is None:
            break
        params["cursor"] = page["cursor"]
    assert found == names
    assert await listed(mine, limit=5) == [(name, 0) for name in names]
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"cursor": ""}, {"cursor": ".."}):
        answer = await mine.get("/v1/tags", params=wrong)
        assert refusal(answer) == (400, "invalid-argument")


@pytest.mark.parametrize(
    "name",
    ["a/b", "/", "é ü", "a b", "%", "%2F", "?", "#", "a$", "\u202e", "\U0001f600", "x" * 128],
)
async def test_any_other_word_is_a_tag(mine: httpx.AsyncClient, name: str) -> None:
    made = await mine.post("/v1/tags", json={"name": name})
    assert made.status_code == 201, made.text
    file = await put(mine, name)
    assert (await mine.get(made.headers["Location"])).json() == {"name": name, "files": 1}
    assert (await mine.patch(where(name), json={"name": "plain"})).status_code == 200
    assert (await mine.patch("/v1/tags/plain", json={"name": name})).json()["name"] == name
    assert await tags_of(mine, file) == [name]
    assert (await mine.delete(where(name))).status_code == 204


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "\n", "\x7f", "x" * 129])
async def test_what_is_no_tag_is_refused(mine: httpx.AsyncClient, name: str) -> None:
    await mine.post("/v1/tags", json={"name": "x"})
    path = where(name).replace(".", "%2E")
    for answer in (
        await mine.post("/v1/tags", json={"name": name}),
        await mine.patch("/v1/tags/x", json={"name": name}),
        await mine.get(path),
        await mine.patch(path, json={"name": "y"}),
        await mine.delete(path),
    ):
        assert refusal(answer) == (400, "invalid-argument")
    assert await listed(mine) == [("x", 0)]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "{}", '{"name": null}', '{"name": 1}', '{"name": {"$ne": null}}']
)
async def test_what_names_no_tag_is_refused(mine: httpx.AsyncClient, body: str) -> None:
    await mine.post("/v1/tags", json={"name": "x"})
    for answer in (
        await mine.post("/v1/tags", content=body),
        await mine.patch("/v1/tags/x", content=body),
    ):
        assert refusal(answer) == (400, "invalid-argument")


async def test_tags_are_a_users_own(users_server: Process, mine: httpx.AsyncClient) -> None:
    file = await put(mine, "own")
    async with client(users_server, user("tags-other")) as other:
        theirs = [
            await other.get("/v1/tags/own"),
            await other.patch("/v1/tags/own", json={"name": "theirs"}),
            await other.delete("/v1/tags/own"),
        ]
        none = await other.get("/v1/tags/none")
        assert {refusal(answer) for answer in theirs} == {refusal(none)} == {(404, "not-found")}
        assert {answer.text.replace("own", "none") for answer in theirs} == {none.text}
        assert await listed(other) == []
    assert await tags_of(mine, file) == ["own"]
    async with client(users_server) as nobody:
        for method, path in (
            ("GET", "/v1/tags"),
            ("POST", "/v1/tags"),
            ("GET", "/v1/tags/own"),
            ("PATCH", "/v1/tags/own"),
            ("DELETE", "/v1/tags/own"),
        ):
            assert refusal(await nobody.request(method, path)) == (401, "unauthorized")


async def test_what_comes_by_a_grant_is_tagged_for_its_user(users_server: Process) -> None:
    grant = await mint(users_server, user_id="tags-granted")
    async with client(users_server) as bearer:
        await bearer.put(f"{grant['url']}?name=a&tag=x", content=b"x")
    async with client(users_server, user("tags-granted")) as owner:
        assert await listed(owner) == [("x", 1)]


async def test_a_tag_that_is_given_twice_is_kept_once(mine: httpx.AsyncClient) -> None:
    twice = ["b", "a", "b"]
    file = await put(mine, *twice)
    assert await tags_of(mine, file) == ["a", "b"]
    await mine.patch(f"/v1/files/{file}", json={"tags": ["c", "c"]})
    assert await tags_of(mine, file) == ["c"]
    upload = await mine.post("/v1/uploads", json={"name": "a", "tags": twice})
    assert upload.json()["tags"] == ["b", "a"]
