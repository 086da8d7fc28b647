"""What the sides share: one disk, one mongod, the source files, and Lading servers on demand.

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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bson import ObjectId
from pymongo import AsyncMongoClient

from bench.process import ChildFailed, child, python
from lading.storage.embedded.process import EmbeddedMongo

PEER_DATABASE = "peer"
"""Where peers that use MongoDB keep their data; Lading has its own database."""

LADING_DATABASE = "lading"
SECOND_DATABASE = "lading_second"
"""For a second Lading server that shares only the mongod with the first."""

DATABASES = (LADING_DATABASE, SECOND_DATABASE, PEER_DATABASE)

Settings = Mapping[str, object]

LARGEST_SOURCE = 2**30
"""Larger files repeat this one; no side deduplicates."""

START_SECONDS = 60.0
POLL_SECONDS = 0.02
PIECE = 4 * 2**20


class NoSpace(Exception):
    """The disk has too little free space for a measure."""


@dataclass(frozen=True, slots=True)
class LadingServer:
    """A Lading server that runs; `pid` is its first process, with the others below it."""

    pid: int
    url: str
    token: str

    @property
    def job(self) -> dict[str, Any]:
        """What a client needs to connect to it."""
        return {"url": self.url, "token": self.token}


def room_for(size: int) -> int:
    """The bytes that must be free for an upload of `size`: source, data, journal, checkpoint."""
    return 2 * min(size, LARGEST_SOURCE) + 2 * size


class Workspace:
    """One scratch directory and one mongod, for as long as the block of `Workspace.open` lasts."""

    def __init__(self, scratch: Path, mongo: EmbeddedMongo) -> None:
        self.scratch = scratch
        self._mongo = mongo
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo.url)

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Path) -> AsyncIterator[Self]:
        """A workspace in a new directory in `place`, which is deleted in the end."""
        scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=place))
        try:
            async with EmbeddedMongo(scratch / "mongo") as mongo:
                workspace = cls(scratch, mongo)
                try:
                    yield workspace
                finally:
                    await workspace._client.close()
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch)

    async def file(self, upload_id: str) -> dict[str, Any]:
        """The document of a file of Lading, as it is now."""
        manifests = self._client[LADING_DATABASE]["manifests"]
        found = await manifests.find_one({"_id": ObjectId(upload_id)})
        assert found is not None
        return found

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

    def directory(self, name: str) -> Path:
        """A new directory; it goes with the workspace."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    async def source(self, size: int) -> Path:
        """A file of random bytes, made once, to upload `size` bytes from.

        It has `size` bytes, at most LARGEST_SOURCE; reading it does not touch the disk.
        """
        free = shutil.disk_usage(self.scratch).free
        if free < room_for(size):
            raise NoSpace(f"{room_for(size) >> 20} MiB of room are needed, {free >> 20} are free.")
        length = min(size, LARGEST_SOURCE)
        path = self.scratch / f"source-{length}"
        if not path.exists():
            await asyncio.to_thread(_fill, path, length)
        return path

    async def clear(self) -> None:
        """Drop what all sides have stored, and wait until the disk is idle."""
        for name in DATABASES:
            await self._client.drop_database(name)
        await self._client.admin.command("fsync")
        await asyncio.to_thread(os.sync)

    @asynccontextmanager
    async def lading(
        self,
        settings: Settings | None = None,
        *,
        database: str = LADING_DATABASE,
        variables: Mapping[str, str] | None = None,
    ) -> AsyncIterator[LadingServer]:
        """A fresh Lading server on the workspace's mongod, as a process of its own.

        `settings` are named like the variables, without `LADING_` and in lower case; `variables`
        are those of others, such as the SDK of S3.
        """
        data = self.directory("server")
        given = {
            "host": "127.0.0.1",
            "port": "0",
            "data": data,
            "database_url": self.mongo_url.replace("/?", f"/{database}?"),
            **(settings or {}),
        }
        environment = {f"LADING_{name.upper()}": str(value) for name, value in given.items()}
        environment |= variables or {}
        log = data / "log"
        command = python("-m", "lading", "serve")
        async with child(command, environment=environment, log=log) as process:
            note = await _ready(process, data / "server.json", log)
            try:
                yield LadingServer(process.pid, note["url"], note["token"])
            except ChildFailed as error:
                raise ChildFailed(f"{error}\nThe end of the server's log:\n{tail(log)}") from error


async def _ready(process: asyncio.subprocess.Process, note: Path, log: Path) -> dict[str, Any]:
    """Wait for `server.json`, which the server writes when it listens, all at once."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    while process.returncode is None and loop.time() < deadline:
        found = tail(note)
        if found:
            told: dict[str, Any] = json.loads(found)
            return told
        await asyncio.sleep(POLL_SECONDS)
    raise ChildFailed(f"The server did not start:\n{tail(log)}")


def tail(path: Path) -> str:
    """The end of a text file; empty when it is not there."""
    return path.read_text()[-4000:] if path.exists() else ""


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(os.urandom(min(PIECE, size - start)))
        file.flush()
        os.fsync(file.fileno())
