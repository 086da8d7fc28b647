"""Lists of files, changes and deletions."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conftest import Kept


async def make(http: httpx.AsyncClient, **params: Any) -> str:
    made = await http.post("/v1/files", params=params, content=b"x")
    assert made.status_code == 201
    return str(made.json()["_id"])


async def listed(http: httpx.AsyncClient, **params: Any) -> list[str]:
    response = await http.get("/v1/files", params=params)
    return [each["_id"] for each in response.json()["files"]]


async def test_a_list_comes_in_pages_the_newest_first(http: httpx.AsyncClient, kept: Kept) -> None:
    ids = [await make(http, name=f"{number}.txt") for number in range(5)][::-1]
    assert await listed(http) == ids
    cursor, pages = None, []
    while True:
        params = {"limit": "2"} if cursor is None else {"limit": "2", "cursor": cursor}
        page = (await http.get("/v1/files", params=params)).json()
        pages.append([each["_id"] for each in page["files"]])
        cursor = page["cursor"]
        if cursor is None:
            break
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert kept() == (5, 5)


async def test_a_list_by_filters(http: httpx.AsyncClient, kept: Kept) -> None:
    one = await make(http, name="one.txt", directory="a", tag=["x", "y"])
    two = await make(http, name="two.txt", directory="a/b", tag="x")
    png = await make(http, name="one.png", directory="")
    assert await listed(http, name="one") == [png, one]
    assert await listed(http, directory="a") == [one]
    assert await listed(http, directory="") == [png]
    assert await listed(http, tag="x") == [two, one]
    assert await listed(http, tag=["x", "y"]) == [one]
    assert await listed(http, mime_type="image/png") == [png]
    assert await listed(http, name="one", tag="x") == [one]
    assert kept() == (3, 3)


async def test_what_is_said_of_a_file_can_be_changed(http: httpx.AsyncClient) -> None:
    file = await make(http, name="old", directory="a", tag="x")
    before = (await http.get(f"/v1/files/{file}")).headers["etag"]
    for change in ({"name": "new"}, {"directory": ""}, {"tags": ["y", "z"]}, {}):
        changed = await http.patch(f"/v1/files/{file}", json=change)
        assert changed.status_code == 200
        assert {key: changed.json()[key] for key in change} == change
    assert changed.json()["name"] == "new"
    assert (await http.get(f"/v1/files/{file}")).headers["etag"] == before
    for wrong in ({"name": ""}, {"tags": [".."]}, {"name": 1}, {"directory": "a\0"}, [1]):
        refused = await http.patch(f"/v1/files/{file}", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid-argument")
    assert (await http.patch("/v1/files/" + "0" * 24, json={})).status_code == 404


async def test_a_deleted_file_is_gone(http: httpx.AsyncClient, kept: Kept) -> None:
    file = await make(http, name="x")
    assert kept() == (1, 1)
    assert (await http.delete(f"/v1/files/{file}")).status_code == 204
    assert kept() == (0, 0)
    for method in ("GET", "HEAD", "DELETE", "PATCH"):
        again = await http.request(method, f"/v1/files/{file}", json={})
        assert again.status_code == 404
    assert await listed(http) == []


async def test_a_directory_is_deleted_with_those_below_it(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    for directory in ("a", "a/b", "a/b/c", "ab", "", "b/a"):
        await make(http, name="x", directory=directory)
    deleted = await http.delete("/v1/files", params={"directory": "a"})
    assert deleted.json()["deleted"] == 3
    assert (await http.delete("/v1/files", params={"directory": "a"})).json()["deleted"] == 0
    for query in ("", "?directory=", "?directory=a%00"):
        assert (await http.delete("/v1/files" + query)).status_code == 400
    assert kept() == (3, 3)


async def test_the_owner_makes_a_file_public_and_private_again(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/files", params={"public": "true"}, content=b"x")
    address = made.headers["location"]
    assert made.json()["public"] is True
    for public in (False, True):
        changed = await http.patch(address, json={"public": public})
        assert (changed.status_code, changed.json()["public"]) == (200, public)
    assert (await http.patch(address, json={"public": "yes"})).status_code == 400
    assert (await http.post("/v1/files", params={"public": "1"}, content=b"x")).status_code == 400
