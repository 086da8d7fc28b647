"""A gate before the store, for what must be seen while pieces are on their way into it."""

from __future__ import annotations

import asyncio

import pytest

from lading.protocol.manifest import Piece
from lading.storage.blobs.mongo import MongoBlobs


class Gate:
    """Holds back every piece on its way into the store until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0
        write = MongoBlobs.write

        async def held(blobs: MongoBlobs, upload_id: str, piece: Piece, data: bytes) -> bool:
            self.waiting += 1
            await self.opened.wait()
            return await write(blobs, upload_id, piece, data)

        monkeypatch.setattr(MongoBlobs, "write", held)
