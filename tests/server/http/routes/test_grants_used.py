"""Using grants over HTTP: uploads, downloads, and their end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.servers import Process, inside, process, until
from tests.support.users import JWT, client, mint, put, refusal, shown, used, user

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(100)
ABSENT = "0" * 24
LATER = 4_000_000_000.0
"""Far in the future: the database goes by its own clock in what it forgets."""


# -- uploading


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_the_bearer_of_the_token_uploads_without_any_other_credential(
    users_server: Process, method: str
) -> None:
    bound: dict[str, Any] = {
        "name": "avatar.png",
        "directory": "avatars",
        "mime_types": ["image/png"],
    }
    minted = await mint(users_server, **bound)
    async with client(users_server) as browser, client(users_server, user("ann")) as ann:
        answer = await browser.request(
            method, minted["url"], content=PNG, params={"name": "evil.exe", "tag": "x"}
        )
        assert answer.status_code == 201, answer.text
        file = answer.json()
        assert answer.headers["Location"] == f"/v1/files/{file['_id']}"
        told = (file["user_id"], file["name"], file["directory"], file["mime_type"], file["tags"])
        assert told == ("ann", "avatar.png", "avatars", "image/png", ["x"])
        assert (await ann.get(f"/v1/files/{file['_id']}")).content == PNG


async def test_a_form_is_taken_as_well(users_server: Process) -> None:
    minted = await mint(users_server, name="a.png", size=len(PNG))
    async with client(users_server) as browser:
        form = {"file": ("photo.png", PNG, "image/png")}
        answer = await browser.post(minted["url"], files=form)
    assert (answer.status_code, answer.json()["name"]) == (201, "a.png")


async def test_the_token_is_a_bearer_token_too(users_server: Process) -> None:
    minted = await mint(users_server, uses=2)
    async with client(users_server, minted["token"]) as browser:
        assert (await browser.post("/v1/files", content=b"x")).status_code == 201
        begun = await browser.post("/v1/uploads", json={"name": "a", "size": 3})
        upload = begun.json()["_id"]
        assert upload in [
            each["_id"] for each in (await browser.get("/v1/uploads")).json()["uploads"]
        ]
        piece = await browser.put(f"/v1/uploads/{upload}/chunks/0", content=b"abc")
        assert piece.status_code == 200, piece.text
        assert (await browser.get(f"/v1/uploads/{upload}")).json()["missing"] == []
        done = await browser.post(f"/v1/uploads/{upload}/finish")
        assert (done.status_code, done.json()["user_id"]) == (200, "ann")


async def test_a_body_may_be_as_long_as_the_grant_says(database_url: str, tmp_path: Path) -> None:
    async with inside(tmp_path, database_url, small_file_limit=100) as server, server.http() as c:
        minted = (await c.post("/v1/grants", json={"action": "upload", "max_size": 5000})).json()
        assert (await c.put(minted["url"], content=bytes(5000))).status_code == 201
        minted = (await c.post("/v1/grants", json={"action": "upload"})).json()
        assert refusal(await c.put(minted["url"], content=bytes(101))) == (413, "too-large")


async def test_a_broken_upload_gives_the_use_back(users_server: Process) -> None:
    minted = await mint(users_server, max_size=10**6)
    _, writer = await asyncio.open_connection("127.0.0.1", users_server.port)
    head = f"PUT {minted['url']} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    writer.write(head.encode() + b"x" * 1000)
    await writer.drain()
    async with asyncio.timeout(20):
        while not await used(users_server, minted):
            pass
        writer.close()
        await writer.wait_closed()
        while await used(users_server, minted):
            pass
    async with client(users_server) as browser:
        assert (await browser.put(minted["url"], content=b"x")).status_code == 201


async def test_of_many_at_once_on_two_servers_as_many_succeed_as_are_allowed(
    users_server: Process, other_users_server: Process
) -> None:
    minted = await mint(users_server, uses=3)
    async with client(users_server) as here, client(other_users_server) as there:
        race = [(here, there)[n % 2].put(minted["url"], content=b"x") for n in range(20)]
        statuses = sorted([answer.status_code for answer in await asyncio.gather(*race)])
    assert statuses == [201] * 3 + [403] * 17
    assert await used(users_server, minted) == 3


# -- downloading


async def test_a_file_is_fetched_with_nothing_but_the_address(users_server: Process) -> None:
    data = bytes(range(256)) * 40
    file = await put(users_server, data=data, name="film.mp4")
    minted = await mint(users_server, user_id=None, action="download", file_id=file)
    async with client(users_server) as player:
        for url in (minted["url"], f"{minted['url']}/0"):
            whole = await player.get(url)
            assert (whole.status_code, whole.content) == (200, data)
            part = await player.get(url, headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, data[10:20])
            head = await player.head(url)
            assert (head.headers["Content-Length"], head.content) == (str(len(data)), b"")
            again = await player.get(url, headers={"If-None-Match": whole.headers["ETag"]})
            assert again.status_code == 304
    assert whole.headers["Content-Disposition"].startswith("inline")
    assert whole.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert whole.headers["Referrer-Policy"] == "no-referrer"


async def test_the_token_of_a_download_is_a_bearer_token_too(users_server: Process) -> None:
    file = await put(users_server)
    minted = await mint(users_server, action="download", file_id=file)
    async with client(users_server, minted["token"]) as viewer:
        assert (await viewer.get(f"/v1/files/{file}")).content == b"bytes"
        assert (await viewer.head(f"/v1/files/{file}")).status_code == 200


async def test_a_download_is_granted_of_files_that_are_there_and_the_users(
    users_server: Process,
) -> None:
    file = await put(users_server, "ann")
    async with client(users_server, user("site", "grant")) as site:
        for fields in ({"file_id": ABSENT}, {"file_id": file, "user_id": "bob"}):
            answer = await site.post("/v1/grants", json={"action": "download", **fields})
            assert refusal(answer) == (404, "not-found")


async def test_qualities_that_are_not_there_or_not_granted(users_server: Process) -> None:
    file = await put(users_server)
    small = await mint(users_server, action="download", file_id=file, quality=3)
    whole = await mint(users_server, action="download", file_id=file, quality=0)
    either = await mint(users_server, action="download", file_id=file)
    async with client(users_server, small["token"]) as viewer:
        for url, told in (
            (f"{small['url']}/0", (403, "forbidden")),
            (f"/v1/files/{file}", (403, "forbidden")),
            (f"{small['url']}/3", (404, "not-found")),
            (small["url"], (404, "not-found")),
            (f"{whole['url']}/3", (403, "forbidden")),
            (f"{either['url']}/3", (404, "not-found")),
            (f"{either['url']}/7", (404, "not-found")),
            (f"{either['url']}/00", (404, "not-found")),
            (f"{either['url']}/x", (404, "not-found")),
        ):
            assert refusal(await viewer.get(url)) == told, url
        for url in (whole["url"], f"{either['url']}/0"):
            assert (await viewer.get(url)).status_code == 200


async def test_a_proxy_may_ask_whether_a_file_may_be_served(users_server: Process) -> None:
    file = await put(users_server)
    minted = await mint(users_server, action="download", file_id=file)
    upload = await mint(users_server)
    async with client(users_server) as proxy, client(users_server, user("ann")) as ann:
        # What the viewer asked for comes along with the question, and must not matter.
        viewers = {"Range": "bytes=99999-", "If-None-Match": "*"}
        for rest in ("", "/0", "/3"):
            answer = await proxy.get(f"{minted['url']}{rest}/check", headers=viewers)
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["X-Lading-File"] == file
            assert answer.headers["X-Lading-Quality"] == (rest[1:] or "0")
        refused: list[Any] = [await proxy.get(f"{upload['url']}/check")]
        assert (await ann.delete(f"/v1/files/{file}")).status_code == 204
        refused.append(await proxy.get(f"{minted['url']}/check"))
        assert [refusal(answer) for answer in refused] == [(403, "forbidden")] * 2
        for url in ("/v1/g/lg_x/check", f"/v1/g/lg_{'x' * 43}/check"):
            assert refusal(await proxy.get(url)) == (401, "unauthorized")


# -- the end


async def test_an_expired_grant_begins_nothing_and_shows_nothing(
    database_url: str, tmp_path: Path
) -> None:
    now = LATER
    async with inside(tmp_path, database_url, clock=lambda: now) as server, server.http() as site:
        upload = (
            await site.post("/v1/grants", json={"action": "upload", "uses": 9, "expires_in": 60})
        ).json()
        file = (await site.put(upload["url"], content=b"bytes")).json()["_id"]
        download = (
            await site.post(
                "/v1/grants", json={"action": "download", "file_id": file, "expires_in": 60}
            )
        ).json()
        unused = (await site.post("/v1/grants", json={"action": "upload", "expires_in": 60})).json()
        assert (await site.get(download["url"])).status_code == 200
        now += 60
        for answer in (
            await site.get(download["url"]),
            await site.get(f"{download['url']}/check"),
            await site.get(f"/v1/files/{file}", headers=shown(download["token"])),
            await site.put(upload["url"], content=b"more"),
            await site.put(unused["url"], content=b"more"),
            await site.post("/v1/uploads", json={"name": "a"}, headers=shown(upload["token"])),
        ):
            assert refusal(answer) == (403, "forbidden")
            assert "expired" in answer.json()["detail"]


async def test_an_upload_that_was_begun_in_time_is_finished_by_http(
    database_url: str, tmp_path: Path
) -> None:
    now = LATER
    async with inside(tmp_path, database_url, clock=lambda: now) as server, server.http() as site:
        body = {"action": "upload", "expires_in": 60}
        minted = (await site.post("/v1/grants", json=body)).json()
        browser = shown(minted["token"])
        begun = await site.post("/v1/uploads", json={"name": "a", "size": 3}, headers=browser)
        upload = f"/v1/uploads/{begun.json()['_id']}"
        now += 3600
        listed = (await site.get("/v1/uploads", headers=browser)).json()["uploads"]
        assert [each["_id"] for each in listed] == [begun.json()["_id"]]
        piece = await site.put(f"{upload}/chunks/0", content=b"abc", headers=browser)
        assert piece.status_code == 200, piece.text
        done = await site.post(f"{upload}/finish", headers=browser)
        assert (done.status_code, done.json()["state"]) == (200, "ready")


async def test_a_revoked_grant_is_worth_nothing_at_once(users_server: Process) -> None:
    file = await put(users_server)
    download = await mint(users_server, action="download", file_id=file)
    upload = await mint(users_server, uses=2)
    async with client(users_server, user("site", "grant")) as site, client(users_server) as other:
        begun = await other.post(
            "/v1/uploads", json={"name": "a", "size": 3}, headers=shown(upload["token"])
        )
        for minted in (download, upload):
            assert (await site.delete(f"/v1/grants/{minted['id']}")).status_code == 204
            assert refusal(await site.delete(f"/v1/grants/{minted['id']}")) == (404, "not-found")
        url = f"/v1/uploads/{begun.json()['_id']}/chunks/0"
        for answer in (
            await other.get(download["url"]),
            await other.put(upload["url"], content=b"x"),
            await other.put(url, content=b"abc", headers=shown(upload["token"])),
        ):
            assert refusal(answer) == (401, "unauthorized")


async def test_the_log_knows_no_tokens(
    database_url: str, tmp_path: Path, mongo: MongoClient[dict[str, Any]]
) -> None:
    with process(tmp_path, database_url, **JWT) as server:
        file = await put(server)
        download = await mint(server, action="download", file_id=file)
        upload = await mint(server)
        name = database_url.rpartition("/")[2].partition("?")[0]
        mongo[name]["manifests"].update_many({}, {"$set": {"state": "broken"}})
        async with client(server) as other:
            await other.put(upload["url"], content=b"x", headers={"Content-Type": "nonsense"})
            answer = await other.get(download["url"])
            assert refusal(answer) == (500, "internal")
        await until(lambda: "fault" in server.log.read_text())
    log = server.log.read_text()
    assert "/v1/g/lg_..." in log
    for minted in (upload, download):
        assert minted["token"] not in log
