"""What all wrappers around a driver share: each operation passes through one function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lading.protocol.manifest import Piece
from lading.storage.blobs.base import Blobs, Traits

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

    @abstractmethod
    async def _around(self, operation: str, size: int, call: Call[T]) -> T:
        """Carry out `call`; `size` is the number of bytes that are written, if any."""

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        return await self._around(
            "write", len(data), lambda: self._inner.write(upload_id, piece, data)
        )

    async def read(self, upload_id: str, slice_start: int) -> tuple[Piece, bytes] | None:
        return await self._around("read", 0, lambda: self._inner.read(upload_id, slice_start))

    async def delete(self, upload_id: str, most: int, before: int | None = None) -> int:
        return await self._around("delete", 0, lambda: self._inner.delete(upload_id, most, before))

    async def remove(self, upload_id: str, slice_start: int) -> None:
        await self._around("remove", 0, lambda: self._inner.remove(upload_id, slice_start))
