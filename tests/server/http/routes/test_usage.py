"""Usage and quotas over HTTP: who sees what, who sets what, and that it holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.servers import Process, process
from tests.support.users import JWT, client, refusal, user
from tests.support.wire import ABORT, CLOSED, CREATE, channel, dial


@pytest.fixture(scope="module")
def site(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with many users, each with 1,000 bytes unless said otherwise."""
    url = mongod.replace("/?", "/usage?")
    data = tmp_path_factory.mktemp("usage")
    with process(data, url, default_quota=1000, chunk_size=1024, **JWT) as running:
        yield running


@pytest.fixture
async def admin(site: Process) -> Any:
    async with client(site, user("root", "admin")) as found:
        yield found


def shape(user_id: str, used: int = 0, reserved: int = 0, limit: int | None = 1000) -> Any:
    return {"user_id": user_id, "used": used, "reserved": reserved, "quota": limit}


def own(user_id: str, used: int = 0, reserved: int = 0, limit: int | None = 1000) -> Any:
    """What `GET /v1/usage` shows to somebody who is no admin."""
    return {**shape(user_id, used, reserved, limit), "admin": False}


async def post(mine: httpx.AsyncClient, size: int, **fields: str) -> httpx.Response:
    return await mine.post("/v1/files", content=b"x" * size, params={"name": "a", **fields})


async def begin(mine: httpx.AsyncClient, size: int | None) -> httpx.Response:
    return await mine.post("/v1/uploads", json={"name": "a", "size": size})


async def test_a_refusal_names_the_unfinished_uploads_that_take_the_space(site: Process) -> None:
    async with client(site, user("stuck")) as mine:
        upload = (await begin(mine, 800)).json()
        problem = (await begin(mine, 800)).json()
        (named,) = problem["unfinished"]
        assert (named["id"], named["name"], named["reserved"]) == (upload["_id"], "a", 800)
        assert named["updated_at"][:16] == upload["updated_at"][:16]
        assert f"`lading rm {upload['_id']}`" in problem["detail"]
        assert "elete files" not in problem["detail"], "there are none"
        assert problem["detail"].count("a larger quota") == 1
        async with dial(site) as wire:
            await wire.hello(user("stuck"))
            await wire.send(CREATE, 1, {"name": "b", "size": 300})
            told = await wire.problem(1)
            assert told["unfinished"] == problem["unfinished"]
        growing = (await begin(mine, None)).json()["_id"]
        piece = await mine.put(f"/v1/uploads/{growing}/chunks/0", content=b"x" * 1024)
        assert refusal(piece) == (507, "quota-exceeded")
        assert piece.json()["unfinished"] == problem["unfinished"]
        for _ in range(7):
            assert (await begin(mine, 20)).status_code == 201
        several = (await begin(mine, 800)).json()
        assert len(several["unfinished"]) == 5
        assert several["detail"].count("8 unfinished") == 1
        await mine.delete(f"/v1/uploads/{named['id']}")
        assert (await begin(mine, 800)).status_code == 201


async def test_a_grant_hears_nothing_of_other_uploads(site: Process, admin: Any) -> None:
    async with client(site, user("host")) as mine:
        await begin(mine, 800)
    minted = await admin.post("/v1/grants", json={"action": "upload", "user_id": "host"})
    async with client(site, minted.json()["token"]) as guest:
        problem = (await begin(guest, 800)).json()
    assert problem["code"] == "quota-exceeded"
    assert "unfinished" not in problem
    assert "lading rm" not in problem["detail"]


async def test_a_life_as_the_account_sees_it(site: Process) -> None:
    async with client(site, user("life")) as mine:

        async def usage() -> Any:
            answer = await mine.get("/v1/usage")
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.json()

        assert await usage() == own("life")
        upload = (await begin(mine, 600)).json()["_id"]
        assert await usage() == own("life", 0, 600)
        await mine.put(f"/v1/uploads/{upload}/chunks/0", content=b"x" * 600)
        assert await usage() == own("life", 0, 600)
        await mine.post(f"/v1/uploads/{upload}/finish", json={})
        assert await usage() == own("life", 600, 0)
        assert (await post(mine, 400)).status_code == 201
        assert await usage() == own("life", 1000, 0)
        await mine.delete(f"/v1/files/{upload}")
        assert await usage() == own("life", 400, 0)
        aborted = (await begin(mine, 600)).json()["_id"]
        await mine.delete(f"/v1/uploads/{aborted}")
        assert await usage() == own("life", 400, 0)


