"""Security list, item 19: a grant binds action, user, length, type, digest; a bearer can do nothing
else, by any route."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from lading.server.app import ROUTES
from tests.support.servers import Process
from tests.support.users import client, mint, put, refusal, used, user

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(100)
PAGE = b"<!doctype html><script>alert(1)</script>"
ABSENT = "0" * 24


async def files_of(server: Process, name: str) -> list[dict[str, Any]]:
    async with client(server, user(name)) as owner:
        files = (await owner.get("/v1/files")).json()["files"]
        unfinished = (await owner.get("/v1/uploads")).json()["uploads"]
    return [*files, *unfinished]


# -- what is bound


@pytest.mark.parametrize(
    ("bounds", "sent", "told"),
    [
        ({"size": 5}, {"content": b"123456"}, (413, "too-large")),
        ({"size": 5}, {"content": b"1234"}, (403, "forbidden")),
        ({"size": 5}, {"files": {"f": ("a", b"123456", "a/b")}}, (413, "too-large")),
        ({"size": 5}, {"files": {"f": ("a", b"1234", "a/b")}}, (403, "forbidden")),
        ({"size": 5}, {"files": {"f": ("a", b"", "a/b")}}, (403, "forbidden")),
        ({"max_size": 5}, {"content": b"123456"}, (413, "too-large")),
        ({"max_size": 5}, {"files": {"f": ("a", b"123456", "a/b")}}, (413, "too-large")),
        ({"sha256": hashlib.sha256(b"x").hexdigest()}, {"content": b"y"},
         (422, "checksum-mismatch")),
        ({"mime_types": ["image/png"]}, {"content": PNG, "headers": {"Content-Type": "a/b"}},
         (415, "unsupported-media-type")),
        ({"mime_types": ["image/*"]}, {"content": b"x"}, (415, "unsupported-media-type")),
        ({"mime_types": ["image/*"]}, {"files": {"f": ("a.html", PAGE, "text/html")}},
         (415, "unsupported-media-type")),
        ({"mime_types": ["image/*"]}, {"content": PAGE, "headers": {"Content-Type": "image/png"}},
         (415, "unsupported-media-type")),
        ({"mime_types": ["image/gif"]}, {"content": PNG}, (415, "unsupported-media-type")),
    ],
)  # fmt: skip
async def test_what_lies_outside_of_the_bounds_is_refused_and_costs_nothing(
    users_server: Process, bounds: dict[str, Any], sent: dict[str, Any], told: tuple[int, str]
) -> None:
    minted = await mint(users_server, user_id="eve", **bounds)
    async with client(users_server) as browser:
        method = "POST" if "files" in sent else "PUT"
        answer = await browser.request(method, minted["url"], **sent)
    assert refusal(answer) == told
    assert await files_of(users_server, "eve") == []
    assert await used(users_server, minted) == 0


async def test_a_body_of_unknown_length_is_stopped_at_the_byte(users_server: Process) -> None:
    minted = await mint(users_server, user_id="eve", max_size=5)

    async def body() -> Any:
        yield b"12345"
        yield b"6"

    async with client(users_server) as browser:
        answer = await browser.put(minted["url"], content=body())
    assert refusal(answer) == (413, "too-large")
    assert answer.json()["limit"] == 5
    assert await files_of(users_server, "eve") == []


async def test_pieces_end_where_the_grant_does(users_server: Process) -> None:
    minted = await mint(users_server, max_size=2000)
    async with client(users_server, minted["token"]) as browser:
        begun = await browser.post("/v1/uploads", json={"name": "a", "chunk_size": 1024})
        url = f"/v1/uploads/{begun.json()['_id']}"
        assert (await browser.put(f"{url}/chunks/0", content=bytes(1024))).status_code == 200
        assert refusal(await browser.put(f"{url}/chunks/1024", content=bytes(977))) == (
            413, "too-large",
        )  # fmt: skip
        assert (await browser.put(f"{url}/chunks/1024", content=bytes(976))).status_code == 200
        done = await browser.post(f"{url}/finish", json={"size": 2000})
        assert done.status_code == 200


async def test_the_type_that_the_bytes_tell_is_bound_too(users_server: Process) -> None:
    minted = await mint(users_server, mime_types=["image/*"])
    async with client(users_server, minted["token"]) as browser:
        begun = await browser.post(
            "/v1/uploads", json={"name": "a.png", "size": len(PAGE), "mime_type": "image/png"}
        )
        url = f"/v1/uploads/{begun.json()['_id']}"
        # It is known with the first piece, so nobody sends the rest in vain, and nothing is kept.
        sent = await browser.put(f"{url}/chunks/0", content=PAGE)
        assert refusal(sent) == (415, "unsupported-media-type")
        done = await browser.post(f"{url}/finish")
        assert refusal(done) == (409, "incomplete")
        assert done.json()["missing"] == [[0, len(PAGE)]]
        assert (await browser.get(url)).json()["state"] == "uploading"


async def test_one_use_by_any_way_is_all_of_one_use(users_server: Process) -> None:
    minted = await mint(users_server)
    async with client(users_server, minted["token"]) as browser:
        begun = await browser.post("/v1/uploads", json={"name": "a", "size": 3})
        assert begun.status_code == 201
        for answer in (
            await browser.post("/v1/uploads", json={"name": "a", "size": 3}),
            await browser.post("/v1/files", content=b"x"),
            await browser.put(minted["url"], content=b"x"),
        ):
            assert refusal(answer) == (403, "forbidden")
        # What was created may be given up, and stays created.
        assert (await browser.delete(f"/v1/uploads/{begun.json()['_id']}")).status_code == 204
        assert refusal(await browser.put(minted["url"], content=b"x")) == (403, "forbidden")


async def test_a_quota_that_is_full_gives_the_use_back(users_server: Process) -> None:
    minted = await mint(users_server, user_id="poor")
    async with client(users_server, user("root", "admin")) as admin:
        assert (await admin.put("/v1/users/poor/quota", json={"quota": 3})).status_code == 200
    async with client(users_server) as browser:
        answer = await browser.put(minted["url"], content=b"1234")
        assert refusal(answer) == (507, "quota-exceeded")
        assert (await browser.put(minted["url"], content=b"123")).status_code == 201


# -- nothing else

NO_DOOR = {
    "/v1/ws", "/v1/session", "/v1/session/ways", "/v1/session/refresh", "/v1/signup",
    "/v1/session/passkey", "/v1/session/passkey/options",
}  # fmt: skip
"""Routes that lead to nothing without a message, forget a cookie, or ask for another credential."""

OPEN_TO_UPLOADS = {
    ("GET", "/v1/kinds"),
    ("POST", "/v1/files"),
    ("GET", "/v1/uploads"),
    ("POST", "/v1/uploads"),
    ("GET", "/v1/uploads/{id}"),
    ("DELETE", "/v1/uploads/{id}"),
    ("PUT", "/v1/uploads/{id}/chunks/{slice_start}"),
    ("POST", "/v1/uploads/{id}/finish"),
    ("PUT", "/v1/g/{token}"),
    ("POST", "/v1/g/{token}"),
    ("POST", "/v1/tus"),
    ("GET", "/v1/tus/{id}"),
    ("PATCH", "/v1/tus/{id}"),
    ("DELETE", "/v1/tus/{id}"),
    ("POST", "/v1/tus/{id}"),
    ("POST", "/v1/resumable"),
    ("GET", "/v1/resumable/{id}"),
    ("PATCH", "/v1/resumable/{id}"),
    ("DELETE", "/v1/resumable/{id}"),
    ("GET", "/v1/g/{token}/uploads/{id}"),
    ("PATCH", "/v1/g/{token}/uploads/{id}"),
    ("DELETE", "/v1/g/{token}/uploads/{id}"),
    ("POST", "/v1/g/{token}/uploads/{id}"),
}
OPEN_TO_DOWNLOADS = {
    ("GET", "/v1/files/{id}"),
    ("HEAD", "/v1/files/{id}"),
    ("GET", "/v1/files/{id}/{quality}"),
    ("HEAD", "/v1/files/{id}/{quality}"),
    ("GET", "/v1/g/{token}"),
    ("HEAD", "/v1/g/{token}"),
    ("GET", "/v1/g/{token}/{quality}"),
    ("HEAD", "/v1/g/{token}/{quality}"),
    ("GET", "/v1/g/{token}/check"),
    ("HEAD", "/v1/g/{token}/check"),
    ("GET", "/v1/g/{token}/{quality}/check"),
    ("HEAD", "/v1/g/{token}/{quality}/check"),
}
"""The routes that a grant is for: a new one is closed until it is named here."""


def routes() -> Iterator[tuple[str, str]]:
    """Every method and path that needs a credential."""
    for route in ROUTES:
        if isinstance(route, Route) and route.path.startswith("/v1/") and route.path not in NO_DOOR:
            for method in (route.methods or set()) - {"OPTIONS"}:  # which tells nothing of anyone
                yield method, route.path


@pytest.mark.parametrize("action", ["upload", "download"])
async def test_every_other_route_is_closed(users_server: Process, action: str) -> None:
    mine = await put(users_server)
    fields = {} if action == "upload" else {"file_id": mine}
    minted = await mint(users_server, action=action, **fields)
    filled = {"id": mine, "token": minted["token"], "quality": "0", "slice_start": "0"}
    filled |= {"user_id": "ann", "name": "x"}
    opened = OPEN_TO_UPLOADS if action == "upload" else OPEN_TO_DOWNLOADS
    assert opened <= {*routes()} | {("HEAD", path) for method, path in routes() if method == "GET"}
    async with client(users_server, minted["token"]) as bearer:
        bearer.headers["Accept"] = "application/json"  # tus answers others in a sentence
        for method, path in set(routes()) - opened:
            if action == "upload" and method == "HEAD" and ("GET", path) in opened:
                continue
            url = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: filled.get(found[1], "x"), path)
            answer = await bearer.request(method, url, json={"quota": 1, "name": "x"})
            assert answer.status_code == 403, (method, path)
            if method != "HEAD":
                assert refusal(answer) == (403, "forbidden")
    async with client(users_server, user("ann")) as ann:
        assert (await ann.get(f"/v1/files/{mine}")).content == b"bytes"


async def test_an_upload_grant_reaches_what_was_created_with_it_only(
    users_server: Process,
) -> None:
    minted, sibling = await mint(users_server), await mint(users_server)
    own = {"name": "own", "size": 3}
    async with client(users_server, user("ann")) as ann:
        anns = (await ann.post("/v1/uploads", json=own)).json()["_id"]
    async with client(users_server, sibling["token"]) as other:
        theirs = (await other.post("/v1/uploads", json=own)).json()["_id"]
    async with client(users_server, minted["token"]) as bearer:
        mine = (await bearer.post("/v1/uploads", json=own)).json()["_id"]
        listed = (await bearer.get("/v1/uploads")).json()["uploads"]
        assert [each["_id"] for each in listed] == [mine]

        async def asked(upload_id: str) -> list[httpx.Response]:
            url = f"/v1/uploads/{upload_id}"
            return [
                await bearer.get(url),
                await bearer.put(f"{url}/chunks/0", content=b"abc"),
                await bearer.post(f"{url}/finish"),
                await bearer.delete(url),
            ]

        absent = await asked(ABSENT)
        for upload_id in (anns, theirs):
            for answer, nothing in zip(await asked(upload_id), absent, strict=True):
                assert refusal(answer) == refusal(nothing) == (404, "not-found")
                assert answer.text.replace(upload_id, ABSENT) == nothing.text
    async with client(users_server, user("ann")) as ann:
        ids = [each["_id"] for each in (await ann.get("/v1/uploads")).json()["uploads"]]
        assert {anns, theirs, mine} <= set(ids)


async def test_a_file_that_an_upload_became_is_out_of_the_grants_reach(
    users_server: Process,
) -> None:
    minted = await mint(users_server)
    async with client(users_server, minted["token"]) as bearer:
        file = (await bearer.put(minted["url"], content=b"bytes")).json()["_id"]
        for answer in (
            await bearer.get(f"/v1/files/{file}"),
            await bearer.get(f"/v1/manifests/{file}"),
            await bearer.patch(f"/v1/files/{file}", json={"name": "x"}),
            await bearer.delete(f"/v1/files/{file}"),
        ):
            assert refusal(answer) == (403, "forbidden")
        assert refusal(await bearer.delete(f"/v1/uploads/{file}"))[0] == 409
    async with client(users_server, user("ann")) as ann:
        assert (await ann.get(f"/v1/files/{file}")).content == b"bytes"


async def test_a_download_grant_hears_the_same_of_every_other_file(users_server: Process) -> None:
    granted, mine, bobs = [await put(users_server, owner) for owner in ("ann", "ann", "bob")]
    minted = await mint(users_server, action="download", file_id=granted)
    async with client(users_server, minted["token"]) as bearer:
        for method in ("GET", "HEAD"):
            told = [
                await bearer.request(method, f"/v1/files/{other}") for other in (mine, bobs, ABSENT)
            ]
            assert [(each.status_code, each.text) for each in told] == [(403, told[0].text)] * 3
