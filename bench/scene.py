"""What the sides share: one disk, one mongod, the source files, and a Lading server when asked for.

It owns their lives and leaves nothing behind. It refuses to know what is measured.
Before each run of a side the databases of all sides are dropped and the disk is at rest, so that
none pays for what another has left.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pymongo import AsyncMongoClient

from bench.process import ChildFailed, child, python
from storage.embedded import EmbeddedMongo

PEER_DATABASE = "peer"
"""Where peers that use MongoDB keep their data; Lading has its own database."""

DATABASES = ("lading", PEER_DATABASE)

START_SECONDS = 60.0
POLL_SECONDS = 0.02
PIECE = 4 * 2**20


class NoRoom(Exception):
    """The disk has too little room for a measure."""


@dataclass(frozen=True, slots=True)
class LadingServer:
    """A Lading server that runs."""

    pid: int
    url: str
    token: str


class Scene:
    """One scratch directory and one mongod, for as long as the block of `Scene.open` lasts."""

    def __init__(self, scratch: Path, mongo: EmbeddedMongo) -> None:
        self.scratch = scratch
        self._mongo = mongo
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo.url)

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Path) -> AsyncIterator[Self]:
        """A scene in a new directory under `place`, which is deleted in the end."""
        scratch = _new_directory(place)
        try:
            async with EmbeddedMongo(scratch / "mongo") as mongo:
                scene = cls(scratch, mongo)
                try:
                    yield scene
                finally:
                    await scene._client.close()
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch)

    @property
    def mongo_url(self) -> str:
        return self._mongo.url

    @property
    def mongo_pid(self) -> int:
        assert self._mongo.pid is not None, self._mongo.failure
        return self._mongo.pid

    async def mongo_version(self) -> str:
        build = await self._client.server_info()
        return str(build["version"])

    async def source(self, size: int) -> Path:
        """A file of `size` random bytes, made once; reading it does not touch the disk."""
        path = self.scratch / f"source-{size}"
        if not path.exists():
            # The source itself, the data, and as much again for journal and checkpoint.
            free = shutil.disk_usage(self.scratch).free
            if free < 4 * size:
                raise NoRoom(f"{4 * size >> 20} MiB of room are needed, {free >> 20} are free.")
            await asyncio.to_thread(_fill, path, size)
        return path

    async def clear(self) -> None:
        """Drop what all sides have stored, and wait until the disk is at rest."""
        for name in DATABASES:
            await self._client.drop_database(name)
        await self._client.admin.command("fsync")
        await asyncio.to_thread(os.sync)

    @asynccontextmanager
    async def lading(self) -> AsyncIterator[LadingServer]:
        """A fresh Lading server on the scene's mongod, as a process of its own."""
        data = Path(tempfile.mkdtemp(prefix="server-", dir=self.scratch))
        environment = {
            "LADING_HOST": "127.0.0.1",
            "LADING_PORT": "0",
            "LADING_DATA": str(data),
            "LADING_DATABASE_URL": self.mongo_url,
        }
        log = data / "log"
        command = python("-m", "lading", "serve")
        async with child(command, environment=environment, log=log) as process:
            note = await _ready(process, data / "server.json", log)
            yield LadingServer(process.pid, note["url"], note["token"])


async def _ready(process: asyncio.subprocess.Process, note: Path, log: Path) -> dict[str, Any]:
    """Wait for `server.json`, which the server writes when it listens, all at once."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    while process.returncode is None and loop.time() < deadline:
        found = _read(note)
        if found:
            told: dict[str, Any] = json.loads(found)
            return told
        await asyncio.sleep(POLL_SECONDS)
    raise ChildFailed(f"The server did not start:\n{_read(log)[-2000:]}")


def _new_directory(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="bench-", dir=place))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(os.urandom(min(PIECE, size - start)))
        file.flush()
        os.fsync(file.fileno())
