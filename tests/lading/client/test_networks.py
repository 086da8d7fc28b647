"""What lies between client and server, against the real server."""

import asyncio
import io
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random

import pytest

from lading.client.api import error_of
from lading.client.backoff import Timing
from lading.client.client import Client
from lading.client.errors import NotALadingServer, ProxyUnauthorized, Untrusted
from lading.client.retry import asked_wait
from lading.client.types import File
from lading.client.upload import UploadTask
from lading.protocol.errors import Unavailable
from tests.lading.conftest import AT_ONCE
from tests.support.network import certificate, fronting, network, proxying
from tests.support.servers import Process, until

FAST = 50
"""Times as fast as real time."""


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds / FAST)


HURRIED = Timing(
    lambda: time.monotonic() * FAST, _sleep, lambda: 0.0, open_seconds=Timing().open_seconds / FAST
)


async def _finished(upload: UploadTask) -> File:
    return await upload


async def carried(client: Client, name: str) -> int:
    """How many connections it takes to upload something and to fetch it back."""
    upload = client.upload(io.BytesIO(b"x" * 100_000), name=name, resume=False)
    file = await upload
    out = io.BytesIO()
    await client.download(file.id, out)
    assert out.getvalue() == b"x" * 100_000
    return upload.connections


# -- certificates ----------------------------------------------------------------------------------


async def test_a_certificate_that_nobody_knows_is_refused(server: Process, tmp_path: Path) -> None:
    async with (
        fronting(server.port, certificate=certificate(tmp_path)) as port,
        Client(f"https://127.0.0.1:{port}", server.token, timing=AT_ONCE) as client,
    ):
        with pytest.raises(Untrusted, match="self-signed certificate"):
            await client.upload(io.BytesIO(b"x"), name="a", resume=False)
        with pytest.raises(Untrusted, match="self-signed certificate"):
            await client.usage()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_http_and_websocket_trust_what_the_environment_names(
    server: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = certificate(tmp_path)
    asked = ["openssl", "x509", "-noout", "-hash", "-in", str(path)]
    # Nothing else runs in this loop yet.
    name = subprocess.run(asked, capture_output=True, check=True, text=True).stdout.strip()  # noqa: ASYNC221
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / f"{name}.0").symlink_to(path)
    monkeypatch.setenv(variable, str(path if variable.endswith("FILE") else trusted))
    async with (
        fronting(server.port, certificate=path) as port,
        Client(f"https://127.0.0.1:{port}", server.token, timing=AT_ONCE) as client,
    ):
        assert await carried(client, "trusted") == 1
        assert not client._api.transport.is_http


# -- addresses -------------------------------------------------------------------------------------


async def test_an_ipv6_address(server: Process) -> None:
    async with (
        fronting(server.port, "::1") as port,
        Client(f"http://[::1]:{port}", server.token, timing=AT_ONCE) as client,
    ):
        assert await carried(client, "ipv6") == 1


async def test_a_path_before_the_routes(server: Process) -> None:
    async with network(server.port) as between:
        between.damage = lambda data: data.replace(b" /files/v1/", b" /v1/")
        url = f"{between.url}/files/"
        async with Client(url, server.token, timing=AT_ONCE) as client:
            assert await carried(client, "prefixed") == 1
            grant = await client.grant()
            (found,) = [each async for each in client.list(name="prefixed")]
    for made in (grant.url, found.url):
        assert made.startswith(url)
    assert grant.ws_url.startswith(url.replace("http", "ws", 1))


