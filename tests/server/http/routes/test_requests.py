"""Files that people are asked for: who sends what, how much, what they see, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.server.http.people.layout import POLICY
from tests.support.servers import Process, inside
from tests.support.users import client, refusal, user
from tests.support.wire import dial

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Dest": "document"}
TUS = {"Tus-Resumable": "1.0.0", "Accept": "application/json"}


@pytest.fixture
async def owner(users_server: Process) -> AsyncIterator[httpx.AsyncClient]:
    """An ordinary user, without the scope `grant`."""
    async with client(users_server, user("asks-for-files"), request_id=None) as found:
        yield found
        await found.delete("/v1/files", params={"directory": "inbox"})


@pytest.fixture
async def anyone(users_server: Process) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without any credential."""
    async with httpx.AsyncClient(
        base_url=users_server.url, headers=BROWSER, trust_env=False, timeout=30
    ) as found:
        yield found


async def ask(owner: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    made = await owner.post(
        "/v1/grants", json={"action": "request", "directory": "inbox", **fields}
    )
    assert made.status_code == 201, made.text
    asked: dict[str, Any] = made.json()
    assert asked["url"] == f"/r/{asked['token']}"
    return asked


async def sender(anyone: httpx.AsyncClient, asked: dict[str, Any], name: str) -> str:
    made = await anyone.post(f"/v1/g/{asked['token']}/senders", json={"name": name})
    assert made.status_code == 201, made.text
    return str(made.json()["token"])


async def taken(owner: httpx.AsyncClient, asked: dict[str, Any]) -> tuple[int, int]:
    shown = (await owner.get(f"/v1/grants/{asked['id']}")).json()
    return shown["used"], shown["taken"]


async def put(server: Process, token: str, data: bytes, name: str = "a") -> httpx.Response:
    async with client(server, token) as bearer:
        return await bearer.put(f"/v1/g/{token}", params={"name": name}, content=data)


# -- who sends what


async def test_a_file_is_the_owners_in_the_folder_with_the_name_of_who_sent_it(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner)
    token = await sender(anyone, asked, "Aunt Mia")
    sent = await anyone.put(
        f"/v1/g/{token}", params={"name": "../a", "directory": "private"}, content=b"12345"
    )
    assert sent.status_code == 201
    unnamed = await anyone.put(asked["url"].replace("/r/", "/v1/g/"), content=b"1")
    assert unnamed.status_code == 201
    files = (await owner.get("/v1/files", params={"directory": "inbox"})).json()["files"]
    assert {(each["sender"], each["directory"], each["user_id"]) for each in files} == {
        (None, "inbox", "asks-for-files"),
        ("Aunt Mia", "inbox", "asks-for-files"),
    }
    assert await taken(owner, asked) == (2, 6)


@pytest.mark.parametrize("named", [True, False], ids=["of a sender", "of the request"])
async def test_the_token_is_a_bearer_of_every_transport(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient, named: bool
) -> None:
    asked = await ask(owner, max_size=100)
    token = await sender(anyone, asked, "Ben") if named else asked["token"]
    async with client(users_server, token) as bearer:
        made = await bearer.post("/v1/uploads", json={"name": "pieces", "size": 4})
        upload = f"/v1/uploads/{made.json()['_id']}"
        assert (await bearer.put(f"{upload}/chunks/0", content=b"1234")).status_code == 200
        assert (await bearer.post(f"{upload}/finish", json={})).status_code == 200
        form = await bearer.post(f"/v1/g/{token}", files={"f": ("form", b"12345", "a/b")})
        assert form.status_code == 201
        begun = await bearer.post(f"/v1/g/{token}", headers={**TUS, "Upload-Length": "6"})
        step = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        done = await bearer.patch(begun.headers["location"], content=b"123456", headers=step)
        assert done.status_code == 204
        draft = {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?1"}
        done = await bearer.post(f"/v1/g/{token}", content=b"1234567", headers=draft)
        assert done.status_code in (200, 201, 204)
    async with dial(users_server) as wire:
        await wire.hello(token)
        await wire.upload(1, b"12345678", name="socket")
    assert await taken(owner, asked) == (5, 30)


async def test_nobody_sees_what_others_send(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner)
    ann, ben = [await sender(anyone, asked, name) for name in ("Ann", "Ben")]
    begin = {"name": "secret", "size": 10, "fingerprint": "same"}
    async with client(users_server, ann) as first, client(users_server, ben) as second:
        made = (await first.post("/v1/uploads", json=begin)).json()["_id"]
        assert [each["_id"] for each in (await first.get("/v1/uploads")).json()["uploads"]] == [
            made
        ]
        assert (await second.get("/v1/uploads")).json()["uploads"] == []
        found = await second.get("/v1/uploads", params={"fingerprint": "same"})
        assert found.json()["uploads"] == []
        assert (await second.get(f"/v1/uploads/{made}")).status_code == 404
        assert (await second.delete(f"/v1/uploads/{made}")).status_code == 404
    async with client(users_server, asked["token"]) as nobody:
        assert (await nobody.get(f"/v1/uploads/{made}")).status_code == 404
        own = (await nobody.post("/v1/uploads", json=begin)).json()["_id"]
        assert (await nobody.get("/v1/uploads")).json()["uploads"] == []
        assert (await nobody.get(f"/v1/uploads/{own}")).status_code == 200
        refused = [
            await nobody.get("/v1/files"),
            await nobody.get(f"/v1/files/{own}"),
            await nobody.get("/v1/directories"),
            await nobody.post("/v1/grants", json={"action": "share", "directory": "inbox"}),
        ]
    assert {each.status_code for each in refused} == {403}
    ids = {own[8:], made[8:]}
    assert len({each[:10] for each in ids}) == 2, "an id tells nothing of the next"


# -- how much


async def test_all_files_together_have_a_limit(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner, max_size=10)
    ann, ben = [await sender(anyone, asked, name) for name in ("Ann", "Ben")]
    assert refusal(await put(users_server, ann, bytes(11))) == (413, "too-large")
    assert (await put(users_server, ann, bytes(6))).status_code == 201
    full = await put(users_server, ben, bytes(5))
    assert refusal(full) == (507, "quota-exceeded")
    assert (full.json()["limit"], full.json()["used"]) == (10, 6)
    assert (await put(users_server, ben, bytes(4))).status_code == 201
    assert await taken(owner, asked) == (2, 10)
    await owner.delete("/v1/files", params={"directory": "inbox"})
    assert refusal(await put(users_server, ben, b"1")) == (507, "quota-exceeded")
    more = await owner.patch(f"/v1/grants/{asked['id']}", json={"max_size": 12})
    assert more.json()["max_size"] == 12
    assert (await put(users_server, ben, b"1")).status_code == 201


async def test_an_upload_of_unknown_length_ends_where_the_room_does(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner, max_size=3000)
    token = await sender(anyone, asked, "Ann")
    async with client(users_server, token) as bearer:
        body = {"name": "grows", "chunk_size": 1024}
        upload = f"/v1/uploads/{(await bearer.post('/v1/uploads', json=body)).json()['_id']}"
        assert (await bearer.put(f"{upload}/chunks/0", content=bytes(1024))).status_code == 200
        assert await taken(owner, asked) == (1, 1024)
        assert (await put(users_server, token, bytes(1000))).status_code == 201
        full = await bearer.put(f"{upload}/chunks/1024", content=bytes(1024))
        assert refusal(full) == (507, "quota-exceeded")
        assert (await bearer.delete(upload)).status_code == 204
    assert await taken(owner, asked) == (2, 1000), "what was aborted leaves its room to others"


async def test_many_at_once_take_no_more_than_there_is(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner, max_size=50, uses=4)
    tokens = [await sender(anyone, asked, name) for name in "abc"]
    sent = [put(users_server, token, bytes(10)) for token in tokens for _ in range(3)]
    statuses = sorted(each.status_code for each in await asyncio.gather(*sent))
    assert statuses == [201] * 4 + [403] * 5
    assert await taken(owner, asked) == (4, 40)


async def test_kinds_and_types_hold(
    tmp_path: Path, users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner, mime_types=["image/*"])
    token = await sender(anyone, asked, "Ann")
    assert refusal(await put(users_server, token, b"no picture")) == (415, "unsupported-media-type")
    page = (await anyone.get(asked["url"])).text
    assert 'data-types="image/*"' in page or 'accept="image/*"' in page
    kinds = tmp_path / "kinds.toml"
    kinds.write_text('[paper]\nmax_size = 5\nmime_types = ["text/plain"]\n')
    async with inside(tmp_path, kinds=kinds) as server, client(server, server.token) as admin:
        asked = await ask(admin, kind="paper")
        made = await admin.post(f"/v1/g/{asked['token']}/senders", json={"name": "Ann"})
        assert made.json()["kind_rules"]["max_size"] == 5
        refused = await admin.put(f"/v1/g/{made.json()['token']}", content=b"123456")
        assert refusal(refused) == (413, "too-large")
        page = (await admin.get(asked["url"], headers=BROWSER)).text
        assert "Each file may have 5 bytes. Of this kind: text/plain." in page


# -- when it ends


async def test_a_revoked_request_ends_for_all_who_send(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner)
    token = await sender(anyone, asked, "Ann")
    async with client(users_server, token) as bearer:
        upload = (await bearer.post("/v1/uploads", json={"name": "a", "size": 3})).json()["_id"]
        assert (await owner.delete(f"/v1/grants/{asked['id']}")).status_code == 204
        refused = await bearer.put(f"/v1/uploads/{upload}/chunks/0", content=b"123")
        assert refusal(refused) == (401, "unauthorized")
    page = await anyone.get(asked["url"])
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text
    gone = await anyone.post(f"/v1/g/{asked['token']}/senders", json={"name": "Ben"})
    assert gone.status_code == 404


async def test_an_expired_request_takes_nothing_new_and_what_was_begun_is_finished(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner)
    token = await sender(anyone, asked, "Ann")
    async with client(users_server, token) as bearer:
        upload = (await bearer.post("/v1/uploads", json={"name": "a", "size": 3})).json()["_id"]
        await owner.patch(f"/v1/grants/{asked['id']}", json={"expires_in": 0.001})
        page = await anyone.get(asked["url"])
        assert (page.status_code, "This link has expired" in page.text) == (410, True)
        late = await anyone.post(f"/v1/g/{asked['token']}/senders", json={"name": "Ben"})
        assert late.status_code == 410
        assert refusal(await put(users_server, token, b"x")) == (403, "forbidden")
        sent = await bearer.put(f"/v1/uploads/{upload}/chunks/0", content=b"123")
        assert sent.status_code == 200
        assert (await bearer.post(f"/v1/uploads/{upload}/finish", json={})).status_code == 200
    await owner.patch(f"/v1/grants/{asked['id']}", json={"expires_in": 60})
    assert (await put(users_server, token, b"x")).status_code == 201


async def test_requests_are_listed_with_the_other_links_and_senders_are_not(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner, max_size=5, uses=2)
    await sender(anyone, asked, "Ann")
    links = {"action": ["share", "request"], "limit": "1"}
    (shown,) = (await owner.get("/v1/grants", params=links)).json()["grants"]
    assert (
        shown.items()
        >= {
            "id": asked["id"],
            "minter": "asks-for-files",
            "directory": "inbox",
            "max_size": 5,
            "uses": 2,
            "senders": 1,
        }.items()
    )
    uploads = (await owner.get("/v1/grants", params={"action": "upload"})).json()["grants"]
    assert uploads == []


# -- what is refused


async def test_who_may_ask_for_what(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    for wrong in ({"directory": ""}, {"directory": "/./"}, {"uses": 0}, {"file_id": "0" * 24}):
        body = {"action": "request", "directory": "inbox", **wrong}
        assert (await owner.post("/v1/grants", json=body)).status_code == 400
    other = {"action": "request", "directory": "inbox", "user_id": "somebody"}
    assert (await owner.post("/v1/grants", json=other)).status_code == 403
    asked = await ask(owner)
    assert (
        await owner.patch(f"/v1/grants/{asked['id']}", json={"password": "x"})
    ).status_code == 400
    for name in ("", "x" * 129, "\x00", None):
        made = await anyone.post(f"/v1/g/{asked['token']}/senders", json={"name": name})
        assert made.status_code == 400, name
    share = await owner.post("/v1/grants", json={"action": "share", "directory": "inbox"})
    for token, status in ((share.json()["token"], 403), ("lg_" + "x" * 43, 404), ("x", 404)):
        made = await anyone.post(f"/v1/g/{token}/senders", json={"name": "Ann"})
        assert made.status_code == status
        assert (await anyone.get(f"/r/{token}")).status_code == status


async def test_the_page_has_nothing_of_the_owner_and_allows_no_foreign_script(
    users_server: Process, owner: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    asked = await ask(owner, max_size=5_000_000)
    page = await anyone.get(asked["url"])
    assert page.status_code == 200
    assert "There is room for 5.0 MB." in page.text
    for word in ("asks-for-files", "inbox"):
        assert word not in page.text
    policy = page.headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy
    assert "default-src 'none'" in policy
    assert policy != POLICY
    assert page.headers["referrer-policy"] == "no-referrer"
    other = await anyone.get(f"/v1/g/{asked['token']}", follow_redirects=False)
    assert (other.status_code, other.headers["location"]) == (303, f"../../r/{asked['token']}")
    form = await anyone.post(f"/v1/g/{asked['token']}", files={"f": ("a", b"1", "a/b")})
    assert (form.status_code, "It has arrived" in form.text) == (201, True)
