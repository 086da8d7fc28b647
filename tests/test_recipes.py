"""The proxies of docs/operations.md, as the page writes them, with the examples of the README.

Each configuration is taken from its fenced block. Only addresses, certificates and the place of the
log are replaced; then the real nginx or Caddy runs it in front of a server.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.protocol.receiver import ReceiverLimits
from lading.server.limits import Limits
from tests.support.servers import Running, inside
from tests.support.wire import PING, STORED, WINDOW, channel

PAGE = Path(__file__).parent.parent / "docs" / "operations.md"
UPSTREAM = "127.0.0.1:8080"
"""The address that the recipes use; another one while they are tested."""

LARGE = 60 * 10**6
HEARTBEAT = 1
IDLE = 3
"""Seconds after which nginx, in the test, ends a silent connection; 5 minutes in the recipe."""


def recipe(language: str) -> str:
    """The one fenced block in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    return str(found)


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for before, after in pairs:
        assert before in text, f"the recipe has no {before!r} any more"
        text = text.replace(before, after)
    return text


def nginx(folder: Path, port: int, upstream: str) -> list[str]:
    """The command that runs nginx with the recipe."""
    site = replaced(
        recipe("nginx"),
        (UPSTREAM, upstream),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("/var/log/nginx/access.log", str(folder / "access.log")),
        ("5m;", f"{IDLE}s;"),
    )
    site = re.sub(r"ssl_certificate(_key)? .*;", "", site)
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{each}_temp_path {folder / each};" for each in places)
    user = "user root;" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder / 'pid'}; error_log stderr;"
        f"events {{}} http {{ {temporary}\n{site}\n}}"
    )
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(config)]


def caddy(folder: Path, port: int, upstream: str) -> list[str]:
    """The command that runs Caddy with the recipe."""
    site = replaced(
        recipe("caddyfile"), (UPSTREAM, upstream), ("files.example.org", f"http://127.0.0.1:{port}")
    )
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]