async def test_a_connection_that_is_lost_before_opened_leaves_one_file(
    server: Process, tmp_path: Path
) -> None:
    path = tmp_path / "five.bin"
    path.write_bytes(Random(1).randbytes(5 * 2**20))
    async with (
        network(server.port) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        lost: list[bytes] = []

        def lose(data: bytes) -> bytes:
            if b"\x93\x42\x00" in data or lost:  # OPENED and after it
                lost.append(data)
                return b""
            return data

        between.damage_back = lose
        task = asyncio.ensure_future(_finished(client.upload(path)))
        # Its size is said twice by OPENED; from the third time on STORED says that all is stored.
        await until(lambda: b"".join(lost).count(b"\xce\x00\x50\x00\x00") >= 3)
        between.damage_back = bytes
        between.cut()
        file = await task
        assert [each.id async for each in client.list(name="five.bin")] == [file.id]
        assert "five.bin" not in [each.name for each in await client.uploads()]


# -- proxies ---------------------------------------------------------------------------------------


async def test_a_proxy_that_swallows_all_after_the_handshake(server: Process) -> None:
    timing = Timing(random=lambda: 0.0, open_seconds=0.2)
    async with network(server.port) as between:
        between.swallow_after = 0
        async with Client(between.url, server.token, timing=timing) as client:
            assert await carried(client, "swallowed") == 1
            assert client._api.transport.is_http


async def test_a_proxy_that_passes_a_body_only_when_it_has_all_of_it(server: Process) -> None:
    async with (
        proxying(server.port) as proxy,
        Client(f"http://127.0.0.1:{proxy.port}", server.token, timing=AT_ONCE) as client,
    ):
        proxy.buffers = True
        assert await carried(client, "buffered") == 1
        assert client._api.transport.is_http
    assert "PUT" in proxy.methods


@pytest.mark.parametrize(
    ("answers", "connections"),
    # Without answers it is chance which attempts hear WELCOME, since pieces do not wait for it.
    [(True, {3}), (False, {1, 2, 3})],
)
async def test_a_proxy_that_swallows_pieces(
    server: Process, answers: bool, connections: set[int]
) -> None:
    async with network(server.port) as between:
        between.swallow_after, between.answers = 3000, answers
        began = HURRIED.clock()
        async with Client(between.url, server.token, timing=HURRIED) as client:
            assert await carried(client, f"swallowed-pieces-{answers}") in connections
            assert client._api.transport.is_http
        assert HURRIED.clock() - began < 300


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_asked_once(
    server: Process, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with proxying(server.port) as proxy:
        proxy.wants_password = True
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url)
        for resume in (True, False):  # HTTP comes first, or the WebSocket
            async with Client(f"{scheme}://lading.test", "t", timing=AT_ONCE) as client:
                upload = client.upload(io.BytesIO(b"x"), name="a", resume=resume)
                with pytest.raises(ProxyUnauthorized, match="user:password@proxy"):
                    await upload
        assert len(proxy.methods) == 2
        if scheme == "http":
            monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:secret@"))
            async with Client("http://lading.test", server.token, timing=AT_ONCE) as client:
                assert await carried(client, "by-password") == 1


PORTAL = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"
"""The login page of a captive portal."""


async def test_a_captive_portal_is_said_not_to_be_the_server(server: Process, file: Path) -> None:
    async with (
        network(server.port) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        between.damage_back = lambda _data: PORTAL
        for resume in (True, False):  # HTTP comes first, or the WebSocket
            with pytest.raises(NotALadingServer, match="does not answer like a Lading server"):
                await client.upload(file, resume=resume)


async def test_a_captive_portal_leaves_what_was_downloaded(server: Process, tmp_path: Path) -> None:
    target = tmp_path / "film"
    async with (
        network(server.port) as between,
        Client(between.url, server.token, timing=AT_ONCE) as client,
    ):
        body = b"x" * 100_000
        file = await client.upload(io.BytesIO(body), name="portal", resume=False)
        part = tmp_path / f"film.{file.id}.part"
        part.write_bytes(body[:60_000])
        between.damage_back = lambda data: PORTAL if b"206 Partial" in data[:20] else data
        with pytest.raises(NotALadingServer):
            await client.download(file.id, target)
        assert part.read_bytes() == body[:60_000]
        between.cut()
        between.damage_back = bytes
        await client.download(file.id, target)
        assert target.read_bytes() == body


def test_a_redirect_is_named_and_not_followed() -> None:
    error = error_of(301, {"location": "https://files.test/"}, b"")
    assert isinstance(error, NotALadingServer)
    assert "redirects to https://files.test/. Is" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "\u0667"}, 0),
        ({"retry-after": "9" * 30}, 60),
        (
            {
                "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT",
                "date": "Sun, 06 Nov 1994 08:49:30 GMT",
            },
            7,
        ),
        ({"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT"}, 0),
        ({"retry-after": "Sun Nov  6 08:49:37 1994"}, 0),
    ],
)
def test_how_long_a_proxy_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    error = error_of(503, headers, b"")
    assert isinstance(error, Unavailable)
    assert asked_wait(error) == seconds


def test_a_date_to_wait_for_without_the_date_of_the_answer() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 <= asked_wait(error_of(503, {"retry-after": until}, b"")) <= 30