async def test_of_unknown_length_it_is_reserved_as_it_grows(site: Process) -> None:
    async with client(site, user("grows")) as mine:
        upload = (await begin(mine, None)).json()["_id"]
        pieces = [(0, 600, 200), (600, 300, 200), (900, 120, 507), (0, 600, 200)]
        for start, size, status in pieces:
            where = f"/v1/uploads/{upload}/chunks/{start}"
            answer = await mine.put(where, content=b"x" * size)
            assert answer.status_code == status, answer.text
        assert (await mine.get("/v1/usage")).json() == own("grows", 0, 900)
        finished = await mine.post(f"/v1/uploads/{upload}/finish", json={"size": 900})
        assert finished.status_code == 200
        assert (await mine.get("/v1/usage")).json() == own("grows", 900, 0)


async def test_over_the_limit_it_is_507_with_the_facts_and_not_to_be_tried_again(
    site: Process,
) -> None:
    async with client(site, user("over")) as mine:
        await post(mine, 300)
        await begin(mine, 200)
        for answer in (await begin(mine, 501), await post(mine, 501)):
            assert refusal(answer) == (507, "quota-exceeded")
            problem = answer.json()
            assert (problem["limit"], problem["used"], problem["reserved"]) == (1000, 300, 200)
            assert problem["retryable"] is False
            assert "Retry-After" not in answer.headers
        assert (await mine.get("/v1/usage")).json() == own("over", 300, 200)
        assert (await post(mine, 500)).status_code == 201


async def test_the_channel_says_the_same(site: Process) -> None:
    async with channel(site_of(site, "channel")) as wire:
        await wire.send(CREATE, 1, {"name": "a", "size": 1001})
        problem = await wire.problem(1)
        assert (problem["code"], problem["limit"], problem["used"]) == ("quota-exceeded", 1000, 0)
        assert problem["retryable"] is False
        await wire.create(1, 1000)
        await wire.create(2, None)
        await wire.chunk(2, 0, b"x")
        assert (await wire.refused(2, 0))["code"] == "quota-exceeded"
        await wire.send(ABORT, 1)
        await wire.expect(CLOSED)
        await wire.chunk(2, 0, b"x")
        await wire.stored(1)


def site_of(site: Process, name: str) -> Process:
    """The server, with a user's token in place of the admin's."""
    return Process(site.url, user(name), site.data, site.child, site.log)


@pytest.mark.parametrize("size", [1000, None])
async def test_of_twenty_at_once_as_many_as_fit(site: Process, size: int | None) -> None:
    name = f"race-{size}"
    async with client(site, user(name)) as mine:
        body = b"x" * 130

        def bodies() -> Any:
            async def unknown() -> Any:
                yield body

            return body if size else unknown()

        answers = await asyncio.gather(
            *(mine.post("/v1/files?name=a", content=bodies()) for _ in range(20))
        )
        assert sorted({answer.status_code for answer in answers}) == [201, 507]
        taken = [answer.status_code for answer in answers].count(201)
        usage = (await mine.get("/v1/usage")).json()
        assert usage == own(name, 130 * taken, 0)
        # Of unknown length, those that are refused may have kept room from others meanwhile.
        assert taken == 7 if size else taken <= 7


# -- who may