@dataclass(frozen=True)
class Proxied(Running):
    """A server behind a proxy; `url` is the proxy's."""

    folder: Path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "lading", *words]

    async def send(self, name: str, where: str) -> None:
        """Send a file as the README does."""
        await self.run("curl", "-sSf", "-X", "PUT", "-T", name, self.url + where)

    async def run(self, *words: str) -> str:
        """Run a program with the address and the token in its environment; returns its output."""
        own = {"LADING_URL": self.url, "LADING_TOKEN": self.token or ""}
        child = await asyncio.create_subprocess_exec(
            *words,
            env=os.environ | own,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaint = await asyncio.wait_for(child.communicate(), 60)
        assert child.returncode == 0, complaint.decode() + out.decode()
        return out.decode()


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Any:
    path = f"{os.environ['PATH']}:/usr/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        message = f"{command[0]} is missing (Debian: apt-get install {command[0]})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    log = folder / "proxy.log"
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as output:
        child = subprocess.Popen(
            [program, *command[1:]], env=os.environ | own, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + 20
        while True:
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield
    finally:
        child.terminate()
        child.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(params=[nginx, caddy], ids=lambda proxy: proxy.__name__)
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> AsyncIterator[Proxied]:
    make: Callable[[Path, int, str], list[str]] = request.param
    limits = Limits(receiver=replace(ReceiverLimits(), heartbeat=HEARTBEAT))
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with inside(
        tmp_path / "data", database_url, limits=limits, small_file_limit=100_000_000
    ) as server:
        port = free_port()
        with running(make(folder, port, f"127.0.0.1:{server.port}"), folder, port):
            yield Proxied(f"http://127.0.0.1:{port}", server.token, server.data, folder)


@pytest.fixture
def film(site: Proxied) -> bytes:
    """What is in `film.mp4`, in the folder where programs run."""
    data = os.urandom(10**6) * (LARGE // 10**6)
    site.folder.joinpath("film.mp4").write_bytes(data)
    return data


async def json_of(answer: httpx.Response, status: int = 201) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_command_uploads_and_downloads(site: Proxied, film: bytes) -> None:
    told = json.loads((await site.run(*site.command("put", "film.mp4", "--json"))).splitlines()[-1])
    await site.run(*site.command("get", told["id"], "-o", "again.mp4"))
    assert await asyncio.to_thread((site.folder / "again.mp4").read_bytes) == film


async def test_a_presigned_put_and_a_grant_take_large_files(site: Proxied, film: bytes) -> None:
    digest = hashlib.sha256(film).hexdigest()
    async with site.http() as http:
        asked = {"name": "film.mp4", "size": LARGE, "sha256": digest}
        made = await json_of(await http.post("/v1/media", json=asked))
        await site.run(
            "curl", "-sSf", "-X", "PUT", "-T", "film.mp4", site.url + made["upload"]["url"]
        )
        where = f"/v1/media/{made['media']['_id']}/finalize"
        assert (await json_of(await http.post(where), 200))["sha256"] == digest
        grant = {"action": "upload", "name": "film.mp4", "max_size": LARGE}
        granted = await json_of(await http.post("/v1/grants", json=grant))
        await site.send("film.mp4", granted["url"])


async def test_what_is_too_large_is_refused_in_ladings_words(site: Proxied) -> None:
    async with site.http() as http:
        granted = await json_of(
            await http.post("/v1/grants", json={"action": "upload", "max_size": 9})
        )
        answer = await http.put(granted["url"], content=bytes(10))
        assert (await json_of(answer, 413))["code"] == "too-large"


async def test_ranges_pass(site: Proxied) -> None:
    async with site.http() as http:
        data = os.urandom(3 * 2**20)
        file = await json_of(await http.post("/v1/files?name=a", content=data))
        where = f"/v1/files/{file['_id']}"
        part = await http.get(where, headers={"Range": "bytes=1000000-2000000"})
        assert (part.status_code, part.content) == (206, data[1_000_000:2_000_001])
        head = await http.head(where)
        assert head.headers["accept-ranges"] == "bytes"
        same = await http.get(where, headers={"If-None-Match": head.headers["etag"]})
        assert same.status_code == 304


async def test_an_idle_channel_stays_open(site: Proxied) -> None:
    async with channel(site) as wire:
        upload = await wire.create(1, 5)
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * IDLE
        while loop.time() < end:
            if (await wire.receive())[0] == WINDOW:  # the server's heartbeat
                await wire.send(PING, 1)
        await wire.chunk(1, 0, b"12345")
        while (await wire.receive())[0] != STORED:
            pass
        assert (await wire.finish(1))["id"] == upload["id"]


async def test_the_log_has_no_tokens(site: Proxied) -> None:
    async with site.http() as http:
        await http.get(f"/?token={site.token}")
        await http.get("/livez")
    logs = [path.read_text() for path in site.folder.glob("*.log")]
    assert logs
    assert not any(site.token in text for text in logs if site.token)


async def test_a_client_that_goes_away_is_noticed_and_can_resume(site: Proxied) -> None:
    async with channel(site) as wire:
        upload = await wire.create(1, 2**20 + 5)
        await wire.chunk(1, 0, bytes(2**20))
        await wire.stored(1)
    async with channel(site) as wire:
        opened = await wire.resume(1, upload["id"])
        assert opened["missing"] == [[2**20, 2**20 + 5]]


async def test_names_of_a_thousand_characters_pass(site: Proxied) -> None:
    name = "影" * 996 + ".mp4"
    async with site.http() as http:
        upload = await json_of(await http.post("/v1/uploads", json={"name": name, "size": 0}))
        assert upload["name"] == name
        listed = await json_of(await http.get("/v1/uploads"), 200)
        assert listed["uploads"][0]["name"] == name
