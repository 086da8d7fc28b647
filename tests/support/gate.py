"""Gates before the server's parts, for what must be seen while something is under way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lading.storage.blobs.mongo import MongoBlobs


class Stall:
    """Holds back every call of an async method, of a class or of one object, until `opened`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0
        method = getattr(owner, name)

        async def held(*args: Any, **options: Any) -> Any:
            self.waiting += 1
            async with asyncio.timeout(30):  # or a test that fails would never end
                await self.opened.wait()
            return await method(*args, **options)

        monkeypatch.setattr(owner, name, held)


class Gate(Stall):
    """Holds back every piece on its way into the store."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch, MongoBlobs, "write")
