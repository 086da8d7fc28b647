"""Grants as the credential of a channel: what they open, what outlives them, what ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Process, Running, inside
from tests.support.users import client, mint, put, used, user
from tests.support.wire import ABORT, CREATE, FINISH, HELLO, REFUSED, RESUME, TOKEN, Wire, dial

ABSENT = "0" * 24


@asynccontextmanager
async def channel(server: Running, token: str) -> AsyncIterator[Wire]:
    """A connection with this credential, which was welcomed."""
    async with dial(server) as wire:
        await wire.hello(token)
        yield wire


async def refused_hello(server: Running, token: str) -> tuple[str, int | None]:
    """The code and the close with which HELLO is answered."""
    async with dial(server) as wire:
        await wire.send(HELLO, {"token": token})
        problem = await wire.problem(None)
        return problem["code"], (await wire.closing()).code


async def refused_create(wire: Wire, ref: int, **fields: Any) -> str:
    await wire.send(CREATE, ref, {"name": "a.bin", "size": 3, **fields})
    return str((await wire.problem(ref))["code"])


async def test_a_whole_upload(users_server: Process) -> None:
    minted = await mint(users_server, name="b.bin", directory="d", max_size=9)
    async with channel(users_server, minted["token"]) as wire:
        assert wire.welcome["user_id"] == "ann"
        upload = await wire.create(1, 3)
        assert upload["name"] == "b.bin"
        await wire.chunk(1, 0, b"abc")
        await wire.stored(1)
        file = await wire.finish(1)
    async with client(users_server, user("ann")) as ann:
        shape = (await ann.get(f"/v1/manifests/{file['id']}")).json()
        assert (shape["name"], shape["directory"], shape["user_id"]) == ("b.bin", "d", "ann")


@pytest.mark.parametrize(
    ("bounds", "fields", "code"),
    [
        ({"size": 2}, {}, "too-large"),
        ({"size": 4}, {}, "forbidden"),
        ({"max_size": 2}, {}, "too-large"),
        ({"sha256": "0" * 64}, {"sha256": "1" * 64}, "forbidden"),
        ({"mime_types": ["image/*"]}, {"mime_type": "a/b"}, "unsupported-media-type"),
    ],
)
async def test_outside_of_the_bounds_nothing_is_created(
    users_server: Process, bounds: dict[str, Any], fields: dict[str, Any], code: str
) -> None:
    minted = await mint(users_server, **bounds)
    async with channel(users_server, minted["token"]) as wire:
        assert await refused_create(wire, 1, **fields) == code
        assert await used(users_server, minted) == 0


async def test_a_type_that_nobody_named_is_known_with_the_first_piece(
    users_server: Process,
) -> None:
    minted = await mint(users_server, mime_types=["image/*"], uses=2)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100)
    async with channel(users_server, minted["token"]) as wire:
        page = b"<!doctype html>".ljust(len(png))
        await wire.create(1, len(png), name="photo")
        await wire.chunk(1, 0, page)
        refused = await wire.expect(REFUSED)
        assert (refused[0], refused[1], refused[2]["code"]) == (1, 0, "unsupported-media-type")
        await wire.create(2, len(png), name="photo", mime_type="application/octet-stream")
        await wire.chunk(2, 0, png)
        await wire.stored(1)
        assert (await wire.finish(2))["mime_type"] == "image/png"


async def test_a_recording_ends_where_the_grant_does(users_server: Process) -> None:
    minted = await mint(users_server, max_size=1500)
    async with channel(users_server, minted["token"]) as wire:
        await wire.create(1, None, chunk_size=1024)
        await wire.chunk(1, 0, bytes(1024))
        await wire.stored(1)
        await wire.chunk(1, 1024, bytes(477))
        assert (await wire.refused(1, 1024))["code"] == "too-large"
        await wire.chunk(1, 1024, bytes(476))
        await wire.stored(1)
        assert (await wire.finish(1, size=1500))["size"] == 1500


async def test_the_size_that_is_bound_is_that_of_the_upload(users_server: Process) -> None:
    minted = await mint(users_server, size=7)
    async with channel(users_server, minted["token"]) as wire:
        assert (await wire.create(1, None))["size"] == 7


async def test_uses_are_counted_over_connections(users_server: Process) -> None:
    minted = await mint(users_server, uses=2)
    async with channel(users_server, minted["token"]) as one:
        await one.create(1, 3)
        async with channel(users_server, minted["token"]) as other:
            await other.create(1, 3)
            for wire in (one, other):
                assert await refused_create(wire, 2) == "forbidden"


async def test_nothing_but_what_it_began_is_opened(users_server: Process) -> None:
    minted, sibling = await mint(users_server), await mint(users_server)
    anns = await put(users_server)
    async with channel(users_server, sibling["token"]) as wire:
        theirs = (await wire.create(1, 3))["id"]
    async with channel(users_server, minted["token"]) as wire:
        for ref, upload_id in enumerate((anns, theirs, ABSENT)):
            await wire.send(RESUME, ref, upload_id)
            assert (await wire.problem(ref))["code"] == "not-found"


async def test_what_it_began_may_be_given_up_but_not_the_file_that_it_became(
    users_server: Process,
) -> None:
    minted = await mint(users_server, uses=2)
    async with channel(users_server, minted["token"]) as wire:
        file = await wire.upload(1, b"abc")
        await wire.send(ABORT, 1)
        assert (await wire.problem(1))["code"] == "forbidden"
        await wire.send(FINISH, 1, {})
        assert (await wire.complete(1))["id"] == file["id"]
        begun = (await wire.create(2, 3))["id"]
        await wire.send(ABORT, 2)
        await wire.expect(71)
    async with client(users_server, user("ann")) as ann:
        assert (await ann.get(f"/v1/files/{file['id']}")).content == b"abc"
        assert (await ann.get(f"/v1/uploads/{begun}")).status_code == 404


async def test_a_download_grant_opens_no_channel(users_server: Process) -> None:
    minted = await mint(users_server, action="download", file_id=await put(users_server))
    assert await refused_hello(users_server, minted["token"]) == ("forbidden", 4403)
    assert await refused_hello(users_server, f"lg_{'x' * 43}") == ("unauthorized", 4401)


async def test_a_grant_replaces_no_other_credential(users_server: Process) -> None:
    minted, other = await mint(users_server), await mint(users_server)
    for before in (user("ann"), other["token"]):
        async with channel(users_server, before) as wire:
            await wire.create(1, 3)
            await wire.send(TOKEN, minted["token"])
            assert (await wire.problem(None))["code"] == "forbidden"
            assert (await wire.closing()).code == 4403


async def test_the_users_own_credential_may_replace_a_grant(users_server: Process) -> None:
    minted = await mint(users_server)
    async with channel(users_server, minted["token"]) as wire:
        await wire.create(1, 3)
        await wire.send(TOKEN, minted["token"])
        assert await refused_create(wire, 2) == "forbidden"
        await wire.send(TOKEN, user("ann"))
        await wire.create(2, 3)


# -- the end


async def test_at_its_expiry_a_connection_with_nothing_open_is_closed(
    users_server: Process,
) -> None:
    minted = await mint(users_server, expires_in=3)
    async with channel(users_server, minted["token"]) as wire:
        assert (await wire.problem(None))["code"] == "unauthorized"
        assert (await wire.closing()).code == 4401
    assert await refused_hello(users_server, minted["token"]) == ("forbidden", 4403)


async def test_an_upload_outlives_the_grant(users_server: Process) -> None:
    minted = await mint(users_server, expires_in=3, uses=9)
    async with (
        channel(users_server, minted["token"]) as wire,
        channel(users_server, minted["token"]) as idle,
    ):
        upload = await wire.create(1, 2048, chunk_size=1024)
        assert (await idle.closing()).code == 4401, "the grant is expired by now"
        await wire.chunk(1, 0, bytes(1024))
        await wire.stored(1)
        assert await refused_create(wire, 2) == "forbidden"
    async with channel(users_server, minted["token"]) as again:
        assert (await again.resume(1, upload["id"]))["missing"] == [[1024, 2048]]
        await again.chunk(1, 1024, bytes(1024))
        await again.stored(1)
        assert (await again.finish(1))["size"] == 2048
        assert (await again.closing()).code == 4401
    async with channel(users_server, minted["token"]) as late:
        assert (await late.resume(1, upload["id"]))["state"] == "ready"
        await late.complete(1)
        assert await refused_create(late, 2) == "forbidden"


async def test_a_revoked_grant_closes_its_connections(users_server: Process) -> None:
    minted, other = await mint(users_server), await mint(users_server)
    async with (
        channel(users_server, minted["token"]) as wire,
        channel(users_server, other["token"]) as neighbour,
    ):
        await wire.create(1, 3)
        await neighbour.create(1, 3)
        async with client(users_server, user("site", "grant")) as site:
            assert (await site.delete(f"/v1/grants/{minted['id']}")).status_code == 204
        assert (await wire.problem(None))["code"] == "unauthorized"
        assert (await wire.closing()).code == 4401
        await neighbour.chunk(1, 0, b"abc")
        await neighbour.stored(1)
    assert await refused_hello(users_server, minted["token"]) == ("unauthorized", 4401)


async def test_without_authentication_a_grant_is_still_a_grant(
    database_url: str, tmp_path: Path
) -> None:
    async with inside(tmp_path, database_url, auth="none") as server:
        async with server.http() as site:
            body = {"action": "upload", "user_id": "ann"}
            minted = (await site.post("/v1/grants", json=body)).json()
        async with channel(server, minted["token"]) as wire:
            assert wire.welcome["user_id"] == "ann"
            await wire.create(1, 3)
            assert await refused_create(wire, 2) == "forbidden"
