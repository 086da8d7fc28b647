"""The WebSocket channel: what becomes of uploads. Every message is written from page 3 alone."""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest
from bson import ObjectId

from lading.server.limits import ChannelLimits, Limits
from tests.conftest import Kept, Mongo
from tests.support.servers import Process, inside
from tests.support.users import client, user
from tests.support.wire import (
    ABORT,
    CHUNK,
    CLOSED,
    COMPLETE,
    CREATE,
    DETACH,
    FINISH,
    HELLO,
    OPENED,
    PING,
    PONG,
    RESUME,
    STORED,
    VERIFYING,
    WELCOME,
    Wire,
    cells,
    channel,
    checksum,
    dial,
)

CELL = 4096


async def fetched(http: httpx.AsyncClient, file: dict[str, object]) -> bytes:
    """The bytes of a finished upload, as COMPLETE says where they are."""
    response = await http.get(str(file["url"]))
    assert response.status_code == 200
    return response.content


async def create(wire: Wire, ref: int, size: int | None, **fields: object) -> str:
    """CREATE with small cells; gives the id."""
    upload = await wire.create(ref, size, chunk_size=CELL, **fields)
    assert upload["chunk_size"] == CELL
    return str(upload["id"])


# -- whole uploads


async def test_the_welcome_says_what_the_connection_may_do(server: Process) -> None:
    async with channel(server) as wire:
        assert wire.welcome["user_id"] == "admin"
        assert wire.welcome["max_chunk_size"] == 4 * 2**20
        assert wire.welcome["window"] >= wire.welcome["max_chunk_size"]
        assert wire.welcome["heartbeat"] > 0
        assert wire.welcome["server"].startswith("lading/")


async def test_an_upload_from_creation_to_download(
    server: Process, http: httpx.AsyncClient
) -> None:
    data = Random(3).randbytes(9_000_000)
    digest = hashlib.sha256(data).hexdigest()
    async with channel(server) as wire:
        upload = await wire.create(
            7,
            len(data),
            name="a film.mp4",
            directory="a/b",
            tags=["holiday"],
            sha256=digest,
            fingerprint="print",
            unknown_field=1,
        )
        assert upload["name"] == "a film.mp4"
        assert upload["size"] == len(data)
        assert upload["upload_size"] == 0
        assert upload["missing"] == [[0, len(data)]]
        assert upload["state"] == "uploading"
        assert time.time() < upload["expires_at"] < time.time() + 86_401
        pieces = cells(data, upload["chunk_size"])
        for start, piece in pieces:
            await wire.chunk(7, start, piece)
        stored, upload_size = await wire.stored(len(pieces))
        assert stored == {(7, start, len(piece)) for start, piece in pieces}
        assert upload_size == len(data)
        file = await wire.finish(7)
        assert file == {
            "id": upload["id"],
            "size": len(data),
            "mime_type": "video/mp4",
            "sha256": digest,
            "crc32c": checksum(data),
            "url": f"/v1/files/{upload['id']}",
        }
    assert await fetched(http, file) == data


async def test_an_upload_whose_messages_wait_for_as_few_answers_as_possible(
    server: Process, http: httpx.AsyncClient
) -> None:
    async with dial(server) as wire:
        await wire.send(HELLO, {"token": server.token})
        await wire.send(CREATE, 0, {"name": "a file", "size": 5, "chunk_size": CELL})
        await wire.expect(WELCOME)
        await wire.expect(OPENED)
        await wire.chunk(0, 0, b"hello")
        await wire.send(FINISH, 0, {})
        await wire.expect(STORED)
        _, file = await wire.expect(COMPLETE)
    assert await fetched(http, file) == b"hello"


@pytest.mark.parametrize("size", [0, 1, CELL - 1, CELL, CELL + 1, 3 * CELL, 3 * CELL + 1])
async def test_any_length_is_exact(server: Process, http: httpx.AsyncClient, size: int) -> None:
    data = os.urandom(size)
    async with channel(server) as wire:
        file = await wire.upload(0, data, chunk_size=CELL)
    assert file["size"] == size
    assert file["crc32c"] == checksum(data)
    assert await fetched(http, file) == data


