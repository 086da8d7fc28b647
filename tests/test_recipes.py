"""The proxies of deploy/, with the examples of the README.

Only addresses, directories, certificates and the place of the log are replaced; then the real nginx
or Caddy runs the configuration in front of a server. Files are in MongoDB or in a directory.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.protocol.receiver import ReceiverLimits
from lading.server.limits import Limits
from tests.support import proxies
from tests.support.children import free_port
from tests.support.homes import make_public, stored
from tests.support.photos import jpeg
from tests.support.servers import Inside, Running, inside
from tests.support.wire import PING, STORED, WINDOW, channel

DEPLOY = Path(__file__).parent.parent / "deploy"
UPSTREAM = "127.0.0.1:8080"
"""The address that the recipes use; another one while they are tested."""

LARGE = 60 * 10**6
HEARTBEAT = 1
IDLE = 3
"""Seconds after which nginx, in the test, ends a silent connection; 5 minutes in the recipe."""


DIRECTORY = "/srv/lading"
"""The same for the directory of files."""


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for before, after in pairs:
        assert before in text, f"the recipe has no {before!r} any more"
        text = text.replace(before, after)
    return text


def recipe(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def nginx(folder: Path, port: int, upstream: str, directory: Path, site: str = "") -> list[str]:
    """The command that runs nginx with the recipe, or with that and more."""
    site = replaced(
        site or recipe("nginx/lading.conf"),
        (UPSTREAM, upstream),
        (DIRECTORY, str(directory)),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port};"),
        ("/var/log/nginx/access.log", str(folder / "access.log")),
        ("5m;", f"{IDLE}s;"),
    )
    site = re.sub(r"ssl_certificate(_key)? .*;", "", site)
    return proxies.nginx(folder, site)


def caddy(folder: Path, port: int, upstream: str, directory: Path) -> list[str]:
    """The command that runs Caddy with the recipe."""
    site = replaced(
        recipe("caddy/Caddyfile"),
        (UPSTREAM, upstream),
        (DIRECTORY, str(directory)),
        ("\nfiles.example.org {", f"\nhttp://127.0.0.1:{port} {{"),
    )
    return proxies.caddy(folder, site)


@dataclass(frozen=True)
class Proxied(Running):
    """A server behind a proxy; `url` is the proxy's. `directory` is where its files are, if any."""

    folder: Path
    server: Inside
    directory: Path

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


Make = Callable[[Path, int, str, Path], list[str]]


@asynccontextmanager
async def proxied(
    make: Make, tmp_path: Path, database_url: str, **settings: Any
) -> AsyncIterator[Proxied]:
    limits = Limits(receiver=replace(ReceiverLimits(), heartbeat=HEARTBEAT))
    folder, directory = tmp_path / "proxy", tmp_path / "home"
    folder.mkdir()
    async with inside(
        tmp_path / "data", database_url, limits=limits, small_file_limit=100_000_000, **settings
    ) as server:
        port = free_port()
        command = make(folder, port, f"127.0.0.1:{server.port}", directory)
        with proxies.running(command, folder, port):
            url = f"http://127.0.0.1:{port}"
            yield Proxied(url, server.token, server.data, folder, server, directory)


def of_directory(tmp_path: Path) -> dict[str, Any]:
    """The settings of a server whose files are in a directory, behind a proxy."""
    return {"blobs": f"file://{tmp_path}/home", "sendfile": "/internal/"}


@pytest.fixture(params=["nginx", "nginx-directory", "caddy", "caddy-directory"])
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> AsyncIterator[Proxied]:
    make: Make = nginx if request.param.startswith("nginx") else caddy
    own = of_directory(tmp_path) if request.param.endswith("directory") else {}
    async with proxied(make, tmp_path, database_url, **own) as found:
        yield found


