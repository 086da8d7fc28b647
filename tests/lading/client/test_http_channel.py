"""Uploads over plain HTTP, against the real server, through a network that blocks WebSocket."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from lading.client.client import Client
from lading.client.errors import Unreachable
from lading.client.types import Manifest, State
from lading.protocol.errors import ChecksumMismatch, QuotaExceeded
from tests.lading.conftest import AT_ONCE
from tests.support.network import Network, network
from tests.support.servers import Process

MIB = 2**20
CHUNK = 256 * 1024


def strip(data: bytes) -> bytes:
    """What a proxy does that does not know WebSocket."""
    return data.replace(b"Upgrade: websocket", b"X-Removed: websock")


@pytest.fixture
async def between(server: Process) -> AsyncIterator[Network]:
    async with network(server.port) as found:
        found.damage = strip
        yield found


def client(between: Network, server: Process) -> Client:
    return Client(between.url, server.token, timing=AT_ONCE)


async def fetched(lading: Client, file_id: str) -> bytes:
    out = io.BytesIO()
    await lading.download(file_id, out)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, CHUNK, 5 * MIB + 7])
async def test_a_file_arrives_whole(
    server: Process, between: Network, tmp_path: Path, size: int
) -> None:
    body = Random(size).randbytes(size)
    path = tmp_path / f"http-{size}.bin"
    path.write_bytes(body)
    async with client(between, server) as lading:
        upload = lading.upload(path, chunk_size=CHUNK, directory="h", tags=["t"])
        file = await upload
        assert await fetched(lading, file.id) == body
        found = await lading.manifest(file.id)
        assert isinstance(found, Manifest)
        assert (found.directory, found.tags) == ("h", ("t",))
    assert (file.name, file.size, upload.bytes_acknowledged) == (path.name, size, size)
    assert upload.progress.state is State.DONE
    assert upload.connections == 1


async def test_a_stream(server: Process, between: Network) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for number in range(50):
            yield bytes([number]) * 100_000

    async with client(between, server) as lading:
        file = await lading.upload(blocks(), name="http-stream", chunk_size=CHUNK)
        assert await fetched(lading, file.id) == b"".join(bytes([n]) * 100_000 for n in range(50))


async def test_an_upload_resumes_where_websocket_stopped(
    server: Process, between: Network, tmp_path: Path
) -> None:
    path = tmp_path / "http-resumed.bin"
    path.write_bytes(Random(20).randbytes(64 * MIB))
    async with Client(server.url, server.token, timing=AT_ONCE) as direct:
        first = direct.upload(path, chunk_size=CHUNK)
        async for progress in first:
            if progress.stored >= MIB:
                break
        await first.stop()
    async with client(between, server) as lading:
        again = lading.upload(path)
        file = await again
    assert file.id == first.id
    assert again.resumed_from >= MIB
    assert again.bytes_sent == file.size - again.resumed_from


async def test_cuts_are_survived(server: Process, tmp_path: Path) -> None:
    body = Random(21).randbytes(12 * MIB)
    path = tmp_path / "http-cut.bin"
    path.write_bytes(body)
    random = Random(22)
    async with network(server.port) as found:
        found.damage = strip
        found.cuts = iter([random.randrange(10_000, 3 * MIB) for _ in range(12)])
        async with client(found, server) as lading:
            file = await lading.upload(path, chunk_size=CHUNK)
            assert await fetched(lading, file.id) == body
    assert found.cut_count >= 3


async def test_damaged_pieces_are_sent_again(
    server: Process, between: Network, tmp_path: Path
) -> None:
    body = bytes(3 * MIB)
    count = 0

    def damage(data: bytes) -> bytes:
        nonlocal count
        if len(data) > 30_000 and not any(data[-1000:]):
            count += 1
            if count % 20 == 3:
                return data[:-1] + b"\x01"
        return strip(data)

    between.damage = damage
    async with client(between, server) as lading:
        name = "http-damaged"
        file = await lading.upload(io.BytesIO(body), name=name, chunk_size=CHUNK)
        assert await fetched(lading, file.id) == body
    assert count > 3


async def test_refusals_are_the_same_errors(server: Process, between: Network) -> None:
    async with client(between, server) as lading:
        own = await lading.usage()
        await lading.set_quota("admin", own.used + own.reserved + 10)
        try:
            with pytest.raises(QuotaExceeded):
                await lading.upload(io.BytesIO(bytes(1000)), name="http-much")
        finally:
            await lading.set_quota("admin", None)


async def test_a_token_is_renewed(server: Process, between: Network) -> None:
    tokens = iter(["wrong", "wrong-too", server.token or ""])
    async with Client(between.url, lambda: next(tokens), timing=AT_ONCE) as lading:
        await lading.upload(io.BytesIO(b"x"), name="http-token", resume=False)


async def test_a_file_that_is_not_what_it_was_is_not_published(
    server: Process, between: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(between, server) as lading:
        upload = lading.upload(io.BytesIO(b"x" * 1000), name="http-digest")
        monkeypatch.setattr("lading.protocol.digests.Sha256.hexdigest", lambda _self: "0" * 64)
        with pytest.raises(ChecksumMismatch):
            await upload


async def test_websocket_is_used_again_where_http_carries_nothing(
    server: Process, between: Network
) -> None:
    def block(data: bytes) -> bytes:
        if b"PUT /v1/uploads/" in data:
            between.damage = bytes  # from now on WebSocket passes
            between.cut()
        return strip(data)

    between.damage = block
    async with client(between, server) as lading:
        upload = lading.upload(io.BytesIO(b"x" * 1000), name="http-blocked")
        await upload
        assert not lading._api.transport.is_http
    assert upload.connections >= 2


async def test_a_server_that_is_gone_is_unreachable_either_way(tmp_path: Path) -> None:
    timing = AT_ONCE
    async with Client("http://127.0.0.1:1", "t", timing=timing, connect_patience=0.2) as lading:
        with pytest.raises(Unreachable):
            await lading.upload(io.BytesIO(b"x"), name="a")