async def test_pieces_out_of_order_on_two_connections(
    server: Process, http: httpx.AsyncClient
) -> None:
    data = os.urandom(10 * CELL + 5)
    pieces = cells(data, CELL)[::-1]
    async with channel(server) as one, channel(server) as two:
        upload_id = await create(one, 1, len(data))
        await two.resume(9, upload_id)
        for wire, ref, mine in ((one, 1, pieces[::2]), (two, 9, pieces[1::2])):
            for start, piece in mine:
                await wire.chunk(ref, start, piece)
        await one.stored(len(pieces[::2]))
        await two.stored(len(pieces[1::2]))
        file = await two.finish(9)
        assert await one.finish(1) == file
    assert await fetched(http, file) == data


async def test_several_uploads_on_one_connection(server: Process, http: httpx.AsyncClient) -> None:
    files = {ref: os.urandom(3 * CELL + ref) for ref in (0, 1, 2, 65_535)}
    async with channel(server) as wire:
        for ref, data in files.items():
            await create(wire, ref, len(data))
        rounds = itertools.zip_longest(*(cells(data, CELL) for data in files.values()))
        for each in rounds:
            for ref, piece in zip(files, each, strict=True):
                if piece is not None:
                    await wire.chunk(ref, *piece)
        await wire.stored(sum(len(cells(data, CELL)) for data in files.values()))
        for ref, data in files.items():
            assert await fetched(http, await wire.finish(ref)) == data


async def test_one_upload_on_two_server_processes(
    server: Process, other_server: Process, http: httpx.AsyncClient
) -> None:
    data = os.urandom(12 * CELL)
    pieces = cells(data, CELL)
    async with channel(server) as one, channel(other_server) as two:
        upload_id = await create(one, 1, len(data))
        await two.resume(1, upload_id)
        for (start, piece), wire in zip(pieces, itertools.cycle((one, two)), strict=False):
            await wire.chunk(1, start, piece)
        await one.stored(6)
        await two.stored(6)
        file = await one.finish(1)
        assert await two.finish(1) == file
    assert await fetched(http, file) == data


# -- interruptions


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same-server", "other-server"])
async def test_a_lost_connection_is_gone_on_with(
    server: Process, other_server: Process, http: httpx.AsyncClient, elsewhere: bool
) -> None:
    data = os.urandom(6 * CELL + 100)
    pieces = cells(data, CELL)
    async with channel(server) as wire:
        upload_id = await create(wire, 1, len(data))
        for number in (0, 1, 4):
            await wire.chunk(1, *pieces[number])
        await wire.stored(3)
        # Half a message, and the cable is pulled.
        wire.socket.transport.write(b"\x82\xfe\x10\x00half")
        wire.socket.transport.abort()
    async with channel(other_server if elsewhere else server) as wire:
        upload = await wire.resume(2, upload_id)
        assert upload["missing"] == [[2 * CELL, 4 * CELL], [5 * CELL, len(data)]]
        assert upload["upload_size"] == 3 * CELL
        assert upload["chunk_size"] == CELL
        for start, end in upload["missing"]:
            for place, piece in cells(data[start:end], CELL):
                await wire.chunk(2, start + place, piece)
        _, upload_size = await wire.stored(4)
        assert upload_size == len(data)
        file = await wire.finish(2)
    assert await fetched(http, file) == data


async def test_a_piece_is_stored_though_its_sender_is_gone(
    server: Process, http: httpx.AsyncClient
) -> None:
    data = os.urandom(2**20)
    async with channel(server) as wire:
        upload = await wire.create(1, len(data))
        await wire.chunk(1, 0, data)
        await wire.socket.close()
    async with channel(server) as wire:
        again = await wire.resume(1, upload["id"])
        if again["missing"]:
            # It was still on its way into the store: sent again, it is the same piece.
            await wire.chunk(1, 0, data)
            await wire.stored(1)
        file = await wire.finish(1)
    assert await fetched(http, file) == data


async def test_detach_is_a_pause(server: Process) -> None:
    data = os.urandom(2 * CELL)
    pieces = cells(data, CELL)
    async with channel(server) as wire:
        upload_id = await create(wire, 1, len(data))
        await wire.chunk(1, *pieces[0])
        await wire.send(DETACH, 1)
        # What was on its way is answered first.
        await wire.stored(1)
        assert await wire.expect(CLOSED) == [1]
        await wire.chunk(1, *pieces[1])
        assert (await wire.problem(1))["code"] == "not-found"
        upload = await wire.resume(1, upload_id)
        assert upload["missing"] == [[CELL, 2 * CELL]]
        await wire.chunk(1, *pieces[1])
        await wire.stored(1)
        await wire.finish(1)


