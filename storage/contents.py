"""What is stored of an upload: the pieces of its present attempt, whichever driver has the bytes.

Pieces are never replaced. An upload that must get other bytes begins a new attempt
(`Manifests.begin_again`), and its pieces get places of their own: `slice_start` of a piece is
counted from the beginning of the file, its *place* is `attempt * 2**53 + slice_start`, and the
identity of a piece is the upload's id and its place. So a piece or a deletion that is still on its
way for an earlier attempt cannot touch the pieces of a later one.

Source: page 2 of the design, "The data".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from lading.protocol.errors import Internal
from lading.protocol.manifest import (
    MAX_INTEGER,
    Manifest,
    Piece,
    Range,
    cell_end,
    cell_start,
    split,
)
from lading.storage.blobs.base import Blobs, Ingest
from lading.storage.blobs.s3_direct import direct_of
from lading.storage.collections.chunks import LISTED_AT_ONCE, Chunks, object_id

SPAN = MAX_INTEGER + 1
"""How far the places of two attempts are apart; no file is larger."""

DELETED_AT_ONCE = 64


def base(manifest: Manifest) -> int:
    """The place of the first byte in the present attempt."""
    return manifest.attempt * SPAN


def identity(manifest: Manifest, piece: Piece) -> bytes:
    """The 20 bytes by which a piece of the present attempt is kept."""
    return object_id(manifest.id, base(manifest) + piece.slice_start)


def _moved(piece: Piece, by: int) -> Piece:
    return piece._replace(slice_start=piece.slice_start + by) if by else piece


def driver_at(blobs: Mapping[str, Blobs], home: str) -> Blobs:
    """The driver of an address in a manifest; raises Internal when it is not set up here."""
    driver = blobs.get(home)
    if driver is None:
        raise Internal(f"Its bytes are in {home!r}, which is not set up here.")
    return driver


class Contents:
    """The pieces of uploads by their manifests. `slice_start` is counted from the file's start."""

    def __init__(self, chunks: Chunks, blobs: Mapping[str, Blobs]) -> None:
        self._chunks = chunks
        self._blobs = blobs

    def _driver(self, manifest: Manifest) -> Blobs:
        return driver_at(self._blobs, manifest.blobs)

    def _ingest(self, manifest: Manifest) -> Ingest:
        driver = self._driver(manifest)
        assert isinstance(driver, Ingest)
        return driver

    async def pieces(
        self, manifest: Manifest, start: int = 0, end: int = SPAN
    ) -> AsyncGenerator[Piece, None]:
        """The stored pieces that begin in `[start, end)`, by place, from the index alone."""
        zero = base(manifest)
        async for piece in self._chunks.pieces(manifest.id, zero + start, zero + end):
            yield _moved(piece, -zero)

    async def layout(self, manifest: Manifest) -> AsyncGenerator[Piece, None]:
        """What a finished file is read by, in order: its pieces, or its cells.

        The CRC-32C of a cell is not known before it is read.
        """
        assert manifest.size is not None
        if manifest.etag is None:
            async with aclosing(self.pieces(manifest, 0, manifest.size)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        for start, end in split(0, manifest.size, manifest.chunk_size):
            yield Piece(start, end - start, 0)

    async def enlist(self, manifest: Manifest, piece: Piece) -> None:
        """List a piece of a finished file whose bytes lie elsewhere; raises ChunkConflict."""
        await self._chunks.write(manifest.id, _moved(piece, base(manifest)))

    async def runs(self, manifest: Manifest) -> list[Range]:
        """The bytes that are stored, joined where one piece follows another."""
        zero = base(manifest)
        found = await self._chunks.runs(manifest.id, zero, zero + SPAN)
        return [(start - zero, end - zero) for start, end in found]

    async def at(self, manifest: Manifest, slice_start: int) -> Piece | None:
        """The piece that begins at `slice_start`."""
        zero = base(manifest)
        found = await self._chunks.at(manifest.id, zero + slice_start)
        return None if found is None else _moved(found, -zero)

    async def before(self, manifest: Manifest, offset: int) -> Piece | None:
        """The last piece that begins before `offset`; a cell where no piece is listed."""
        if manifest.etag is not None:
            start = cell_start(offset - 1, manifest.chunk_size)
            return Piece(start, cell_end(start, manifest.chunk_size, manifest.size) - start, 0)
        zero = base(manifest)
        found = await self._chunks.before(manifest.id, zero + offset)
        return None if found is None or found.slice_start < zero else _moved(found, -zero)

    async def run_end(self, manifest: Manifest, start: int, end: int) -> int:
        """Where the stored bytes from `start` on end; `start` where that byte is not stored.

        Looks no further than `end`, and no further than at one page of the index.
        """
        first = await self.before(manifest, start + 1)
        if first is None or first.end <= start:
            return start
        position, seen = first.end, 0
        async with aclosing(self.pieces(manifest, position, max(position, end))) as pieces:
            async for piece in pieces:
                seen += 1
                if piece.slice_start != position or seen == LISTED_AT_ONCE:
                    break
                position = piece.end
        return position

    async def write(self, manifest: Manifest, piece: Piece, data: bytes) -> bool:
        """Make a piece durable; returns and raises as `Blobs.write`."""
        ingest = self._ingest(manifest)
        return await ingest.write(manifest.id, _moved(piece, base(manifest)), data)

    async def read(self, manifest: Manifest, slice_start: int) -> tuple[Piece, bytes] | None:
        """A piece and its bytes, verified; returns and raises as `Blobs.read`.

        A file that clients sent to the bucket is read by cells: no piece of it is listed.
        """
        driver = self._driver(manifest)
        if manifest.etag is not None and (direct := direct_of(driver)) is not None:
            return await direct.read(manifest, slice_start)
        zero = base(manifest)
        found = await driver.read(manifest.id, zero + slice_start)
        return None if found is None else (_moved(found[0], -zero), found[1])

    async def strays(self, manifest: Manifest) -> AsyncIterator[Piece]:
        """Pieces that are no part of a finished file: of earlier attempts, or past its end.

        Their `slice_start` is their place.
        """
        assert manifest.size is not None
        zero = base(manifest)
        if zero:
            async for piece in self._chunks.pieces(manifest.id, 0, zero):
                yield piece
        async for piece in self._chunks.pieces(manifest.id, zero + manifest.size):
            yield piece

    async def remove(self, manifest: Manifest, piece: Piece) -> None:
        """Delete a piece that came too late."""
        await self._ingest(manifest).remove(manifest.id, base(manifest) + piece.slice_start)

    async def delete(self, manifest: Manifest) -> None:
        """Delete all pieces."""
        deleted = DELETED_AT_ONCE
        while deleted == DELETED_AT_ONCE:
            deleted = await self._driver(manifest).delete(manifest.id, DELETED_AT_ONCE)

    async def forget(self, manifest: Manifest) -> None:
        """Delete the pieces of the attempts before the one that `manifest` is in."""
        zero, deleted = base(manifest), DELETED_AT_ONCE
        while zero and deleted == DELETED_AT_ONCE:
            deleted = await self._driver(manifest).delete(manifest.id, DELETED_AT_ONCE, zero)
