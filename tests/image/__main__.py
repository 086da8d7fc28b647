"""The smoke test of the container image: `scripts/image` calls it with the image's files.

There is no container engine here. What one does is done by hand: the root file system of the image
is mounted read-only, with /tmp and /data to write to; the program of its configuration runs in it,
in namespaces of its own, as its user, without capabilities and without a way to get any.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pymongo import AsyncMongoClient

from lading import Client
from tests.faults.processes import Mongod
from tests.support.children import free_port
from tests.support.photos import jpeg

SIZE = 20_000_000
REPLICA_SET = "image"

ENTER = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$ROOT/tmp"
mount --bind "$DATA" "$ROOT/data"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
for device in null zero random urandom; do
  touch "$ROOT/dev/$device"; mount --bind "/dev/$device" "$ROOT/dev/$device"
done
mkdir -m 1777 "$ROOT/dev/shm"
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$ROOT/dev/shm"
mount -t proc -o nosuid,nodev,noexec proc "$ROOT/proc"
exec chroot --userspec="$IMAGE_USER" --groups= "$ROOT" \\
  /usr/bin/setpriv --no-new-privs --inh-caps=-all env -i "$@"
"""


@dataclass(frozen=True)
class Image:
    """The files of an image, and the configuration that an engine reads."""

    root: Path
    config: dict[str, Any]
    data: Path
    settings: dict[str, str]

    def token(self) -> str:
        """The token that the server has made."""
        return (self.data / "admin-token").read_text().strip()

    @property
    def program(self) -> list[str]:
        return [*self.config["Entrypoint"], *self.config["Cmd"]]

    async def start(self, *program: str) -> asyncio.subprocess.Process:
        """Run a program of the image as an engine would."""
        given = [*self.config["Env"], *(f"{name}={value}" for name, value in self.settings.items())]
        own = {"ROOT": str(self.root), "DATA": str(self.data), "IMAGE_USER": self.config["User"]}
        inside = f"cd {shlex.quote(self.config['WorkingDir'])} && exec {shlex.join(program)}"
        words = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        return await asyncio.create_subprocess_exec(
            *words,
            *("bash", "-c", ENTER, "enter", *given, "sh", "-c", inside),
            env={**os.environ, **own},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *program: str) -> tuple[int, str]:
        """The exit code of a program of the image, and what it printed."""
        child = await self.start(*program)
        printed, _ = await child.communicate()
        assert child.returncode is not None
        return child.returncode, printed.decode()


async def check_program(image: Image) -> None:
    """What is in the image, and what may be done in it."""
    code, version = await image.run("lading", "--version")
    assert code == 0, version
    code, printed = await image.run("sh", "-c", "id -u; touch /x /opt/lading/x; ls /opt/lading/bin")
    first, *rest = printed.splitlines()
    assert first == image.config["User"].partition(":")[0] != "0", printed
    assert sum("Read-only file system" in line for line in rest) == 2, printed
    assert not {"pip", "pip3", "mongod"} & set(rest), printed


async def check_service(image: Image, url: str, child: asyncio.subprocess.Process) -> None:
    """It serves: the health check, the page, a large file, an image, and its end."""
    health = image.config["Healthcheck"]["Test"]
    assert health[0] == "CMD"
    for _ in range(60):
        code, printed = await image.run(*health[1:])
        if code == 0:
            break
        assert child.returncode is None, "the server ended"
    assert code == 0, printed
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
        assert (await http.get("/readyz")).status_code == 200
        page = await http.get("/")
        assert page.status_code == 200, page.text
        assert "text/html" in page.headers["content-type"]
        token = image.token()
        http.headers["Authorization"] = f"Bearer {token}"
        with tempfile.TemporaryDirectory() as folder:
            await check_files(http, url, token, Path(folder))
    os.kill(confined(child.pid), signal.SIGTERM)
    said, _ = await asyncio.wait_for(child.communicate(), 60)
    log = said.decode()
    assert child.returncode == 0, log
    assert "Traceback" not in log, log


def confined(parent: int) -> int:
    """The process of the server, which cannot get any right."""
    (server,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    status = Path(f"/proc/{server}/status").read_text()
    assert "NoNewPrivs:\t1" in status, status
    assert "CapEff:\t0000000000000000" in status, status
    return int(server)


async def check_files(http: httpx.AsyncClient, url: str, token: str, folder: Path) -> None:
    """A file by WebSocket and back, and an image that the confined child makes."""
    data, copy = os.urandom(SIZE), folder / "copy.bin"
    async with Client(url, token) as client:
        file = await client.upload(io.BytesIO(data), name="film.bin")
        await client.download(file.id, copy)
    assert await asyncio.to_thread(copy.read_bytes) == data
    made = await http.post("/v1/files?name=a.jpg", content=jpeg())
    assert made.status_code == 201, made.text
    async with asyncio.timeout(60):
        while True:
            small = await http.get(f"/v1/files/{made.json()['_id']}/3")
            if small.status_code != 202:
                break
    assert (small.status_code, small.headers["content-type"]) == (200, "image/webp")


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """A mongod that is a replica set of one, as in compose.yaml."""
    async with Mongod(folder, replica_set=REPLICA_SET) as mongod:
        members = [{"_id": 0, "host": mongod.host}]
        async with AsyncMongoClient[dict[str, Any]](mongod.host, directConnection=True) as client:
            await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            primary = asyncio.Event()

            async def look() -> None:
                while not (await client.admin.command("hello"))["isWritablePrimary"]:
                    pass
                primary.set()

            await asyncio.wait_for(look(), 60)
        yield f"mongodb://{mongod.host}/lading?replicaSet={REPLICA_SET}"


async def check(root: Path, config: dict[str, Any], data: Path, folder: Path) -> None:
    """Try the image; `data` is its volume."""
    async with database(folder) as url:
        port = free_port()
        settings = {"LADING_DATABASE_URL": url, "LADING_PORT": str(port)}
        image = Image(root, config, data, settings)
        await check_program(image)
        child = await image.start(*image.program)
        try:
            await check_service(image, f"http://127.0.0.1:{port}", child)
        finally:
            if child.returncode is None:
                child.kill()
                print((await child.communicate())[0].decode(), file=sys.stderr)


def main(root: str, description: str) -> None:
    """Try the image of a configuration, whose files are in `root`."""
    config = json.loads(Path(description).read_text())["Docker"]["config"]
    user, _, group = config["User"].partition(":")
    with tempfile.TemporaryDirectory(prefix="lading-image-") as folder:
        data = Path(folder, "data")
        data.mkdir(mode=0o700)
        os.chown(data, int(user), int(group))
        asyncio.run(check(Path(root), config, data, Path(folder, "mongod")))


if __name__ == "__main__":
    main(*sys.argv[1:])
