"""`/v1/trash`, and the ways into it and out of it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conftest import Kept
from tests.server.http.routes.test_file_list import listed, make
from tests.support.servers import Process


async def trashed(http: httpx.AsyncClient, file_id: str) -> dict[str, Any]:
    answer = await http.delete(f"/v1/files/{file_id}", params={"trash": "true"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def in_trash(http: httpx.AsyncClient) -> list[str]:
    return [each["_id"] for each in (await http.get("/v1/trash")).json()["files"]]


async def test_every_way_to_a_file_in_the_trash_is_closed_and_opens_again(
    http: httpx.AsyncClient, server: Process, kept: Kept
) -> None:
    file_id = await make(http, name="film.txt", directory="reels", tag="x", public="true")
    grant = {"action": "download", "file_id": file_id}
    token = (await http.post("/v1/grants", json=grant)).json()["token"]
    link = f"/v1/g/{token}"
    used = (await http.get("/v1/usage")).json()["used"]
    found = await trashed(http, file_id)
    assert (found["state"], found["tags"]) == ("trashed", ["x"])
    assert found["trashed_at"] == found["updated_at"] < found["expires_at"]
    ways = [
        f"/v1/files/{file_id}",
        f"/v1/manifests/{file_id}",
        f"/v1/uploads/{file_id}",
        f"/v1/media/{file_id}/3",
        f"/public/{file_id}",
        link,
    ]
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone:
        for way in ways:
            who = anyone if way == link or way.startswith("/public") else http
            answer = await who.get(way)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), way
        assert (await http.get("/v1/archive", params={"directory": "reels"})).status_code == 404
        assert await listed(http) == []
        assert (await http.get("/v1/tags")).json()["tags"][0]["files"] == 0
        refused = await http.patch(f"/v1/files/{file_id}", json={"name": "y"})
        assert refused.status_code == 404
        assert (await http.get("/v1/usage")).json()["used"] == used == 1
        assert await in_trash(http) == [file_id]
        back = await http.post(f"/v1/files/{file_id}/restore")
        assert (back.json()["state"], back.json()["expires_at"]) == ("ready", None)
        assert await listed(http, tag="x", directory="reels") == [file_id]
        for way in (f"/public/{file_id}", link):
            assert (await anyone.get(way)).content == b"x"
    assert await in_trash(http) == []


async def test_searches_directories_and_shared_links_leave_it_out(
    http: httpx.AsyncClient, server: Process, kept: Kept
) -> None:
    gone = await make(http, name="holiday film.txt", directory="reels/summer")
    stays = await make(http, name="other film.txt", directory="reels")
    links = []
    for what in ({"file_id": gone}, {"directory": "reels"}):
        grant = {"action": "share", **what}
        links.append((await http.post("/v1/grants", json=grant)).json()["url"])
    await trashed(http, gone)
    assert await listed(http, search="film", order="name") == [stays]
    assert await listed(http, search="holiday") == []
    for order in ("-created", "size", "-modified", "type"):
        assert await listed(http, order=order, directory="reels", recursive="true") == [stays]
    inside = await http.get("/v1/directories", params={"directory": "reels"})
    assert inside.json()["directories"] == []
    (top,) = (await http.get("/v1/directories")).json()["directories"]
    assert (top["directory"], top["files"], top["size"]) == ("reels", 1, 1)
    moved = await http.patch(
        "/v1/directories", params={"directory": "reels"}, json={"directory": "films"}
    )
    assert moved.json()["moved"] == 1
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as anyone:
        page = {"accept": "text/html"}
        assert (await anyone.get(links[0], headers=page)).status_code == 404
        assert (await anyone.get(f"{links[0]}/files/{gone}")).status_code == 404
        assert gone not in (await anyone.get(links[1], headers=page)).text
        await http.post(f"/v1/files/{gone}/restore")
        assert (await anyone.get(links[0], headers=page)).status_code == 200
    assert await listed(http, search="HOLIDAY") == [gone]
    back = (await http.get(f"/v1/manifests/{gone}")).json()
    assert back["directory"] == "reels/summer", "as it was"


async def test_without_the_parameter_it_is_deleted_as_ever(
    http: httpx.AsyncClient, kept: Kept
) -> None:
    file_id = await make(http)
    answer = await http.delete(f"/v1/files/{file_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await in_trash(http) == []
    assert (await http.get("/v1/usage")).json()["used"] == 0
    assert (await http.post(f"/v1/files/{file_id}/restore")).status_code == 404


async def test_pages_and_emptying(http: httpx.AsyncClient, kept: Kept) -> None:
    ids = [await make(http, name=f"{number}.txt", directory="d") for number in range(3)][::-1]
    params = {"directory": "d", "trash": "true"}
    assert (await http.delete("/v1/files", params=params)).json()["deleted"] == 3
    first = (await http.get("/v1/trash", params={"limit": "2"})).json()
    rest = (await http.get("/v1/trash", params={"cursor": first["cursor"]})).json()
    assert [each["_id"] for each in first["files"] + rest["files"]] == ids
    assert (await http.delete(f"/v1/files/{ids[0]}")).status_code == 204
    assert (await http.delete("/v1/trash")).json() == {"deleted": 2}
    assert await in_trash(http) == []
    assert kept() == (0, 0)


async def test_conditions_hold(http: httpx.AsyncClient, kept: Kept) -> None:
    file_id = await make(http)
    params, path = {"trash": "true"}, f"/v1/files/{file_id}"
    wrong = await http.delete(path, params=params, headers={"If-Match": '"other"'})
    assert wrong.status_code == 412
    tag = (await http.get(path)).headers["etag"]
    right = await http.delete(path, params=params, headers={"If-Match": tag})
    assert right.status_code == 200
    assert (await http.delete(path, params={"trash": "yes"})).status_code == 400


async def test_it_is_noted_who_did_it(http: httpx.AsyncClient, kept: Kept) -> None:
    file_id = await make(http)
    await trashed(http, file_id)
    await http.post(f"/v1/files/{file_id}/restore")
    await trashed(http, file_id)
    await http.delete("/v1/trash")
    entries = (await http.get("/v1/audit", params={"file_id": file_id})).json()["entries"]
    acts = [each["act"] for each in entries][::-1]
    assert acts == ["created", "trashed", "restored", "trashed", "deleted"]
