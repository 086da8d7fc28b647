"""A request that is repeated with its key creates nothing more, and gets the first answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lading.server.limits import HttpLimits, Limits
from tests.conftest import Mongo
from tests.support.servers import Process, Running, inside, until
from tests.support.users import JWT, client, mint, refusal, used, user

DIGEST = hashlib.sha256(b"abc").hexdigest()

CREATING: list[tuple[str, dict[str, Any]]] = [
    ("/v1/files?name=a", {"content": b"abc"}),
    ("/v1/uploads", {"json": {"name": "a", "size": 3}}),
    ("/v1/media", {"json": {"size": 3, "sha256": DIGEST}}),
    ("/v1/grants", {"json": {"action": "upload", "user_id": "ann"}}),
]


def keyed(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key or uuid4()}"'}


def same(one: httpx.Response, two: httpx.Response) -> bool:
    """Whether two answers are the same in all that the operation chose."""
    return facts(one) == facts(two)


def facts(answer: httpx.Response) -> tuple[int, bytes, str, str]:
    headers = answer.headers
    return answer.status_code, answer.content, headers["Location"], headers["Content-Type"]


async def send(
    server: Running, path: str, key: dict[str, str], token: str | None = None, **content: Any
) -> httpx.Response:
    async with client(server, token or user("site", "grant")) as site:
        return await site.post(path, headers=key, **content)


@pytest.mark.parametrize(("path", "content"), CREATING)
async def test_the_same_request_gets_the_same_answer_on_every_server(
    users_server: Process, path: str, content: dict[str, Any]
) -> None:
    key = keyed()
    first = await send(users_server, path, key, **content)
    assert first.status_code == 201, first.text
    for _ in range(2):
        assert same(await send(users_server, path, key, **content), first)
    other = await send(users_server, path, keyed(), **content)
    assert other.status_code == 201
    assert other.content != first.content
    without = await send(users_server, path, {}, **content)
    assert without.content not in (first.content, other.content)


async def test_nothing_is_created_or_charged_twice(users_server: Process) -> None:
    key, token = keyed(), user("once")
    for _ in range(3):
        await send(users_server, "/v1/files?name=a", key, token, content=b"abc")
    async with client(users_server, token) as mine:
        assert (await mine.get("/v1/usage")).json()["used"] == 3
        assert len((await mine.get("/v1/files")).json()["files"]) == 1


@pytest.mark.parametrize(("path", "content"), CREATING)
async def test_another_request_under_the_same_key_is_refused(
    users_server: Process, path: str, content: dict[str, Any]
) -> None:
    key = keyed()
    assert (await send(users_server, path, key, **content)).status_code == 201
    changed: dict[str, Any] = (
        {"content": b"abd"} if "content" in content else {"json": {**content["json"], "x": None}}
    )
    other_path = "/v1/uploads" if path != "/v1/uploads" else "/v1/media"
    for answer in (
        await send(users_server, path, key, **changed),
        await send(users_server, other_path, key, **content),
    ):
        assert refusal(answer) == (422, "key-reused")
        assert answer.json()["retryable"] is False


@pytest.mark.parametrize("body", [b"", b"ab", b"abcd", b"x" * 100_000, b"Abc"])
async def test_another_file_of_any_length_is_refused(users_server: Process, body: bytes) -> None:
    key = keyed()
    await send(users_server, "/v1/files?name=a", key, content=b"abc")
    answer = await send(users_server, "/v1/files?name=a", key, content=body)
    assert refusal(answer) == (422, "key-reused")
    for path in ("/v1/files?name=b", "/v1/files?name=a&tag=x"):
        answer = await send(users_server, path, key, content=b"abc")
        assert refusal(answer) == (422, "key-reused")


async def test_a_form_is_the_same_with_another_boundary(users_server: Process) -> None:
    key = keyed()
    body = b"x" * 200_000 + b"\r\n--" + b"y" * 100

    async def form(boundary: str, content: bytes) -> httpx.Response:
        head = 'Content-Disposition: form-data; name="file"; filename="a.bin"'
        text = f"--{boundary}\r\n{head}\r\n\r\n".encode() + content
        text += f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return await send(users_server, "/v1/files", {**key, **headers}, content=text)

    first = await form("one", body)
    assert first.status_code == 201, first.text
    assert same(await form("another-and-longer", body), first)
    assert refusal(await form("one", body + b"?")) == (422, "key-reused")


def test_curl_repeats_a_form(users_server: Process, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    assert curl is not None, "curl is missing; scripts/install test installs it"
    (tmp_path / "photo.jpg").write_bytes(b"x" * 100_000)
    command = [curl, "-sS", "--fail-with-body", "-H", f"Idempotency-Key: {uuid4()}"]
    command += ["-H", f"Authorization: Bearer {user('curl')}", "-F", "file=@photo.jpg"]
    answers = [
        subprocess.run(
            [*command, f"{users_server.url}/v1/files"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert answers[0] == answers[1]


async def test_keys_of_others_are_others(users_server: Process) -> None:
    key = keyed()
    tokens = [user("ann"), user("bob"), user("ann", "grant"), user("ann", "admin")]
    tokens.append((await mint(users_server))["token"])
    tokens.append((await mint(users_server))["token"])
    answers = [
        await send(users_server, "/v1/files?name=a", key, token, content=b"abc") for token in tokens
    ]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["_id"] for answer in answers}) == len(tokens)
    again = await send(users_server, "/v1/files?name=a", key, tokens[-1], content=b"abc")
    assert same(again, answers[-1])  # though the one use of the grant is used


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_an_upload_with_a_grant_uses_it_once(users_server: Process, method: str) -> None:
    key, grant = keyed(), await mint(users_server, uses=2)
    async with client(users_server) as browser:

        async def upload(headers: dict[str, str]) -> httpx.Response:
            return await browser.request(method, grant["url"], content=b"abc", headers=headers)

        first = await upload(key)
        assert first.status_code == 201
        assert same(await upload(key), first)
        assert await used(users_server, grant) == 1
        assert (await upload(keyed())).status_code == 201
        refused = await browser.request(method, "/v1/g/nothing", content=b"abc", headers=key)
        assert refusal(refused) == (401, "unauthorized")
    async with client(users_server, grant["token"]) as bearer:
        # By its token as a credential it is the same principal, but another request.
        other = await bearer.post("/v1/files?name=a", content=b"abc", headers=key)
        assert refusal(other) == (422, "key-reused")


async def test_with_quotes_or_without_it_is_the_same_key(users_server: Process) -> None:
    key = str(uuid4())
    one = await send(users_server, "/v1/uploads", keyed(key), json={"name": "a"})
    two = await send(users_server, "/v1/uploads", {"Idempotency-Key": key}, json={"name": "a"})
    assert same(one, two)


@pytest.mark.parametrize("key", ["", '""', '"', "a b", 'a"b', "x" * 256, '"a";b=1', "a\\b"])
async def test_what_is_no_key_is_refused(http: httpx.AsyncClient, key: str) -> None:
    answer = await http.post("/v1/uploads", json={"name": "a"}, headers={"Idempotency-Key": key})
    assert refusal(answer) == (400, "invalid-argument")


async def test_two_keys_are_refused(http: httpx.AsyncClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await http.post("/v1/uploads", json={"name": "a"}, headers=headers)
    assert refusal(answer) == (400, "invalid-argument")


async def test_without_a_credential_there_is_no_key(users_server: Process) -> None:
    async with client(users_server) as nobody:
        answer = await nobody.post("/v1/uploads", json={"name": "a"}, headers=keyed())
    assert refusal(answer) == (401, "unauthorized")


async def test_a_refused_request_frees_its_key(users_server: Process) -> None:
    key, token = keyed(), user("full")
    async with client(users_server, user("root", "admin")) as root:
        await root.put("/v1/users/full/quota", json={"quota": 2})
        refused = await send(users_server, "/v1/files?name=a", key, token, content=b"abc")
        assert refusal(refused) == (507, "quota-exceeded")
        await root.put("/v1/users/full/quota", json={"quota": 3})
    made = await send(users_server, "/v1/files?name=a", key, token, content=b"abc")
    assert made.status_code == 201
    assert same(await send(users_server, "/v1/files?name=a", key, token, content=b"abc"), made)


async def test_while_the_first_runs_others_hear_so(
    database_url: str, tmp_path: Path, mongo: Mongo
) -> None:
    name, key, end = database_url.rpartition("/")[2].partition("?")[0], keyed(), asyncio.Event()

    async def slow() -> Any:
        yield b"a"
        await end.wait()
        yield b"bc"

    async with inside(tmp_path, database_url, **JWT) as server:
        first = asyncio.create_task(send(server, "/v1/files?name=a", key, content=slow()))
        await until(lambda: mongo[name]["idempotency"].count_documents({}) == 1)
        answer = await send(server, "/v1/files?name=a", key, content=b"abc")
        assert refusal(answer) == (409, "in-progress")
        assert answer.json()["retryable"] is True
        end.set()
        made = await first
        assert made.status_code == 201
        assert same(await send(server, "/v1/files?name=a", key, content=b"abc"), made)


async def test_of_many_at_once_one_is_carried_out(users_server: Process) -> None:
    key, token = keyed(), user("many")
    answers = await asyncio.gather(
        *(
            send(users_server, "/v1/uploads", key, token, json={"name": "a", "size": 1})
            for _ in range(12)
        )
    )
    made = {answer.json()["_id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    async with client(users_server, token) as mine:
        assert len((await mine.get("/v1/uploads")).json()["uploads"]) == 1


async def test_a_body_that_broke_off_frees_the_key(
    database_url: str, tmp_path: Path, mongo: Mongo
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    async with inside(tmp_path, database_url) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            f"POST /v1/files?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nIdempotency-Key: k\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Length: 3\r\n\r\na".encode()
        )
        keys = mongo[name]["idempotency"]
        await until(lambda: keys.count_documents({}) == 1)
        writer.close()
        await writer.wait_closed()
        await until(lambda: keys.count_documents({}) == 0)
        async with server.http() as http:
            made = await http.post(
                "/v1/files?name=a", content=b"abc", headers={"Idempotency-Key": "k"}
            )
        assert made.status_code == 201
        assert await reader.read() is not None


async def test_a_lease_is_renewed_while_the_request_lasts_and_ends_after_a_crash(
    database_url: str, tmp_path: Path, mongo: Mongo
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    now = [time.time()]
    limits = Limits(http=HttpLimits(lease_seconds=0.03))
    async with (
        inside(tmp_path, database_url, clock=lambda: now[0], limits=limits) as server,
        server.http() as http,
    ):
        keys, key, end = mongo[name]["idempotency"], {"Idempotency-Key": "k"}, asyncio.Event()

        async def slow() -> Any:
            yield b"a"
            await end.wait()
            yield b"bc"

        first = asyncio.create_task(http.post("/v1/files?name=a", content=slow(), headers=key))
        await until(lambda: keys.count_documents({}) == 1)
        now[0] += 5
        await until(lambda: keys.find_one({"until": {"$gt": now[0]}}) is not None)
        end.set()
        assert (await first).status_code == 201
        # What a server leaves that dies before it stores its answer:
        keys.update_one({}, {"$unset": {"answer": "", "body": ""}, "$set": {"holder": "dead"}})
        keys.update_one({}, {"$set": {"until": now[0] + 1}})
        again = await http.post("/v1/files?name=a", content=b"abc", headers=key)
        assert refusal(again) == (409, "in-progress")
        now[0] += 1
        again = await http.post("/v1/files?name=a", content=b"abc", headers=key)
        assert again.status_code == 201


async def test_who_reads_the_database_cannot_use_what_is_stored(
    database_url: str, tmp_path: Path, mongo: Mongo
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    body = {"action": "upload"}
    async with inside(tmp_path / "one", database_url, **JWT) as server:
        made = await send(server, "/v1/grants", keyed("k"), json=body)
        stored = str(list(mongo[name]["idempotency"].find()))
    for secret in (made.json()["token"], made.json()["id"], "lg_"):
        assert secret not in stored
    async with inside(tmp_path / "two", database_url, **JWT) as elsewhere:
        answer = await send(elsewhere, "/v1/grants", keyed("k"), json=body)
        assert refusal(answer) == (422, "key-reused")
        assert "server-secret" in answer.json()["detail"]
    (tmp_path / "two" / "server-secret").write_text(
        (tmp_path / "one" / "server-secret").read_text()
    )
    async with inside(tmp_path / "two", database_url, **JWT) as elsewhere:
        assert same(await send(elsewhere, "/v1/grants", keyed("k"), json=body), made)


async def test_a_refused_resumable_creation_frees_the_key(users_server: Process) -> None:
    digest = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    said = {"upload-complete": "?1", "repr-digest": f"sha-256=:{digest}:"}
    headers = keyed() | said
    damaged = await send(users_server, "/v1/files", headers, content=b"abd")
    assert damaged.status_code == 422, damaged.text
    assert damaged.json()["code"] == "checksum-mismatch"
    again = await send(users_server, "/v1/files", headers, content=b"abc")
    assert again.status_code == 201, again.text
    assert same(await send(users_server, "/v1/files", headers, content=b"abc"), again)


async def test_an_answer_that_was_stored_before_answers_were_compressed(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(tmp_path, database_url, **JWT) as server:
        key = keyed()
        with monkeypatch.context() as patch:
            patch.setattr(zlib, "compress", lambda plain, _level: plain)
            first = await send(server, "/v1/files?name=a", key, content=b"abc")
        assert first.status_code == 201
        assert same(await send(server, "/v1/files?name=a", key, content=b"abc"), first)
