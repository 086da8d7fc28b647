"""What a database and a home of bytes are, found out by trying them, for whoever sets up a server.

Everything is tried the way a server does it, and removed again. Source: page 12 of the design,
"`lading check`".
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lading.protocol.digests import crc32c
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Manifest, Piece
from lading.storage.blobs.base import Blobs, Ingest
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database, persist

PROBE_SIZE = 64 * 1024
WRITES = 8


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database as it answers. `replica_set` is its name, None for a standalone server.

    `write_seconds` is what a durable write took, `clock_ahead` by how many seconds the database's
    clock is ahead of this machine's.
    """

    version: str
    replica_set: str | None
    sharded: bool
    write_seconds: float
    clock_ahead: float


async def inspect_database(database: Database) -> DatabaseFacts:
    """Ask the database what it is, and write to it; raises Unavailable."""
    build = await database.command("buildInfo")
    hello = await database.command("hello")
    here = datetime.now(UTC)
    mark = {"_id": f"check-{secrets.token_hex(8)}"}
    begun = time.perf_counter()
    await persist(lambda: database.marks.insert_one(dict(mark)), seconds=0)
    seconds = time.perf_counter() - begun
    await persist(lambda: database.marks.delete_one(mark))
    there: datetime = hello["localTime"].replace(tzinfo=UTC)
    return DatabaseFacts(
        version=str(build["version"]),
        replica_set=hello.get("setName"),
        sharded=hello.get("msg") == "isdbgrid",
        write_seconds=seconds,
        clock_ahead=(there - here).total_seconds(),
    )


async def try_home(blobs: Blobs, now: float) -> None:
    """Write a file to a home, read it and delete it; raises LadingError where one of them fails.

    `blobs` is the driver itself: what fails is not tried again.
    """
    data = secrets.token_bytes(PROBE_SIZE)
    piece = Piece(0, len(data), crc32c(data))
    manifest = _probe(blobs.name, piece, now)
    try:
        if isinstance(blobs, Ingest):
            await blobs.write(manifest.id, piece, data)
        else:
            await blobs.take(manifest, _alone(piece, data))
        await blobs.read(manifest.id, [piece])
    except LadingError:
        with suppress(LadingError):  # the first failure says more
            await blobs.delete(manifest, 2)
        raise
    await blobs.delete(manifest, 2)


async def _alone(piece: Piece, data: bytes) -> AsyncIterator[tuple[Piece, bytes]]:
    yield piece, data


def _probe(home: str, piece: Piece, now: float) -> Manifest:
    """The manifest of a file that nobody sees: it is not stored."""
    return Manifest(
        id=new_id(now),
        user_id="lading-check",
        name="lading-check",
        size=piece.size,
        crc32c=piece.crc32c,
        chunk_size=2**20,
        blobs=home,
        created_at=now,
        updated_at=now,
        expires_at=now,
    )


async def presigned_put(blobs: S3Blobs, now: float) -> str:
    """An address at which a page would send a file to the bucket. Nothing is sent."""
    key = blobs.key(new_id(now))
    return await blobs.client.presign("put_object", 60, Key=key)


def sync_seconds(directory: Path) -> float:
    """What it takes until a small write is durable there, the median of some; raises OSError."""
    path = directory / f".lading-check-{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        taken = []
        for _ in range(WRITES):
            begun = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
            taken.append(time.perf_counter() - begun)
        return sorted(taken)[WRITES // 2]
    finally:
        os.close(descriptor)
        path.unlink()


def free_bytes(directory: Path) -> int:
    """The bytes that this user may still write there; raises OSError."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