async def test_an_admin_sees_and_sets_the_limit_of_anyone(
    site: Process, admin: httpx.AsyncClient
) -> None:
    where = "/v1/users/limited/quota"
    assert (await admin.get(where)).json() == shape("limited")
    for limit in (10, 0, None, 2**53 - 1, 5000):
        answer = await admin.put(where, json={"quota": limit})
        assert (answer.status_code, answer.json()) == (200, shape("limited", limit=limit))
        assert (await admin.get(where)).json() == shape("limited", limit=limit)
    async with client(site, user("limited")) as mine:
        assert (await begin(mine, 5000)).status_code == 201
        assert (await mine.get("/v1/usage")).json() == own("limited", 0, 5000, 5000)
        await admin.put(where, json={"quota": 10})
        assert refusal(await begin(mine, 0)) == (507, "quota-exceeded")


async def test_a_user_sees_the_own_account_and_no_other(site: Process) -> None:
    async with client(site, user("curious")) as mine:
        assert (await mine.get("/v1/users/curious/quota")).json() == shape("curious")
        for other in ("limited", "nobody", "Curious", "curious%20"):
            assert refusal(await mine.get(f"/v1/users/{other}/quota")) == (404, "not-found")


@pytest.mark.parametrize("scope", ["", "grant"])
async def test_only_an_admin_sets_limits(site: Process, scope: str) -> None:
    async with client(site, user("greedy", scope)) as mine:
        for name in ("greedy", "limited"):
            answer = await mine.put(f"/v1/users/{name}/quota", json={"quota": None})
            assert refusal(answer) == (403, "forbidden")


async def test_without_a_credential_nothing_is_told(site: Process) -> None:
    async with client(site) as nobody:
        for path in ("/v1/usage", "/v1/users/limited/quota"):
            assert refusal(await nobody.get(path)) == (401, "unauthorized")
        answer = await nobody.put("/v1/users/limited/quota", json={"quota": None})
        assert refusal(answer) == (401, "unauthorized")


# -- bad inputs


@pytest.mark.parametrize(
    "name",
    ["a/b", "https://example.org/users/1", "..", "a.b", "$set", "jo@example.org", "é ü", "%"],
)
async def test_any_name_of_a_user_is_only_a_name(
    site: Process, admin: httpx.AsyncClient, name: str
) -> None:
    where = f"/v1/users/{quote(name, safe='').replace('.', '%2E')}/quota"
    assert (await admin.put(where, json={"quota": 77})).json() == shape(name, limit=77)
    async with client(site, user(name)) as mine:
        assert (await mine.get("/v1/usage")).json() == own(name, limit=77)


@pytest.mark.parametrize("name", ["", "a%00b", "a" * 257])
async def test_what_can_be_nobodys_name_is_refused(admin: httpx.AsyncClient, name: str) -> None:
    where = f"/v1/users/{name}/quota"
    for answer in (await admin.get(where), await admin.put(where, json={"quota": 1})):
        assert refusal(answer) == (400, "invalid-argument")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"quota": -1}',
        '{"quota": 1.5}',
        '{"quota": NaN}',
        '{"quota": true}',
        '{"quota": "10"}',
        '{"quota": 9007199254740992}',
        '{"quota": {"$gt": 0}}',
        '{"quota": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"limit": 10}',
        '{"quota": ' + "1" * 5000 + "}",
    ],
)
async def test_what_is_no_limit_is_refused_and_changes_nothing(
    admin: httpx.AsyncClient, body: str
) -> None:
    where = "/v1/users/unchanged/quota"
    assert refusal(await admin.put(where, content=body)) == (400, "invalid-argument")
    assert (await admin.get(where)).json() == shape("unchanged")


async def test_a_long_body_is_not_read_to_its_end(admin: httpx.AsyncClient) -> None:
    body = json.dumps({"quota": 1, "more": "x" * 10**6})
    assert refusal(await admin.put("/v1/users/unchanged/quota", content=body)) == (413, "too-large")


async def test_other_methods_are_refused(admin: httpx.AsyncClient) -> None:
    for method, path, allowed in (
        ("POST", "/v1/usage", {"GET", "HEAD"}),
        ("DELETE", "/v1/users/ann/quota", {"GET", "HEAD", "PUT"}),
    ):
        answer = await admin.request(method, path)
        assert refusal(answer) == (405, "method-not-allowed")
        assert {each.strip() for each in answer.headers["Allow"].split(",")} == allowed
