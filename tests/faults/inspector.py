"""Looks into the database without the server, and checks the promises there.

What must hold when a fault is over: acknowledged pieces are stored, files are complete, nothing is
left over, accounts are exact. Pieces and checksums are read from MongoDB itself; the janitor's own
audit is one more check.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Self

from bson import ObjectId

from lading.janitor.sweep import Sweeper
from lading.janitor.verify import YOUNG_SECONDS, Auditor, Finding, recount
from lading.protocol.manifest import MAX_ATTEMPT, Manifest, Piece
from lading.storage.blobs.base import Blobs
from lading.storage.blobs.directory import Directory
from lading.storage.blobs.local import LocalBlobs
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.clock import DatabaseClock
from lading.storage.collections.chunks import Chunks, object_id
from lading.storage.collections.grants import Grants
from lading.storage.collections.manifests import Manifests, from_document, new_id
from lading.storage.collections.pictures import Pictures
from lading.storage.collections.quotas import Quotas
from lading.storage.database import Database, connect
from lading.storage.homes import path_of
from tests.support.blobs import finished, kept
from tests.support.servers import Running
from tests.support.wire import checksum

USER = "admin"
"""The one user of servers with an admin token."""

SMALL = 1024
"""The cell size of the uploads that `plant` makes."""


class Inspector:
    """Reads the database at `url`, and the directory of the home at an address `file:///…`.

    `blobs` are the homes that it looks into.
    """

    def __init__(self, url: str, home: str | None = None) -> None:
        self.database = Database(connect(url))
        self.clock = DatabaseClock(self.database)
        self.manifests = Manifests(self.database)
        self.chunks = Chunks(self.database)
        self.quotas = Quotas(self.database)
        self.mongo = MongoBlobs(self.chunks, Pictures(self.database))
        self.blobs: dict[str, Blobs] = {"mongo": self.mongo}
        self.home: LocalBlobs | None = None
        if home is not None:
            directory = Directory(path_of(home), create=True)
            self.home = self.blobs[home] = LocalBlobs(home, directory, self.chunks)

    async def __aenter__(self) -> Self:
        await self.database.prepare()
        await self.clock.sync()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self.home is not None:
            await self.home.close()
        await self.database.close()

    async def clear(self) -> None:
        """Forget everything."""
        for driver in self._elsewhere():
            for upload_id in await kept(driver):
                await driver.delete(finished(upload_id, attempt=MAX_ATTEMPT), 2**20)
        for name in ("manifests", "chunks", "pictures", "quotas"):
            await getattr(self.database, name).delete_many({})

    def _elsewhere(self) -> list[Blobs]:
        """The homes that are not in the database."""
        return [driver for home, driver in self.blobs.items() if home != "mongo"]

    def sweeper(self, *, tombstone_ttl: float = 0.0, later: float = 0.0) -> Sweeper:
        """A sweeper in this process, for which it is so many seconds later."""
        return Sweeper(
            self.manifests,
            self.blobs,
            self.quotas,
            Grants(self.database),
            clock=lambda: self.clock() + later,
            tombstone_ttl=tombstone_ttl,
        )

    # -- looking

    async def pieces(self, upload_id: str) -> dict[int, int]:
        """The stored pieces of an upload, each with its bytes read and compared with its CRC."""
        found: dict[int, int] = {}
        async for piece in self.database.chunks.find({"upload_id": ObjectId(upload_id)}):
            start, data = piece["slice_start"], await self._bytes(piece)
            assert piece["_id"] == object_id(upload_id, start)
            assert len(data) == piece["size"]
            assert checksum(data) == piece["crc32c"], f"the piece at {start} is stored wrong"
            found[start] = piece["size"]
        return found

    async def digest(self, upload_id: str) -> str:
        """The SHA-256 of what is stored of an upload, as it is stored."""
        found = hashlib.sha256()
        query = {"upload_id": ObjectId(upload_id)}
        async for piece in self.database.chunks.find(query).sort("slice_start", 1):
            found.update(await self._bytes(piece))
        return found.hexdigest()

    async def _bytes(self, document: dict[str, Any]) -> bytes:
        """The bytes of a piece, as they are stored."""
        if self.home is None:
            data: bytes = document["data"]
            return data
        piece = Piece(document["slice_start"], document["size"], document["crc32c"])
        return await self.home.read(str(document["upload_id"]), [piece])

    async def count(self) -> int:
        """How many pieces are stored."""
        return int(await self.database.chunks.count_documents({}))

    async def states(self) -> dict[str, str]:
        """The state of every upload."""
        found = await self.database.manifests.find({}, {"state": 1}).to_list(None)
        return {str(manifest["_id"]): manifest["state"] for manifest in found}

    async def files(self, sha256: str) -> list[str]:
        """The ids of the finished files with this digest."""
        query = {"sha256": sha256, "state": "ready"}
        found = await self.database.manifests.find(query, {"_id": 1}).to_list(None)
        return [str(manifest["_id"]) for manifest in found]

    async def findings(self) -> list[Finding]:
        """What an audit finds."""
        auditor = Auditor(self.manifests, self.chunks, self.blobs, self.quotas, self.clock)
        return [finding async for finding in auditor.findings()]

    async def plant(self, count: int, pieces: int) -> list[str]:
        """Make uploads that expired an hour ago, each of `pieces` pieces; return their ids."""
        now = self.clock()
        ids = [new_id(now) for _ in range(count)]
        for upload_id in ids:
            await self.quotas.reserve(USER, upload_id, pieces * SMALL)
            manifest = Manifest(
                id=upload_id,
                user_id=USER,
                name=upload_id,
                size=pieces * SMALL,
                chunk_size=SMALL,
                created_at=now - 2 * 3600,
                updated_at=now - 2 * 3600,
                expires_at=now - 3600,
            )
            await self.manifests.create(manifest)
            for place in range(pieces):
                data = place.to_bytes(4, "big") * (SMALL // 4)
                piece = Piece(place * SMALL, SMALL, checksum(data))
                await self.mongo.write(upload_id, piece, data)
        return ids

    # -- the promises

    async def check_acknowledged(self, upload_id: str, acknowledged: Mapping[int, int]) -> None:
        """Every acknowledged piece is stored."""
        stored = await self.pieces(upload_id)
        lost = {start: size for start, size in acknowledged.items() if stored.get(start) != size}
        assert not lost, f"acknowledged and lost: {lost}"

    async def check_file(self, server: Running, upload_id: str, data: bytes) -> None:
        """The file is served as it was sent, and its manifest tiles it exactly."""
        async with server.http() as client:
            answer = await client.get(f"/v1/files/{upload_id}")
            manifest = (await client.get(f"/v1/manifests/{upload_id}")).json()
        assert answer.status_code == 200, answer.text[:500]
        served = hashlib.sha256(answer.content).hexdigest()
        assert served == hashlib.sha256(data).hexdigest(), "other bytes are served"
        assert (manifest["state"], manifest["size"]) == ("ready", len(data))
        position = 0
        for chunk in manifest["chunks"]:
            assert chunk["slice_start"] == position, "the pieces do not tile the file"
            position += chunk["size"]
        assert position == len(data)
        assert len(manifest["chunks"]) == len(await self.pieces(upload_id))

    async def check_served(self, server: Running, upload_id: str, data: bytes) -> None:
        """The file is served as it was sent, wherever its bytes are."""
        async with server.http() as client:
            answer = await client.get(f"/v1/files/{upload_id}")
        assert answer.status_code == 200, answer.text[:500]
        assert answer.content == data, "other bytes are served"

    async def check_nothing_left(
        self, server: Running | None = None, *, crashed: bool = False
    ) -> None:
        """Nothing is left over, every account is exact, and the audit agrees.

        `crashed`: a server died, so the janitor may first do its work of the next hour.
        """
        if crashed:
            await self.sweeper(tombstone_ttl=3600).sweep()
            later = self.clock() + 2 * YOUNG_SECONDS
            drift = await recount(self.manifests, self.quotas, USER, now=later, correct=True)
            assert drift is None, drift
        used = reserved = 0
        known = set()
        async for manifest in self.database.manifests.find({}):
            known.add(manifest["_id"])
            used += from_document(manifest).charged if manifest["state"] == "ready" else 0
            if manifest["state"] == "uploading":
                reserved += manifest["size"] or await self._reach(manifest["_id"])
        owners = set(await self.database.chunks.distinct("upload_id"))
        assert owners <= known, f"pieces without a manifest: {owners - known}"
        pictured = {upload_id async for upload_id in self.mongo.pictured()}
        here = {str(each) for each in await self._alive()}
        assert pictured <= here, f"pictures without a file: {pictured - here}"
        for driver in self._elsewhere():
            here = await kept(driver)
            alive = {str(each) for each in await self._alive()}
            assert here <= alive, f"in {driver.name} without an upload: {here - alive}"
        account = await self.quotas.account(USER)
        assert (account.used, account.reserved) == (used, reserved), account
        if server is not None:
            async with server.http() as client:
                usage = (await client.get("/v1/usage")).json()
            assert (usage["used"], usage["reserved"]) == (used, reserved), usage
        assert await self.findings() == []

    async def _alive(self) -> list[ObjectId]:
        """The uploads and files whose bytes may be stored."""
        wanted = {"state": {"$in": ["uploading", "ready"]}}
        return list(await self.database.manifests.distinct("_id", wanted))

    async def _reach(self, upload_id: ObjectId) -> int:
        """Where the last piece of an upload of unknown length ends: what is reserved for it."""
        query: dict[str, Any] = {"upload_id": upload_id}
        last = await self.database.chunks.find_one(query, sort=[("slice_start", -1)])
        return 0 if last is None else last["slice_start"] + last["size"]


async def eventually(condition: Any, seconds: float = 10) -> None:
    """Poll an awaitable condition until it holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await condition():
        assert loop.time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)