@pytest.fixture(params=[nginx, caddy], ids=lambda proxy: proxy.__name__)
async def directory_site(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> AsyncIterator[Proxied]:
    """Files in a directory, behind a proxy."""
    async with proxied(request.param, tmp_path, database_url, **of_directory(tmp_path)) as found:
        yield found


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


async def test_a_resumable_upload_in_one_request_passes(site: Proxied) -> None:
    # The answer 104, which comes before the body has been sent, must not end the request.
    headers = {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?1"}
    async with site.http() as http:
        answer = await http.post("/v1/files?name=a", content=bytes(8 * 2**20), headers=headers)
        assert (await json_of(answer))["size"] == 8 * 2**20
        assert answer.headers["upload-complete"] == "?1"


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


# -- files in a directory


PHOTO = os.urandom(3 * 2**20)


async def test_the_proxy_sends_the_bytes_with_ladings_headers(directory_site: Proxied) -> None:
    site = directory_site
    file_id = await stored(site.server, PHOTO, name="photo.jpg", content_type="image/jpeg")
    where = f"/v1/files/{file_id}"
    async with site.http() as http, site.server.http() as direct:
        own = await direct.get(where, headers={"Prefer": "delivery=self"})
        handed = await http.get(where)
        assert (handed.status_code, handed.content) == (200, PHOTO)
        for name in (
            "etag",
            "last-modified",
            "content-type",
            "content-disposition",
            "content-length",
            "cache-control",
            "content-security-policy",
            "x-content-type-options",
            "cross-origin-resource-policy",
            "accept-ranges",
        ):
            assert handed.headers.get_list(name) == own.headers.get_list(name), name
        assert "x-accel-redirect" not in handed.headers
        # Nobody but the proxy sends these bytes: the server's answer has none.
        (site.directory / "private" / file_id[-2:] / file_id / "0").write_bytes(PHOTO[::-1])
        assert (await http.get(where)).content == PHOTO[::-1]


async def test_ranges_and_conditions_of_what_the_proxy_sends(directory_site: Proxied) -> None:
    site = directory_site
    file_id = await stored(site.server, PHOTO)
    where = f"/v1/files/{file_id}"
    async with site.http() as http:
        head = await http.head(where)
        assert head.headers["content-length"] == str(len(PHOTO))
        tag = head.headers["etag"]
        for headers, status, content in (
            ({"Range": "bytes=5-9"}, 206, PHOTO[5:10]),
            ({"Range": "bytes=-7"}, 206, PHOTO[-7:]),
            ({"Range": "bytes=5-9", "If-Range": tag}, 206, PHOTO[5:10]),
            ({"Range": "bytes=5-9", "If-Range": '"other"'}, 200, PHOTO),
            ({"If-None-Match": tag}, 304, b""),
            ({"If-None-Match": '"other"'}, 200, PHOTO),
            ({"If-Match": tag}, 200, PHOTO),
            ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304, b""),
        ):
            answer = await http.get(where, headers=headers)
            assert (answer.status_code, answer.content) == (status, content), headers
            assert answer.headers["etag"] == tag, headers
        beyond = await http.get(where, headers={"Range": "bytes=99999999-"})
        assert (beyond.status_code, beyond.json()["code"]) == (416, "range-not-satisfiable")


async def test_a_private_file_is_fetched_by_grant_only(directory_site: Proxied) -> None:
    site = directory_site
    file_id = await stored(site.server, PHOTO)
    async with site.http() as http:
        asked = {"action": "download", "file_id": file_id, "expires_in": 600}
        granted = await json_of(await http.post("/v1/grants", json=asked))
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as anyone:
        answer = await anyone.get(granted["url"], headers={"Range": "bytes=10-99"})
        assert (answer.status_code, answer.content) == (206, PHOTO[10:100])
        for closed in (
            f"/v1/files/{file_id}",
            f"/public/{file_id}/0",
            f"/internal/private/{file_id[-2:]}/{file_id}/0",
            f"/public/../private/{file_id[-2:]}/{file_id}/0",
            f"/public/%2e%2e/private/{file_id[-2:]}/{file_id}/0",
            f"/public/{file_id[-2:]}/{file_id}/0",
        ):
            refused = await anyone.get(closed)
            assert refused.status_code in (400, 401, 404), closed


async def test_public_files_need_no_lading(directory_site: Proxied) -> None:
    site = directory_site
    file_id = await stored(site.server, PHOTO)
    private = await stored(site.server, PHOTO)
    await make_public(site.server, file_id)
    await site.server.stop()
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as anyone:
        for end in ("", "/0"):
            answer = await anyone.get(f"/public/{file_id}{end}")
            assert (answer.status_code, answer.content) == (200, PHOTO)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "public, max-age=3600, immutable"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        part = await anyone.get(f"/public/{file_id}/0", headers={"Range": "bytes=1-2"})
        assert (part.status_code, part.content) == (206, PHOTO[1:3])
        assert (await anyone.get(f"/public/{private}/0")).status_code == 502


async def test_images_of_public_files_need_no_lading(directory_site: Proxied) -> None:
    site = directory_site
    file_id = await stored(site.server, jpeg(), content_type="image/jpeg")
    private = await stored(site.server, jpeg(), content_type="image/jpeg")
    await make_public(site.server, file_id)
    made = {}
    async with site.http() as http, asyncio.timeout(60):
        for path in (f"{file_id}/3", f"{file_id}/3?crop=square", f"{private}/3"):
            while (answer := await http.get(f"/v1/files/{path}")).status_code == 202:
                pass
            assert answer.headers["content-type"] == "image/webp"
            assert answer.content[8:12] == b"WEBP", "the proxy sends it"
            made[path] = answer.content
    await site.server.stop()
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as anyone:
        answer = await anyone.get(f"/public/{file_id}/3")
        assert (answer.status_code, answer.content) == (200, made[f"{file_id}/3"])
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert (await anyone.get(f"/public/{private}/3")).status_code == 502
        square = await anyone.get(f"/public/{file_id}/3?crop=square")
        assert square.status_code == 502 or square.content == made[f"{file_id}/3?crop=square"]


async def test_a_public_file_that_is_not_in_the_directory_is_the_servers(
    directory_site: Proxied,
) -> None:
    site = directory_site
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as anyone:
        answer = await anyone.get(f"/public/{'0' * 24}/0")
        assert (await json_of(answer, 404))["code"] == "not-found"


async def test_what_moved_since_it_was_named_the_server_sends(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxied(nginx, tmp_path, database_url, **of_directory(tmp_path)) as site:
        file_id = await stored(site.server, PHOTO)
        home = site.server.services.homes.bare(site.server.services.settings.blobs)

        async def elsewhere(_manifest: object, name: str) -> str:
            return f"public/{file_id[-2:]}/{file_id}/{name}"

        monkeypatch.setattr(home, "path", elsewhere)
        async with site.http() as http:
            answer = await http.get(f"/v1/files/{file_id}", headers={"Range": "bytes=0-99"})
        assert (answer.status_code, answer.content) == (206, PHOTO[:100])


async def test_links_in_the_directory_are_not_followed(tmp_path: Path, database_url: str) -> None:
    async with proxied(nginx, tmp_path, database_url, **of_directory(tmp_path)) as site:
        file_id = await stored(site.server, PHOTO)
        await make_public(site.server, file_id)
        path = site.directory / "public" / file_id[-2:] / file_id / "0"
        path.unlink()
        path.symlink_to("/etc/passwd")
        async with httpx.AsyncClient(base_url=site.url, trust_env=False) as anyone:
            answer = await anyone.get(f"/public/{file_id}/0")
        assert answer.status_code in (403, 404)
        assert b"root" not in answer.content


# -- grants, checked by nginx


def cached(folder: Path, port: int, upstream: str, directory: Path) -> list[str]:
    """The command that runs nginx with its cache of what is downloaded by grants."""
    http = replaced(recipe("nginx/grants-cache.conf"), ("/var/cache/nginx", str(folder)))
    site = replaced(
        recipe("nginx/lading.conf"),
        ("    location / {", recipe("nginx/grants-cache.locations") + "    location / {"),
    )
    return nginx(folder, port, upstream, directory, http + site)


async def test_nginx_keeps_a_file_and_asks_about_each_grant(
    tmp_path: Path, database_url: str
) -> None:
    async with proxied(cached, tmp_path, database_url) as site:
        file_id = await stored(site.server, PHOTO)
        asked = {"action": "download", "file_id": file_id, "expires_in": 600}
        async with site.http() as http:
            grants = [await json_of(await http.post("/v1/grants", json=asked)) for _ in "ab"]
            first = await http.get(grants[0]["url"], headers={"Range": "bytes=9-99"})
            assert (first.status_code, first.content) == (206, PHOTO[9:100])
            assert (await http.get(grants[0]["url"])).content == PHOTO
            # The bytes are gone, but nginx has them, for whoever has a grant.
            await site.server.services.database.chunks.delete_many({})
            assert (await http.get(grants[1]["url"])).content == PHOTO
            assert (await http.delete(f"/v1/grants/{grants[1]['id']}")).status_code == 204
            assert (await http.get(grants[1]["url"])).status_code == 401
            upload = await json_of(
                await http.post("/v1/grants", json={"action": "upload", "max_size": 9})
            )
            assert (await http.put(upload["url"], content=b"small")).status_code == 201