async def test_abort_deletes_the_upload_and_its_chunks(server: Process, kept: Kept) -> None:
    data = os.urandom(100 * CELL)
    async with channel(server) as wire:
        upload_id = await create(wire, 1, len(data))
        for start, piece in cells(data, CELL):
            await wire.chunk(1, start, piece)
        await wire.stored(100)
        await wire.send(ABORT, 1)
        assert await wire.expect(CLOSED) == [1]
        assert kept() == (0, 0)
        await wire.send(ABORT, 1)
        assert await wire.expect(CLOSED) == [1]
        await wire.send(RESUME, 1, upload_id)
        assert (await wire.problem(1))["code"] == "not-found"


async def test_abort_of_what_another_connection_aborted(server: Process, kept: Kept) -> None:
    async with channel(server) as one, channel(server) as two:
        upload_id = await create(one, 1, 2 * CELL)
        await two.resume(2, upload_id)
        await one.send(ABORT, 1)
        assert await one.expect(CLOSED) == [1]
        await two.send(ABORT, 2)
        assert await two.expect(CLOSED) == [2]
    assert kept() == (0, 0)


async def test_writing_to_what_another_server_aborted_ends(
    server: Process, other_server: Process
) -> None:
    async with channel(server) as one, channel(other_server) as two:
        upload_id = await create(one, 1, 2 * CELL)
        await two.resume(2, upload_id)
        await one.send(ABORT, 1)
        await one.expect(CLOSED)
        await two.send(FINISH, 2, {})
        assert (await two.problem(2))["code"] == "not-found"


@pytest.mark.parametrize(
    ("state", "code"), [("expired", "gone"), ("deleted", "not-found"), (None, "not-found")]
)
async def test_what_ended_cannot_be_resumed(
    server: Process, mongo: Mongo, state: str | None, code: str
) -> None:
    async with channel(server) as wire:
        upload_id = await create(wire, 1, CELL)
        query = {"_id": ObjectId(upload_id)}
        if state is None:
            mongo["shared"]["manifests"].delete_one(query)
        else:
            mongo["shared"]["manifests"].update_one(query, {"$set": {"state": state}})
        await wire.send(RESUME, 2, upload_id)
        assert (await wire.problem(2))["code"] == code
        await wire.send(FINISH, 1, {})
        assert (await wire.problem(1))["code"] == code


async def test_anothers_upload_does_not_exist(users_server: Process) -> None:
    async with client(users_server, user("bob")) as bob:
        begun = await bob.post("/v1/uploads", json={"name": "a", "size": CELL})
    upload_id = begun.json()["_id"]
    ann = replace(users_server, token=user("ann"))
    async with channel(ann) as wire:
        await wire.send(RESUME, 2, upload_id)
        others = await wire.problem(2)
        await wire.send(RESUME, 2, "0" * 24)
        absent = await wire.problem(2)
    assert others["code"] == absent["code"] == "not-found"
    assert others["detail"].replace(upload_id, "X") == absent["detail"].replace("0" * 24, "X")


async def test_an_upload_that_expires_while_it_is_open(
    tmp_path: Path, database_url: str, mongo: Mongo
) -> None:
    now = [time.time()]
    async with (
        inside(tmp_path, database_url, clock=lambda: now[0]) as server,
        channel(server) as wire,
    ):
        data = os.urandom(3 * CELL)
        await create(wire, 1, len(data))
        other = await create(wire, 2, CELL)
        await wire.chunk(1, 0, data[:CELL])
        await wire.stored(1)
        database = mongo[server.services.database.chunks.database.name]
        database["manifests"].update_one(
            {"_id": {"$ne": ObjectId(other)}}, {"$set": {"state": "expired"}}
        )
        now[0] += 2
        await wire.chunk(1, CELL, data[CELL : 2 * CELL])
        assert (await wire.refused(1, CELL))["code"] == "gone"
        assert (await wire.problem(1))["code"] == "gone"
        # The upload beside it is unharmed.
        await wire.chunk(2, 0, data[:CELL])
        await wire.stored(1)
        await wire.finish(2)


