"""Direct uploads of the Python client: to a real bucket, and to the server where that fails."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lading.client.client import Client
from lading.client.direct import BucketRefused
from tests.lading.conftest import AT_ONCE
from tests.support.direct import site_with_bucket
from tests.support.seaweedfs import SeaweedFS
from tests.support.servers import Inside, Process

MIB = 2**20


@pytest.fixture
async def site(
    database_url: str,
    tmp_path: Path,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Inside]:
    data = tmp_path / "data"
    async with site_with_bucket(data, database_url, seaweed, s3_home, monkeypatch) as running:
        yield running


def file_of(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


async def through_the_server(site: Inside) -> int:
    """How many pieces came to the server."""
    return int(await site.services.database.chunks.count_documents({}))


@pytest.mark.parametrize("size", [3 * MIB + 1, 12 * MIB + 9], ids=["whole", "in parts"])
async def test_the_bytes_go_past_the_server(site: Inside, tmp_path: Path, size: int) -> None:
    path = file_of(tmp_path, size)
    async with Client(site.url, site.token) as client:
        upload = client.upload(path, direct=True, tags=["x"], directory="d")
        file = await upload
        assert (file.size, file.crc32c, upload.bytes_sent) == (size, None, size)
        assert await through_the_server(site) == 0
        again = client.upload(path, direct=True, directory="d")
        assert (await again).id == file.id
        assert again.skipped
        await client.download(file.id, tmp_path / "back.mp4")
    assert (tmp_path / "back.mp4").read_bytes() == path.read_bytes()


async def test_without_a_bucket_the_server_takes_the_bytes(server: Process, tmp_path: Path) -> None:
    path = file_of(tmp_path, 2 * MIB)
    async with Client(server.url, server.token) as client:
        file = await client.upload(path, direct=True)
        assert file.crc32c is not None
        await client.delete(file.id)


async def test_what_the_bucket_does_not_take_goes_to_the_server(
    site: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_args: Any) -> None:
        raise BucketRefused

    monkeypatch.setattr("lading.client.direct.Bucket._once", refuse)
    path = file_of(tmp_path, 2 * MIB)
    async with Client(site.url, site.token, timing=AT_ONCE) as client:
        file = await client.upload(path, direct=True)
    assert file.crc32c is not None
    assert await through_the_server(site) == 2


async def test_a_stream_goes_to_the_server(site: Inside) -> None:
    async def bytes_() -> AsyncIterator[bytes]:
        yield b"a stream"

    async with Client(site.url, site.token) as client:
        file = await client.upload(bytes_(), name="s.bin", direct=True)
    assert file.crc32c is not None
