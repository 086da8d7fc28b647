"""What all wrappers around a driver share: each operation passes through one function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cached_property
from typing import TypeVar

from lading.protocol.manifest import Manifest, Piece
from lading.storage.blobs.base import Blobs, Check, Ingest, Pieces, Traits
from lading.storage.blobs.s3_direct import S3Direct, direct_of

T = TypeVar("T")

Call = Callable[[], Awaitable[T]]


class Wrapper(ABC):
    """A driver around another one."""

    def __init__(self, inner: Blobs) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def traits(self) -> Traits:
        return self._inner.traits

    @property
    def direct(self) -> S3Direct | None:
        """What the driver offers for uploads that go to its bucket."""
        return direct_of(self._inner)

    @abstractmethod
    async def _around(self, operation: str, size: int, call: Call[T], /) -> T:
        """Carry out `call`; `size` is the number of bytes that are written, if any."""

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        return await self._around("read", 0, lambda: self._inner.read(upload_id, pieces))

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        return await self._around("delete", 0, lambda: self._inner.delete(manifest, most, before))

    async def place(self, manifest: Manifest) -> None:
        await self._around("place", 0, lambda: self._inner.place(manifest))

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        # Not repeated as a whole: the pieces can be read once. The step of the outbox is repeated.
        await self._inner.take(manifest, pieces)

    async def drop(self, manifest: Manifest, check: Check) -> None:
        await self._around("drop", 0, lambda: self._inner.drop(manifest, check))

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        await self._around(
            "put_picture", len(data), lambda: self._inner.put_picture(upload_id, name, data)
        )

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        return await self._around("picture", 0, lambda: self._inner.picture(upload_id, name))

    def uploads(self) -> AsyncIterator[str]:
        return self._inner.uploads()

    def pictured(self) -> AsyncIterator[str]:
        return self._inner.pictured()

    # -- of an ingest store

    @cached_property
    def _ingest(self) -> Ingest:
        assert isinstance(self._inner, Ingest)  # costs a twentieth of a piece's time
        return self._inner

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        return await self._around(
            "write", len(data), lambda: self._ingest.write(upload_id, piece, data)
        )

    async def remove(self, upload_id: str, place: int) -> None:
        await self._around("remove", 0, lambda: self._ingest.remove(upload_id, place))

    async def join(self, upload_id: str, chain: list[Piece]) -> bool:
        size = sum(piece.size for piece in chain)
        return await self._around("join", size, lambda: self._ingest.join(upload_id, chain))