# -- finishing


async def test_finish_says_what_is_missing_and_the_upload_stays_open(server: Process) -> None:
    data = os.urandom(4 * CELL)
    async with channel(server) as wire:
        await create(wire, 1, len(data))
        await wire.chunk(1, CELL, data[CELL : 2 * CELL])
        await wire.stored(1)
        await wire.send(FINISH, 1, {})
        problem = await wire.problem(1)
        assert problem["code"] == "incomplete"
        assert problem["missing"] == [[0, CELL], [2 * CELL, 4 * CELL]]
        for start in (0, 2 * CELL, 3 * CELL):
            await wire.chunk(1, start, data[start : start + CELL])
        await wire.stored(3)
        await wire.finish(1)


async def test_finish_waits_for_the_pieces_before_it(server: Process) -> None:
    data = os.urandom(8 * CELL)
    async with channel(server) as wire:
        await create(wire, 1, len(data))
        for start, piece in cells(data, CELL):
            await wire.chunk(1, start, piece)
        await wire.send(FINISH, 1, {"size": len(data)})
        await wire.stored(8)
        assert (await wire.complete(1))["size"] == len(data)


async def test_finish_again_gives_the_same_answer(server: Process) -> None:
    async with channel(server) as wire:
        file = await wire.upload(1, b"x" * 5000, chunk_size=CELL)
        assert await wire.finish(1) == file
        assert await wire.finish(1, size=5000) == file
    async with channel(server) as wire:
        await wire.send(RESUME, 3, file["id"])
        upload = await wire.opened(3)
        assert upload["state"] == "ready"
        assert upload["missing"] == []
        assert upload["upload_size"] == 5000
        assert await wire.complete(3) == file
        assert await wire.finish(3) == file
        # A piece that is there already is stored; nothing can be added.
        await wire.chunk(3, 0, b"x" * CELL)
        await wire.stored(1)
        await wire.chunk(3, 0, b"y" * CELL)
        assert (await wire.refused(3, 0))["code"] == "already-complete"


async def test_abort_after_the_end_deletes_the_file(server: Process, kept: Kept) -> None:
    async with channel(server) as wire:
        await wire.upload(1, b"x" * 50)
        assert kept() == (1, 1)
        await wire.send(ABORT, 1)
        assert await wire.expect(CLOSED) == [1]
        assert kept() == (0, 0)


async def test_a_digest_that_differs_keeps_the_upload_open(server: Process) -> None:
    data = os.urandom(2 * CELL)
    right, wrong = hashlib.sha256(data).hexdigest(), "0" * 64
    async with channel(server) as wire:
        await create(wire, 1, len(data))
        await create(wire, 2, len(data), sha256=wrong)
        for ref in (1, 2):
            for start, piece in cells(data, CELL):
                await wire.chunk(ref, start, piece)
        await wire.stored(4)
        for ref, fields in ((1, {"sha256": wrong}), (2, {}), (2, {"sha256": right})):
            await wire.send(FINISH, ref, fields)
            assert (await wire.problem(ref))["code"] == "checksum-mismatch"
        assert (await wire.finish(1, sha256=right))["sha256"] == right
        await wire.send(ABORT, 2)
        assert await wire.expect(CLOSED) == [2]


async def test_the_client_hears_how_far_the_verification_is(
    tmp_path: Path, database_url: str
) -> None:
    limits = Limits(channel=ChannelLimits(verifying_seconds=0))
    data = os.urandom(5 * CELL)
    async with inside(tmp_path, database_url, limits=limits) as server, channel(server) as wire:
        await create(wire, 1, len(data))
        for start, piece in cells(data, CELL):
            await wire.chunk(1, start, piece)
        await wire.stored(5)
        await wire.send(FINISH, 1, {"sha256": hashlib.sha256(data).hexdigest()})
        for done in range(CELL, len(data) + 1, CELL):
            assert await wire.receive() == [VERIFYING, 1, done, len(data)]
        await wire.complete(1)


# -- unknown length


