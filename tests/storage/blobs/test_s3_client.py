"""Requests to an S3, and what the operator is told when one fails."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import Internal, Unavailable
from lading.storage.blobs.s3_client import S3Client, S3Error, S3Options
from tests.support.seaweedfs import BUCKET, OWNER, READER, SeaweedFS

NOWHERE = "http://127.0.0.1:1"


@asynccontextmanager
async def connected(options: S3Options, bucket: str = BUCKET) -> AsyncIterator[S3Client]:
    client = S3Client(bucket, options)
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(seaweed: SeaweedFS) -> AsyncIterator[S3Client]:
    async with connected(seaweed.options()) as found:
        yield found


async def blocks(*blocks: bytes) -> AsyncIterator[bytes]:
    for each in blocks:
        yield each


async def test_what_is_sent_is_read(client: S3Client, s3_home: str) -> None:
    key = f"{s3_home}/key".split("/", 3)[3]
    await client.send("put_object", blocks(b"ha", b"llo"), 5, {}, Key=key)
    assert await client.read(key, 1, 3) == b"al"
    assert await client.read(key, 3, 100) == b"lo"


async def test_what_is_presigned_is_signed_with_its_headers(client: S3Client, s3_home: str) -> None:
    """What was damaged on its way is refused by the store itself."""
    key = f"{s3_home}/key".split("/", 3)[3]
    checksum = base64.b64encode(crc32c(b"hallo").to_bytes(4)).decode()
    headers = {"x-amz-checksum-crc32c": checksum}
    send = client.send
    with pytest.raises(S3Error) as told:
        await send("put_object", blocks(b"hello"), 5, headers, Key=key, ChecksumCRC32C=checksum)
    assert (told.value.s3_code, told.value.status) == ("BadDigest", 400)
    with pytest.raises(S3Error) as told:
        await send("put_object", blocks(b"hallo"), 5, {}, Key=key, ChecksumCRC32C=checksum)
    assert told.value.s3_code == "SignatureDoesNotMatch"
    await send("put_object", blocks(b"hallo"), 5, headers, Key=key, ChecksumCRC32C=checksum)


async def test_an_object_that_is_not_there_is_absent(client: S3Client, s3_home: str) -> None:
    for request in (client.read("none", 0, 1), client.call("head_object", Key="none")):
        with pytest.raises(S3Error) as told:
            await request
        assert told.value.absent


async def test_a_failure_of_the_source_is_no_failure_of_s3(client: S3Client) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield b"ha"
        raise Internal("The stored bytes are damaged.")

    with pytest.raises(Internal, match="damaged"):
        await client.send("put_object", damaged(), 5, {}, Key="never")
    with pytest.raises(S3Error) as told:
        await client.call("head_object", Key="never")
    assert told.value.absent


# -- what the operator is told

Request = Callable[[S3Client], Awaitable[Any]]

REQUESTS: dict[str, Request] = {
    "list": lambda client: client.call("list_objects_v2", MaxKeys=1),
    "read": lambda client: client.read("key", 0, 10),
    "send": lambda client: client.send("put_object", blocks(b"x"), 1, {}, Key="key"),
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(
    ("changed", "settings"),
    [
        ({"keys": ("nobody", "x")}, ["AWS_ACCESS_KEY_ID"]),
        ({"keys": (OWNER.access, "wrong")}, ["AWS_SECRET_ACCESS_KEY"]),
        ({"keys": None}, ["AWS_ACCESS_KEY_ID"]),
        ({"endpoint": NOWHERE}, [NOWHERE, "LADING_S3_ENDPOINT"]),
    ],
)
async def test_each_wrong_setting_is_named(
    seaweed: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
    request_name: str,
    changed: dict[str, Any],
    settings: list[str],
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with connected(replace(seaweed.options(), **changed)) as client:
        with pytest.raises(S3Error) as told:
            await REQUESTS[request_name](client)
    for each in settings:
        assert each in str(told.value)
    assert "\n" not in str(told.value)
    assert not told.value.absent


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_a_bucket_that_is_not_there_is_named(seaweed: SeaweedFS, request_name: str) -> None:
    async with connected(seaweed.options(), "no-such-bucket") as client:
        with pytest.raises(S3Error, match=r"no bucket no-such-bucket .*LADING_BLOBS") as told:
            await REQUESTS[request_name](client)
    assert not told.value.absent


@pytest.mark.parametrize("request_name", ["list", "send"])
async def test_what_is_not_allowed_is_named(seaweed: SeaweedFS, request_name: str) -> None:
    async with connected(seaweed.options(READER)) as client:
        with pytest.raises(S3Error, match=rf"do not allow \w+ in the bucket {BUCKET}"):
            await REQUESTS[request_name](client)


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_a_wrong_clock_is_named(
    seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch, request_name: str
) -> None:
    import botocore.auth

    def late(*_: object, **__: object) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=20)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", late)
    async with connected(seaweed.options()) as client:
        with pytest.raises(S3Error, match="set the clock"):
            await REQUESTS[request_name](client)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found"])
async def test_an_endpoint_that_answers_html_is_not_s3(
    seaweed: SeaweedFS, status: str, request_name: str
) -> None:
    """And its 404 does not mean that a file is lost."""
    async with (
        page(status) as endpoint,
        connected(replace(seaweed.options(), endpoint=endpoint)) as client,
    ):
        with pytest.raises(S3Error, match="not S3: correct LADING_S3_ENDPOINT") as told:
            await REQUESTS[request_name](client)
    assert not told.value.absent


@asynccontextmanager
async def page(status: str) -> AsyncIterator[str]:
    """A server that answers everything with a web page."""
    text = "<!doctype html><title>Welcome</title>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
    head += f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + text).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_clients_are_not_told_how_the_installation_is_made() -> None:
    error = S3Error(f"{NOWHERE} cannot be reached.")
    assert isinstance(error, Unavailable)
    assert error.retryable
    assert NOWHERE not in str(error.problem())
    assert str(error) == f"{NOWHERE} cannot be reached."


@pytest.mark.parametrize(
    ("endpoint", "path_style", "by_path"),
    [(None, None, False), (NOWHERE, None, True), (NOWHERE, False, False), (None, True, True)],
)
def test_the_bucket_is_in_the_path_where_the_endpoint_is_not_that_of_aws(
    endpoint: str | None, path_style: bool | None, by_path: bool
) -> None:
    assert S3Options(endpoint, None, path_style).by_path == by_path


async def test_a_region_that_is_not_the_buckets_is_named() -> None:
    """SeaweedFS takes each region, so this is the answer that AWS gives."""
    client = S3Client("b", S3Options())
    for code in ("AuthorizationHeaderMalformed", "PermanentRedirect", "301"):
        assert "LADING_S3_REGION" in str(client._answered(code, 301, "head_object"))
