"""The doctor before real proxies: each broken one gives its finding and no other, a good one none.

The broken ones are the configurations of deploy/ with one line forgotten or added.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lading.client.address import parse
from lading.client.errors import NotALadingServer
from lading.doctor import ADVICE, DoctorLimits, Finding, examine
from lading.protocol.errors import Unauthorized
from tests.support import proxies
from tests.support.children import free_port
from tests.support.network import certificate
from tests.support.servers import Inside, inside

DEPLOY = Path(__file__).parents[3] / "deploy"
PAGES = "https://www.example.org"
LIMITS = DoctorLimits(upload=8 * 2**20, idle_seconds=2.0)
PATIENT = replace(LIMITS, idle_seconds=0.0)

Change = Callable[[str], str]


def instead(before: str, after: str) -> Change:
    """The recipe with another line."""

    def change(text: str) -> str:
        assert before in text, f"the recipe has no {before!r} any more"
        return text.replace(before, after)

    return change


def nginx(folder: Path, port: int, upstream: str, *changes: Change) -> list[str]:
    """The command that runs nginx with the changed recipe, without TLS."""
    text = (DEPLOY / "nginx/lading.conf").read_text("utf-8")
    for change in (
        *changes,
        instead("127.0.0.1:8080", upstream),
        instead("/srv/lading", str(folder)),
        instead("/var/log/nginx/access.log", str(folder / "access.log")),
    ):
        text = change(text)
    if "/etc/ssl/" in text:
        text = instead("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")(text)
        text = re.sub(r"ssl_certificate(_key)? .*;", "", text)
    return proxies.nginx(folder, text)


def caddy(folder: Path, port: int, upstream: str, *changes: Change) -> list[str]:
    """The command that runs Caddy with the changed recipe, without TLS."""
    text = (DEPLOY / "caddy/Caddyfile").read_text("utf-8")
    for change in (
        *changes,
        instead("127.0.0.1:8080", upstream),
        instead("/srv/lading", str(folder)),
    ):
        text = change(text)
    return proxies.caddy(folder, text.replace("\nfiles.example.org {", f"\nhttp://:{port} {{"))


def tls_of_nginx(pem: Path, port: int, listen: str = "ssl http2") -> list[Change]:
    """The recipe with a certificate."""
    return [
        instead("listen 443 ssl http2;", f"listen 127.0.0.1:{port} {listen};"),
        instead("/etc/ssl/files.example.org.pem", str(pem)),
        instead("/etc/ssl/files.example.org.key", str(pem)),
    ]


def tls_of_caddy(pem: Path, port: int) -> list[Change]:
    """The recipe with a certificate."""
    return [instead("\nfiles.example.org {", f"\nhttps://127.0.0.1:{port} {{\n\ttls {pem} {pem}")]


@dataclass(frozen=True)
class Deployment:
    """A server that is reached through proxies."""

    server: Inside
    folder: Path
    findings: list[Finding]

    async def examine(
        self, url: str, limits: DoctorLimits = PATIENT, origins: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """What was found and is not well: the state by name."""
        self.findings.clear()
        address = parse(url, self.server.token)
        await examine(address, self.findings.append, origins=origins, limits=limits)
        return {each.name: each.state for each in self.findings if each.advice}

    async def through(self, make: Any, *changes: Change, **options: Any) -> dict[str, str]:
        """The findings through a proxy."""
        port = free_port()
        command = make(self.folder, port, f"127.0.0.1:{self.server.port}", *changes)
        with proxies.running(command, self.folder, port):
            return await self.examine(f"http://127.0.0.1:{port}", **options)

    async def left(self) -> list[str]:
        """The ids of files and uploads that are there."""
        async with self.server.http() as http:
            files = (await http.get("/v1/files")).json()["files"]
            uploads = (await http.get("/v1/uploads")).json()["uploads"]
        return [each["_id"] for each in (*files, *uploads)]


@asynccontextmanager
async def deployed(tmp_path: Path, database_url: str, **settings: Any) -> AsyncIterator[Deployment]:
    folder = tmp_path / "proxy"
    folder.mkdir()
    settings.setdefault("allowed_origins", PAGES)
    async with inside(tmp_path / "data", database_url, **settings) as server:
        yield Deployment(server, folder, [])


@pytest.fixture
async def deployment(tmp_path: Path, database_url: str) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path, database_url) as found:
        yield found


@pytest.mark.parametrize("make", [nginx, caddy], ids=lambda make: make.__name__)
async def test_the_recipes_are_well(deployment: Deployment, make: Any) -> None:
    assert await deployment.through(make, limits=LIMITS, origins=(PAGES,)) == {}
    states = {each.name: each.state for each in deployment.findings}
    tried = ("upgrade", "address", "clock", "body limit", "streaming", "range", "cors", "idle")
    assert states == {"tls": "skipped", "http2": "skipped", **dict.fromkeys(tried, "ok")}
    assert await deployment.left() == []


@pytest.mark.parametrize(
    ("make", "tls"), [(nginx, tls_of_nginx), (caddy, tls_of_caddy)], ids=["nginx", "caddy"]
)
async def test_the_recipes_are_well_with_tls(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, make: Any, tls: Any
) -> None:
    port, pem = free_port(), certificate(tmp_path, days=90)
    url = f"https://127.0.0.1:{port}"
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    async with deployed(tmp_path, database_url, public_url=url) as deployment:
        upstream = f"127.0.0.1:{deployment.server.port}"
        command = make(deployment.folder, port, upstream, *tls(pem, port))
        with proxies.running(command, deployment.folder, port):
            assert await deployment.examine(url, origins=(PAGES,)) == {}
    states = {each.name: each.state for each in deployment.findings}
    assert set(states.values()) == {"ok"}
    assert {"tls", "http2", "cors"} <= set(states)


NGINX = {
    "streaming": [instead("proxy_request_buffering off;", "proxy_request_buffering on;")],
    "body limit": [instead("client_max_body_size    0;", "client_max_body_size 1m;")],
    "upgrade": [
        instead("proxy_set_header Upgrade    $http_upgrade;", ""),
        instead("proxy_set_header Connection $connection_upgrade;", ""),
    ],
    "idle": [
        # The default of 60 s is longer than the server's heartbeat; this is shorter.
        instead(
            "    location / {",
            "    location /v1/ws { proxy_pass http://lading; proxy_read_timeout 1s; }\n"
            "    location / {",
        )
    ],
    "range": [
        instead("proxy_http_version 1.1;", 'proxy_http_version 1.1; proxy_set_header Range "";')
    ],
    "address": [instead("proxy_set_header Host       $http_host;", "")],
    "cors": [
        instead(
            "proxy_buffering         off;",
            f"proxy_buffering off; add_header Access-Control-Allow-Origin {PAGES} always;",
        )
    ],
    "methods": [
        instead(
            "    location / {",
            "    if ($request_method = DELETE) { return 405; }\n    location / {",
        )
    ],
}


@pytest.mark.parametrize("wrong", NGINX)
async def test_a_broken_nginx_gives_its_finding_and_no_other(
    deployment: Deployment, wrong: str
) -> None:
    limits = LIMITS if wrong == "idle" else PATIENT
    if wrong == "streaming":
        limits = replace(limits, hold_seconds=1.0)
    found = await deployment.through(nginx, *NGINX[wrong], limits=limits, origins=(PAGES,))
    assert found == {wrong: "failed"}
    for each in deployment.findings:
        assert each.advice == (ADVICE[wrong] if each.name == wrong else {})
    assert bool(await deployment.left()) is (wrong == "methods")


async def test_a_caddy_that_limits_bodies_while_they_come_gives_its_finding(
    deployment: Deployment,
) -> None:
    limited = instead(
        "\thandle {\n\t\timport lading",
        "\trequest_body {\n\t\tmax_size 1MB\n\t}\n\thandle {\n\t\timport lading",
    )
    assert await deployment.through(caddy, limited) == {"body limit": "failed"}


async def test_a_limit_above_what_is_sent_is_a_warning(deployment: Deployment) -> None:
    limited = instead("client_max_body_size    0;", "client_max_body_size 100m;")
    assert await deployment.through(nginx, limited) == {"body limit": "warning"}
    (found,) = [each for each in deployment.findings if each.name == "body limit"]
    assert "1 GiB" in found.detail


async def test_a_proxy_that_knows_get_and_post_only_is_a_finding(deployment: Deployment) -> None:
    refused = instead(
        "    location / {", "    if ($request_method = PATCH) { return 405; }\n    location / {"
    )
    assert await deployment.through(nginx, refused) == {"methods": "failed"}
    assert await deployment.left() == []


async def test_pages_that_the_server_does_not_know_are_a_finding(deployment: Deployment) -> None:
    origins = (PAGES, "https://other.example")
    assert await deployment.through(nginx, origins=origins) == {"cors": "failed"}
    states = [each.state for each in deployment.findings if each.name == "cors"]
    assert states == ["ok", "failed"]


async def test_a_clock_that_is_wrong_is_a_finding(tmp_path: Path, database_url: str) -> None:
    async with deployed(tmp_path, database_url, clock=lambda: time.time() - 60) as deployment:
        url = deployment.server.url
        assert await deployment.examine(url) == {"clock": "warning"}
        (found,) = [each for each in deployment.findings if each.name == "clock"]
        assert "-60" in found.detail or "-59" in found.detail


# -- TLS


@contextmanager
def behind_tls(deployment: Deployment, pem: Path, listen: str = "ssl http2") -> Iterator[str]:
    """The address of a proxy with a certificate."""
    port, upstream = free_port(), f"127.0.0.1:{deployment.server.port}"
    command = nginx(deployment.folder, port, upstream, *tls_of_nginx(pem, port, listen))
    with proxies.running(command, deployment.folder, port):
        yield f"https://127.0.0.1:{port}"


async def test_a_certificate_that_nobody_knows_ends_the_examination(
    deployment: Deployment,
) -> None:
    with behind_tls(deployment, certificate(deployment.folder)) as url:
        assert await deployment.examine(url) == {"tls": "failed"}
    assert len(deployment.findings) == 1, "no token is sent to whoever that is"


async def test_a_server_that_does_not_know_that_it_is_behind_tls_is_a_finding(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(deployment.folder, days=90)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with behind_tls(deployment, pem) as url:
        assert await deployment.examine(url) == {"address": "failed"}


async def test_a_certificate_that_ends_soon_and_old_http_are_warnings(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(deployment.folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with behind_tls(deployment, pem, "ssl") as url:
        found = await deployment.examine(url)
    assert (found["tls"], found["http2"]) == ("warning", "warning")


# -- what is no deployment of Lading's


async def test_another_server_is_none(deployment: Deployment) -> None:
    port = free_port()
    site = f"server {{ listen 127.0.0.1:{port}; return 200 '{{}}'; }}"
    with (
        proxies.running(proxies.nginx(deployment.folder, site), deployment.folder, port),
        pytest.raises(NotALadingServer),
    ):
        await deployment.examine(f"http://127.0.0.1:{port}")


async def test_a_wrong_token_is_refused(deployment: Deployment) -> None:
    with pytest.raises(Unauthorized):
        await examine(parse(deployment.server.url, "wrong"), deployment.findings.append)
