"""tuspy, a client that others wrote, over a network whose connections break."""

from __future__ import annotations

import asyncio
import io
from random import Random

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.uploader.uploader import Uploader

from tests.support.network import network
from tests.support.servers import Process
from tests.support.tus import content, manifest_of

DATA = Random(8).randbytes(6_000_000)
TRIES = 60


def uploader(url: str, token: str | None, *, at: str | None = None, **options: object) -> Uploader:
    """A client of tuspy for the data; `at` is the address of an upload that it goes on with."""
    client = TusClient(f"{url}/v1/tus", headers={"Authorization": f"Bearer {token}"})
    found: Uploader = client.uploader(
        file_stream=io.BytesIO(DATA), url=at, metadata={"filename": "a.bin"}, **options
    )
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"chunk_size": 1_000_000},
        {"chunk_size": 700_001, "upload_checksum": True},
        {},
    ],
    ids=["parts", "parts with checksums", "whole"],
)
async def test_a_file_arrives_however_often_the_connection_breaks(
    server: Process, options: dict[str, object]
) -> None:
    lengths = Random(9)
    cuts = [lengths.randrange(1, 900_000) for _ in range(20)]
    async with network(server.port, cuts) as between:
        at: str | None = None
        for _ in range(TRIES):
            try:
                client = await asyncio.to_thread(
                    uploader, between.url, server.token, at=at, **options
                )
                try:
                    await asyncio.to_thread(client.upload)
                finally:
                    at = client.url
            except TusCommunicationError:
                continue
            break
        else:
            raise AssertionError("it never arrived")
        assert between.cut_count > 5
    assert at is not None
    path = "/" + at.split("/", 3)[3]
    assert (await manifest_of(server, path))["state"] == "ready"
    assert await content(server, path) == DATA
