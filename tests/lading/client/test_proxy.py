import io
from collections.abc import AsyncIterator

import pytest

from lading.client.client import Client
from lading.client.errors import Unreachable
from lading.client.proxy import proxy_for
from lading.protocol.errors import InvalidArgument
from tests.lading.conftest import AT_ONCE
from tests.support.network import Proxy, proxying
from tests.support.servers import Process

Environment = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: Environment) -> None:
    for name in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{name}_PROXY", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".lower(), raising=False)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "https://files.test", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://files.test", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://files.test", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://files.test:8080", "http://p:1"),
        ({"http_proxy": "p:1"}, "http://files.test", "http://p:1"),
        ({"ALL_PROXY": "http://u:s@p:1/"}, "https://files.test", "http://u:s@p:1"),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://p:1"}, "https://x.test", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "files.test"}, "https://files.test", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": ".test"}, "https://files.test:444", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://files.test", None),
        ({"ALL_PROXY": "http://p:1"}, "http://localhost:8080", None),
        ({"ALL_PROXY": "http://p:1"}, "http://127.0.0.1:8080", None),
        ({"ALL_PROXY": "http://p:1"}, "http://[::1]:8080", None),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: Environment, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize("value", ["socks5://u:secret@p:1", "http://", "ftp://p"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    monkeypatch: Environment, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(InvalidArgument, match="proxies are supported") as raised:
        Client("https://files.test")
    assert "secret" not in str(raised.value)


@pytest.fixture
async def proxy(server: Process, monkeypatch: Environment) -> AsyncIterator[Proxy]:
    async with proxying(server.port) as between:
        monkeypatch.setenv("HTTP_PROXY", between.url)
        yield between


async def test_http_and_websocket_take_the_proxy(server: Process, proxy: Proxy) -> None:
    async with Client("http://localhost.test", server.token, timing=AT_ONCE) as client:
        file = await client.upload(io.BytesIO(b"by proxy"), name="proxied")
        out = io.BytesIO()
        await client.download(file.id, out)
    assert out.getvalue() == b"by proxy"
    assert "CONNECT" in proxy.methods  # the WebSocket
    assert "GET" in proxy.methods


async def test_a_proxy_that_tunnels_nothing_carries_http(server: Process, proxy: Proxy) -> None:
    proxy.forbids_connect = True
    async with Client("http://localhost.test", server.token, timing=AT_ONCE) as client:
        upload = client.upload(io.BytesIO(b"inspected"), name="inspected")
        await upload
    assert proxy.methods.count("CONNECT") == 1
    assert "PUT" in proxy.methods
    assert upload.connections == 1


async def test_a_proxy_that_is_named_wrongly(server: Process, monkeypatch: Environment) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with Client("http://localhost.test", server.token, connect_patience=0) as client:
        with pytest.raises(Unreachable):
            await client.upload(io.BytesIO(b"x"), name="a")
