"""The driver that keeps bytes in a directory, under the contract of all drivers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lading.storage.blobs.base import Ingest
from lading.storage.blobs.directory import Directory
from lading.storage.blobs.local import SPAN, LocalBlobs
from lading.storage.collections.chunks import Chunks
from lading.storage.database import Database
from tests.storage.blobs.contract import Contract, Rig
from tests.support.blobs import WRAPPED, wrap
from tests.support.database_faults import break_chunks


class LocalRig:
    farthest = 2**43

    def __init__(self, database: Database, root: Path, wrapped: str) -> None:
        self.commits = break_chunks(database)
        self.chunks = Chunks(database)
        self.root = root
        self.driver = LocalBlobs(f"file://{root}", Directory(str(root), create=True), self.chunks)
        self.blobs: Ingest = wrap(self.driver, wrapped)

    def files(self, upload_id: str) -> list[Path]:
        """The files of an upload: under way first, finished last."""
        finished = [self.root / kind / upload_id[-2:] / upload_id for kind in ("private", "public")]
        return [
            *(self.root / "incoming").glob(f"{upload_id}.*"),
            *(each for folder in finished if folder.is_dir() for each in folder.iterdir()),
        ]

    async def damage(self, upload_id: str, slice_start: int) -> None:
        path, offset = self.files(upload_id)[0], slice_start % SPAN
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))

    async def lose(self, upload_id: str, slice_start: int) -> None:
        piece = await self.chunks.at(upload_id, slice_start)
        assert piece is not None
        with self.files(upload_id)[0].open("r+b") as file:
            file.truncate(piece.end % SPAN - 1)

    async def bytes_kept(self, upload_id: str) -> int:
        kept = 0
        for path in self.files(upload_id):
            if path.parent.name == "incoming":
                zero = int(path.suffix[1:]) * SPAN
                found = self.chunks.pieces(upload_id, zero, zero + SPAN)
                sizes = [each.size async for each in found]
                kept += sum(sizes) if sizes else path.stat().st_size
            else:
                kept += path.stat().st_size
        return kept


@pytest.fixture(params=WRAPPED)
async def rig(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Rig]:
    rig = LocalRig(database, tmp_path / "home", request.param)
    yield rig
    await rig.driver.close()


class TestLocalBlobs(Contract):
    """All that the contract asks for."""
