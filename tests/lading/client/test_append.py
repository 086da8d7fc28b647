"""Uploads by a protocol that was chosen, over a network that breaks, against the real server."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx
import pytest

from lading.client.client import Client
from lading.protocol.errors import InvalidArgument
from tests.lading.conftest import AT_ONCE
from tests.support.network import network
from tests.support.servers import Process

SIZE = 3_000_017
PROTOCOLS = ("ws", "http", "tus", "ietf")


def same(path: Path, content: bytes) -> bool:
    """Whether a file is what was stored."""
    return path.read_bytes() == content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "chosen.bin"
    found.write_bytes(Random(tmp_path.name).randbytes(SIZE))
    return found


async def content(server: Process, file_id: str) -> bytes:
    async with server.http() as http:
        return (await http.get(f"/v1/files/{file_id}")).content


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_file_arrives_by_the_protocol_that_was_chosen(
    server: Process, path: Path, protocol: str
) -> None:
    seen = set[str]()

    def watch(data: bytes) -> bytes:
        line = data.split(b"\r\n", 1)[0]
        for name in ("/v1/ws", "/v1/tus/", "/v1/resumable/", "/chunks/"):
            if name.encode() in line:
                seen.add(name)
        return data

    # The small requests before the bytes share one connection.
    async with network(server.port, cuts=[400_000] * 3) as between:
        between.damage = watch
        async with Client(between.url, server.token, timing=AT_ONCE) as client:
            upload = client.upload(path, protocol=protocol)
            file = await upload
        assert between.cut_count > 0
    used = {"ws": "/v1/ws", "http": "/chunks/", "tus": "/v1/tus/", "ietf": "/v1/resumable/"}
    assert seen == {used[protocol]}
    assert same(path, await content(server, file.id))
    # The answer to a piece may be lost with its connection; then the next one finds it stored.
    assert 0 < upload.bytes_acknowledged <= upload.progress.stored == SIZE


@pytest.mark.parametrize("protocol", ["tus", "ietf"])
async def test_a_later_run_goes_on_by_another_protocol(
    server: Process, path: Path, protocol: str
) -> None:
    async with (
        network(server.port, cuts=[1_000_000] * 1000) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        first = client.upload(path, protocol=protocol)
        async for _ in first:
            if first.bytes_acknowledged > 0:
                break
        await first.stop()
    async with Client(server.url, server.token) as client:
        second = client.upload(path)
        file = await second
    assert file.id == first.id
    assert second.resumed_from > 0
    assert same(path, await content(server, file.id))


@pytest.mark.parametrize("protocol", ["tus", "ietf"])
async def test_the_last_answer_may_be_lost(server: Process, path: Path, protocol: str) -> None:
    async with network(server.port) as between:
        lost: list[bytes] = []

        def lose(data: bytes) -> bytes:
            said = data.lower()
            last = f"upload-offset: {SIZE}" if protocol == "tus" else "upload-complete: ?1"
            if lost or last.encode() not in said:
                return data
            lost.append(data)
            between.cut()
            return b""

        between.damage_back = lose
        async with Client(between.url, server.token, timing=AT_ONCE) as client:
            file = await client.upload(path, protocol=protocol)
        assert lost
    assert same(path, await content(server, file.id))


async def test_an_empty_file_arrives(server: Process, tmp_path: Path) -> None:
    for protocol in PROTOCOLS:
        empty = tmp_path / f"empty-{protocol}"
        empty.touch()
        async with Client(server.url, server.token) as client:
            file = await client.upload(empty, protocol=protocol)
        assert await content(server, file.id) == b""


@pytest.mark.parametrize("protocol", ["tus", "ietf"])
async def test_an_upload_that_expired_begins_anew(
    server: Process, path: Path, http: httpx.AsyncClient, protocol: str
) -> None:
    async with (
        network(server.port, cuts=[1_500_000] * 1000) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        upload = client.upload(path, protocol=protocol)
        async for progress in upload:
            if progress.stored > 0:
                assert upload.id is not None
                lost = upload.id
                assert (await http.delete(f"/v1/uploads/{lost}")).is_success
                between.cuts = iter(())
                break
        file = await upload
    assert file.id != lost
    assert same(path, await content(server, file.id))


async def test_what_is_no_file_is_refused(server: Process) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"x"

    async with Client(server.url, server.token) as client:
        with pytest.raises(InvalidArgument, match="only files"):
            await client.upload(blocks(), name="a", protocol="tus")
        with pytest.raises(InvalidArgument, match="ws, http, tus, ietf"):
            await client.upload(io.BytesIO(b"x"), name="a", protocol="ftp")
