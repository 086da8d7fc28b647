"""Drivers of bytes bare and wrapped, and one that fails when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, cast

from lading.protocol.errors import Unavailable
from lading.protocol.manifest import Manifest, Piece, State
from lading.storage.blobs.base import Blobs, Check, Ingest, Pieces, Traits
from lading.storage.blobs.limit import Limited
from lading.storage.blobs.measure import Measured
from lading.storage.blobs.retry import Retried

WRAPPED = ["bare", "retried", "limited", "measured", "all", "all, failing"]


D = TypeVar("D", bound=Blobs)


def finished(upload_id: str, size: int = 0, **more: Any) -> Manifest:
    """The manifest of a finished file."""
    usual: dict[str, Any] = {"user_id": "ann", "name": "a", "chunk_size": 1024, "size": size}
    usual |= {"created_at": 0.0, "updated_at": 0.0, "expires_at": None, "state": State.READY}
    return Manifest(**usual | {"id": upload_id, "upload_end": True} | more)


async def kept(driver: Blobs) -> set[str]:
    """The uploads and files of which anything is at a home: bytes or pictures."""
    listed = (driver.uploads(), driver.pictured())
    return {upload_id for each in listed async for upload_id in each}


def wrap(driver: D, how: str) -> D:
    """The driver with the wrappers that a test of the contract asks for."""
    match how:
        case "bare":
            return driver
        case "retried":
            found: Blobs = Retried(driver, (0.0,))
        case "limited":
            found = Limited(driver, 1, 1)
        case "measured":
            found = Measured(driver, _ignore)
        case "all":
            found = _all(driver)
        case _:
            found = _all(Failing(driver))
    return cast("D", found)


def _all(driver: Blobs) -> Blobs:
    return Measured(Limited(Retried(driver, (0.0, 0.0)), 2, 1), _ignore)


def _ignore(_operation: str, _seconds: float, _size: int, _outcome: str) -> None:
    return None


class Failing:
    """A driver whose every second call fails before it reaches the store."""

    def __init__(self, inner: Blobs) -> None:
        self._inner = inner
        self._calls = 0

    @property
    def _ingest(self) -> Ingest:
        assert isinstance(self._inner, Ingest)
        return self._inner

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def traits(self) -> Traits:
        return self._inner.traits

    def _fail(self) -> None:
        self._calls += 1
        if self._calls % 2:
            raise Unavailable("The store does not answer.")

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        self._fail()
        return await self._ingest.write(upload_id, piece, data)

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        self._fail()
        return await self._inner.read(upload_id, pieces)

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        self._fail()
        return await self._inner.delete(manifest, most, before)

    async def remove(self, upload_id: str, slice_start: int) -> None:
        self._fail()
        await self._ingest.remove(upload_id, slice_start)

    async def join(self, upload_id: str, chain: list[Piece]) -> bool:
        self._fail()
        return await self._ingest.join(upload_id, chain)

    async def place(self, manifest: Manifest) -> None:
        self._fail()
        await self._inner.place(manifest)

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        await self._inner.take(manifest, pieces)

    async def drop(self, manifest: Manifest, check: Check) -> None:
        self._fail()
        await self._inner.drop(manifest, check)

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        self._fail()
        await self._inner.put_picture(upload_id, name, data)

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        self._fail()
        return await self._inner.picture(upload_id, name)

    def uploads(self) -> AsyncIterator[str]:
        return self._inner.uploads()

    def pictured(self) -> AsyncIterator[str]:
        return self._inner.pictured()


class Idle:
    """A driver without a store. `failures` are raised by the next calls, one each."""

    name = "idle"
    traits = Traits(durable=False, ranges_while_uploading=False, presigns=True)

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.calls: list[str] = []
        self.under_way = 0
        self.opened = asyncio.Event()
        self.opened.set()

    async def _call(self, operation: str) -> None:
        self.calls.append(operation)
        self.under_way += 1
        try:
            await self.opened.wait()
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        await self._call("write")
        return True

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        await self._call("read")
        return b"hallo"

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        await self._call("delete")
        return 0

    async def remove(self, upload_id: str, slice_start: int) -> None:
        await self._call("remove")

    async def join(self, upload_id: str, chain: list[Piece]) -> bool:
        await self._call("join")
        return True

    async def place(self, manifest: Manifest) -> None:
        await self._call("place")

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        await self._call("take")

    async def drop(self, manifest: Manifest, check: Check) -> None:
        await self._call("drop")

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        await self._call("put_picture")

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        await self._call("picture")
        return b"hallo"

    async def uploads(self) -> AsyncIterator[str]:
        nothing: tuple[str, ...] = ()
        for upload_id in nothing:
            yield upload_id

    def pictured(self) -> AsyncIterator[str]:
        return Idle.uploads(self)
