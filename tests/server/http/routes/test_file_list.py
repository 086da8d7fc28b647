"""Lists of files, changes and deletions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

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
    beside = await make(http, name="beside", directory="ab")
    assert await listed(http, directory="a", recursive="true") == [two, one]
    assert await listed(http, directory="/a/", recursive="true", name="two") == [two]
    assert await listed(http, directory="a", recursive="false") == [one]
    assert await listed(http, directory="", recursive="true") == [beside, png, two, one]
    assert (await http.get("/v1/files", params={"recursive": "1"})).status_code == 400
    await http.delete(f"/v1/files/{beside}")
    assert await listed(http, tag="x") == [two, one]
    assert await listed(http, tag=["x", "y"]) == [one]
    assert await listed(http, mime_type="image/png") == [png]
    assert await listed(http, name="one", tag="x") == [one]
    assert kept() == (3, 3)


async def test_the_time_of_a_file_is_kept(http: httpx.AsyncClient) -> None:
    made = await http.post(
        "/v1/files", params={"modified_at": "2009-02-14T00:31:30.1234567+01:00"}, content=b"x"
    )
    file = made.json()
    assert file["modified_at"] == "2009-02-13T23:31:30.123Z"
    path = f"/v1/files/{file['_id']}"
    for said, kept in (
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("1901-02-03T04:05:06.789Z", "1901-02-03T04:05:06.789Z"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.9999-05:00", "9999-12-31T23:59:59.000Z"),
    ):
        changed = await http.patch(path, json={"modified_at": said})
        assert changed.json()["modified_at"] == kept
        (listed,) = (await http.get("/v1/files", params={"limit": "1"})).json()["files"]
        assert listed["modified_at"] == kept
    untimed = await http.post("/v1/files", content=b"x")
    assert untimed.json()["modified_at"] is None


@pytest.mark.parametrize("text", ["", "now", "2009-02-13", "2009-02-13T23:31:30", "0", 7, True])
async def test_what_is_no_time(http: httpx.AsyncClient, kept: Kept, text: Any) -> None:
    body = {"name": "a", "size": 1, "modified_at": text}
    assert (await http.post("/v1/uploads", json=body)).status_code == 400
    if text:  # an empty parameter says nothing
        stored = await http.post("/v1/files", params={"modified_at": str(text)}, content=b"x")
        assert stored.status_code == 400
        assert stored.json()["code"] == "invalid-argument"
    assert kept() == (0, 0)


async def test_a_file_can_have_an_end(http: httpx.AsyncClient, kept: Kept) -> None:
    path = f"/v1/files/{await make(http)}"
    changed = await http.patch(path, json={"expires_at": "2999-01-01T00:00:00Z"})
    assert changed.json()["expires_at"] == "2999-01-01T00:00:00.000Z"
    assert (await http.patch(path, json={"name": "b"})).json()["expires_at"] is not None
    assert (await http.patch(path, json={"expires_at": None})).json()["expires_at"] is None
    wrong = await http.patch(path, json={"expires_at": "tomorrow"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid-argument")
    upload = (await http.post("/v1/uploads", json={"name": "a", "size": 1})).json()["_id"]
    early = await http.patch(f"/v1/files/{upload}", json={"expires_at": "2999-01-01T00:00:00Z"})
    assert (early.status_code, early.json()["code"]) == (409, "incomplete")
    assert kept() == (2, 1)


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


async def test_words_are_searched_anywhere_in_names(http: httpx.AsyncClient, kept: Kept) -> None:
    sea = await make(http, name="Holiday Sea.jpg")
    side = await make(http, name="seaside.png")
    assert await listed(http, search="SEA") == [side, sea]
    assert await listed(http, search="  sea   jpg ") == [sea]
    assert await listed(http, search="sea", order="name", directory="") == [sea, side]
    assert await listed(http, search=" ") == [side, sea]
    assert await listed(http, search="[a") == []
    for wrong in ("x" * 257, "a\0"):
        assert (await http.get("/v1/files", params={"search": wrong})).status_code == 400
    assert kept() == (2, 2)


async def test_lists_in_every_order_come_in_pages(http: httpx.AsyncClient, kept: Kept) -> None:
    b, a, c = [await make(http, name=name) for name in ("b", "A", "c")]
    for file, day in ((b, "2025-01-02"), (a, "2025-01-01")):  # the other one is of today
        await http.patch(f"/v1/files/{file}", json={"modified_at": f"{day}T00:00:00Z"})
    assert await listed(http, order="name") == [a, b, c]
    assert await listed(http, order="-name") == [c, b, a]
    assert await listed(http, order="created") == [b, a, c]
    assert await listed(http, order="-modified") == [c, b, a]
    for order in ("name", "-name", "size", "-type", "modified", "created", "-created"):
        whole = await listed(http, order=order)
        paged: list[str] = []
        params = {"order": order, "limit": "1"}
        while True:
            page = (await http.get("/v1/files", params=params)).json()
            paged += [each["_id"] for each in page["files"]]
            if page["cursor"] is None:
                break
            params["cursor"] = page["cursor"]
        assert paged == whole
    other = await http.get("/v1/files", params={"order": "size", "cursor": b})
    assert (other.status_code, other.json()["code"]) == (400, "invalid-argument")
    assert (await http.get("/v1/files", params={"order": "age"})).status_code == 400
    assert kept() == (3, 3)
