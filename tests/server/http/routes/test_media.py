"""Media over HTTP: announced, sent to a presigned address, checked, published, fetched."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.support.media import (
    BODY,
    DIGEST,
    WRONG,
    announce,
    finalize,
    seconds_left,
    send,
    show,
    stream,
)
from tests.support.servers import Process, inside
from tests.support.users import client, put, refusal, user
from tests.support.wire import channel

# -- the whole way


async def test_the_whole_way(users_server: Process) -> None:
    told = await announce(users_server, directory="d", tags=["x"])
    media = told["media"]["_id"]
    assert (told["media"]["state"], told["media"]["size"]) == ("uploading", len(BODY))
    assert (told["media"]["sha256"], told["media"]["directory"]) == (DIGEST, "d")
    assert set(told["upload"]) == {"method", "url", "headers", "expires_at"}
    assert told["upload"]["method"] == "PUT"
    assert told["upload"]["headers"] == {"Content-Type": "video/mp4"}
    assert 86_390 < seconds_left(told["upload"]["expires_at"]) < 86_401

    sent = await send(users_server, told)
    assert (sent.status_code, sent.json()["state"]) == (200, "uploading")
    assert sent.json()["upload_size"] == len(BODY)
    before = (await show(users_server, media)).json()
    assert before["download"] is None
    assert (before["media"]["state"], before["media"]["upload_size"]) == ("uploading", len(BODY))

    answers = [await finalize(users_server, media) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert (answers[0].json()["state"], answers[0].json()["sha256"]) == ("ready", DIGEST)

    after = (await show(users_server, media)).json()
    assert after["media"] == answers[0].json()
    assert 890 < seconds_left(after["download"]["expires_at"]) < 901
    async with client(users_server) as viewer:
        fetched = await viewer.get(after["download"]["url"])
        assert fetched.content == BODY
        part = await viewer.get(after["download"]["url"], headers={"Range": "bytes=-5"})
        assert (part.status_code, part.content) == (206, BODY[-5:])
    async with client(users_server, user("ann")) as site:
        assert (await site.get(f"/v1/files/{media}")).content == BODY
        listed = (await site.get("/v1/files?tag=x&directory=d")).json()["files"]
        assert media in [each["_id"] for each in listed]


async def test_until_it_is_published_the_address_for_the_bytes_is_said_again(
    users_server: Process,
) -> None:
    told = await announce(users_server)
    media = told["media"]["_id"]
    again = (await show(users_server, media)).json()
    assert again["upload"] == told["upload"]
    assert (await send(users_server, again)).status_code == 200
    assert (await finalize(users_server, media)).status_code == 200
    assert (await show(users_server, media)).json()["upload"] is None


async def test_an_upload_that_nobody_announced_has_no_such_address(users_server: Process) -> None:
    async with client(users_server, user("ann")) as ann:
        made = (await ann.post("/v1/uploads", json={"name": "a", "size": 3})).json()
        shown = (await show(users_server, made["_id"])).json()
        assert (shown["upload"], shown["download"]) == (None, None)
        await ann.delete(f"/v1/uploads/{made['_id']}")


async def test_finalizing_many_times_at_once(users_server: Process) -> None:
    told = await announce(users_server)
    await send(users_server, told)
    media = told["media"]["_id"]
    answers = await asyncio.gather(*(finalize(users_server, media) for _ in range(8)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}


async def test_a_name_may_be_missing_and_a_file_empty(users_server: Process) -> None:
    async with client(users_server, user("ann")) as site:
        empty = hashlib.sha256(b"").hexdigest()
        told = (await site.post("/v1/media", json={"size": 0, "sha256": empty})).json()
    assert told["media"]["name"] == "unnamed"
    assert (await send(users_server, told, b"")).status_code == 200
    published = await finalize(users_server, told["media"]["_id"])
    assert (published.status_code, published.json()["size"]) == (200, 0)


async def test_addresses_are_public_where_the_public_address_is_known(
    database_url: str, tmp_path: Path
) -> None:
    public = "https://files.example.org"
    async with inside(tmp_path, database_url, public_url=public) as server, server.http() as site:
        port = server.server.servers[0].sockets[0].getsockname()[1]
        body = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
        answer = await site.post(f"http://127.0.0.1:{port}/v1/media", json=body)
    assert answer.json()["upload"]["url"].startswith(f"{public}/v1/g/lg_")
    assert answer.headers["Location"] == f"{public}/v1/media/{answer.json()['media']['_id']}"


async def test_an_announced_file_may_come_by_the_channel(users_server: Process) -> None:
    told = await announce(users_server, body=b"by the channel")
    media = told["media"]["_id"]
    mine = Process(
        users_server.url, user("ann"), users_server.data, users_server.child, users_server.log
    )
    async with channel(mine) as wire:
        await wire.resume(1, media)
        await wire.chunk(1, 0, b"by the channel")
        await wire.stored(1)
    assert (await send(users_server, told, b"by the channel")).status_code == 200
    assert (await finalize(users_server, media)).status_code == 200


async def test_a_file_that_came_otherwise_has_a_download_address_too(
    users_server: Process,
) -> None:
    file = await put(users_server, data=b"a small one")
    told = (await show(users_server, file)).json()
    async with client(users_server) as viewer:
        assert (await viewer.get(told["download"]["url"])).content == b"a small one"
    assert (await finalize(users_server, file)).json() == told["media"]


# -- bytes that are not there, or others


async def test_what_is_missing_is_told(users_server: Process) -> None:
    told = await announce(users_server)
    media = told["media"]["_id"]
    for _ in range(2):
        answer = await finalize(users_server, media)
        assert refusal(answer) == (409, "incomplete")
        assert answer.json()["missing"] == [[0, len(BODY)]]
    for body in (BODY[: 5 * 2**20], stream(BODY[: 5 * 2**20])):
        answer = await send(users_server, told, body)
        assert refusal(answer) == (409, "incomplete")
        assert answer.json()["missing"] == [[5 * 2**20, len(BODY)]]
    assert refusal(await finalize(users_server, media)) == (409, "incomplete")
    assert (await send(users_server, told, stream(BODY))).status_code == 200
    assert (await finalize(users_server, media)).status_code == 200


async def test_with_one_byte_changed_it_is_not_published_and_can_be_sent_again(
    users_server: Process,
) -> None:
    told = await announce(users_server)
    media = told["media"]["_id"]
    assert (await send(users_server, told, WRONG)).status_code == 200
    for _ in range(3):
        answer = await finalize(users_server, media)
        assert refusal(answer) == (422, "checksum-mismatch")
        assert answer.json()["retryable"] is True
    shown = (await show(users_server, media)).json()
    assert (shown["media"]["state"], shown["download"]) == ("uploading", None)
    async with client(users_server, user("ann")) as site:
        listed = (await site.get("/v1/files?limit=1000")).json()["files"]
        assert media not in [each["_id"] for each in listed]
    assert (await send(users_server, told)).status_code == 200
    published = await finalize(users_server, media)
    assert (published.status_code, published.json()["sha256"]) == (200, DIGEST)
    async with client(users_server, user("ann")) as site:
        assert (await site.get(f"/v1/files/{media}")).content == BODY
        manifest = (await site.get(f"/v1/manifests/{media}")).json()
    starts = [(c["slice_start"], int(c["object_id"][24:], 16)) for c in manifest["chunks"]]
    assert starts == [(start, 2**53 + start) for start in range(0, len(BODY), 2**20)]


async def test_a_published_one_takes_no_other_bytes(users_server: Process) -> None:
    told = await announce(users_server)
    await send(users_server, told)
    await finalize(users_server, told["media"]["_id"])
    assert (await send(users_server, told)).status_code == 200
    assert refusal(await send(users_server, told, WRONG)) == (409, "already-complete")


@pytest.mark.parametrize("more", [b"x", b"x" * 2**20])
async def test_more_than_was_announced_is_refused(users_server: Process, more: bytes) -> None:
    told = await announce(users_server)
    for body in (BODY + more, stream(BODY + more)):
        answer = await send(users_server, told, body)
        assert refusal(answer) == (413, "too-large")
        assert answer.json()["limit"] == len(BODY)
    assert (await send(users_server, told)).status_code == 200


async def test_the_byte_that_is_too_much_is_enough(users_server: Process) -> None:
    # Or a body of no length would be in memory up to a whole cell under the share of one byte.
    told = await announce(users_server, body=b"x")
    reader, writer = await asyncio.open_connection("127.0.0.1", users_server.port)
    writer.write(
        f"PUT {told['upload']['url']} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n".encode()
    )
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    await writer.wait_closed()


async def test_a_form_is_not_taken_apart(users_server: Process) -> None:
    told = await announce(users_server)
    async with client(users_server) as browser:
        answer = await browser.post(told["upload"]["url"], files={"file": ("film.mp4", BODY)})
    assert refusal(answer) == (413, "too-large")


async def test_the_quota_is_reserved_when_it_is_announced(users_server: Process) -> None:
    async with client(users_server, user("root", "admin")) as admin:
        await admin.put("/v1/users/media-quota/quota", json={"quota": len(BODY)})

    async def usage() -> tuple[int, int]:
        async with client(users_server, user("media-quota")) as site:
            told = (await site.get("/v1/usage")).json()
        return told["used"], told["reserved"]

    told = await announce(users_server, "media-quota")
    assert await usage() == (0, len(BODY))
    async with client(users_server, user("media-quota")) as site:
        answer = await site.post("/v1/media", json={"size": 1, "sha256": DIGEST})
        assert refusal(answer) == (507, "quota-exceeded")
    await send(users_server, told, WRONG)
    await send(users_server, told)
    assert await usage() == (0, len(BODY))
    await finalize(users_server, told["media"]["_id"], "media-quota")
    assert await usage() == (len(BODY), 0)