async def test_a_length_that_is_known_only_at_the_end(
    server: Process, http: httpx.AsyncClient
) -> None:
    data = os.urandom(2 * CELL + 77)
    async with channel(server) as wire:
        upload = await wire.create(1, None, chunk_size=CELL)
        assert upload["size"] is None
        assert upload["missing"] == []
        # A recording is sent as it comes: pieces shorter than a cell, each where the last ended.
        ends = [0, 100, 1100, CELL, 2 * CELL, len(data)]
        for start, end in itertools.pairwise(ends):
            await wire.chunk(1, start, data[start:end])
            await wire.stored(1)
        await wire.send(FINISH, 1, {})
        assert (await wire.problem(1))["code"] == "invalid-argument"
        await wire.send(FINISH, 1, {"size": len(data) - 1})
        assert (await wire.problem(1))["code"] == "invalid-argument"
        await wire.send(FINISH, 1, {"size": len(data) + 1})
        problem = await wire.problem(1)
        assert problem["code"] == "incomplete"
        assert problem["missing"] == [[len(data), len(data) + 1]]
        file = await wire.finish(1, size=len(data))
        assert await wire.finish(1) == file
        await wire.send(FINISH, 1, {"size": 1})
        assert (await wire.problem(1))["code"] == "invalid-argument"
    assert await fetched(http, file) == data


async def test_an_unknown_length_of_nothing(server: Process) -> None:
    async with channel(server) as wire:
        await wire.create(1, None)
        assert (await wire.finish(1, size=0))["size"] == 0


async def test_an_unknown_length_is_gone_on_with(server: Process) -> None:
    async with channel(server) as wire:
        upload = await wire.create(1, None, chunk_size=CELL)
        await wire.chunk(1, 0, b"a" * CELL)
        await wire.chunk(1, 2 * CELL, b"c" * 10)
        await wire.stored(2)
    async with channel(server) as wire:
        again = await wire.resume(1, upload["id"])
        assert again["missing"] == [[CELL, 2 * CELL]]
        assert again["upload_size"] == CELL + 10
        await wire.chunk(1, CELL, b"b" * CELL)
        await wire.stored(1)
        assert (await wire.finish(1, size=2 * CELL + 10))["size"] == 2 * CELL + 10


# -- refs and small talk


async def test_a_ref_is_free_again_when_its_upload_is_complete_or_closed(server: Process) -> None:
    async with channel(server) as wire:
        first = await wire.upload(1, b"first")
        second = await wire.upload(1, b"second")
        assert first["id"] != second["id"]
        await create(wire, 1, 10)
        await wire.send(DETACH, 1)
        await wire.expect(CLOSED)
        await create(wire, 1, 10)


async def test_a_ref_in_use_is_not_taken_over(server: Process) -> None:
    async with channel(server) as wire:
        await create(wire, 1, 3)
        await wire.send(CREATE, 1, {"name": "other", "size": 9})
        assert (await wire.problem(1))["code"] == "invalid-argument"
        await wire.send(RESUME, 1, "0" * 24)
        assert (await wire.problem(1))["code"] == "invalid-argument"
        await wire.chunk(1, 0, b"abc")
        await wire.stored(1)
        assert (await wire.finish(1))["size"] == 3


@pytest.mark.parametrize("nonce", [0, 2**53 - 1, "text", b"bytes"])
async def test_a_ping_is_answered(server: Process, nonce: object) -> None:
    async with channel(server) as wire:
        await wire.send(PING, nonce)
        assert await wire.expect(PONG) == [nonce]


async def test_extra_items_are_ignored(server: Process) -> None:
    async with channel(server) as wire:
        await wire.send(CREATE, 1, {"name": "a", "size": 3, "later": {"x": [1]}}, "extra", None)
        assert (await wire.expect(OPENED))[0] == 1
        await wire.send(CHUNK, 1, 0, checksum(b"abc"), b"abc", 9)
        assert (await wire.expect(STORED))[1] == [[0, 3]]
        await wire.send(PING, 1, 2, 3)
        assert await wire.expect(PONG) == [1]


@pytest.mark.parametrize(("asked", "given"), [(1, 1024), (5000, 5000), (2**40, 4 * 2**20)])
async def test_a_client_may_ask_for_a_cell_size_within_the_limits(
    server: Process, asked: int, given: int
) -> None:
    async with channel(server) as wire:
        assert (await wire.create(1, 100, chunk_size=asked))["chunk_size"] == given
