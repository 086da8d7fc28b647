"""What is stored of an upload: the pieces of its present attempt, whichever driver has the bytes.

Pieces are never replaced. An upload that must get other bytes begins a new attempt
(`Manifests.begin_again`), and its pieces get places of their own: `slice_start` of a piece is
counted from the beginning of the file, its *place* is `attempt * 2**53 + slice_start`, and the
identity of a piece is the upload's id and its place. So a piece or a deletion that is still on its
way for an earlier attempt cannot touch the pieces of a later one. Only their borders may go: small
ones are joined (docs/decisions/0052), and their bytes are read from where they are then.

Source: page 2 of the design, "The data".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

from lading.protocol.errors import Internal
from lading.protocol.manifest import (
    MAX_INTEGER,
    Manifest,
    Piece,
    Range,
    cell_end,
    cell_start,
)
from lading.storage.blobs.base import Blobs, Ingest, Moved, moved
from lading.storage.blobs.s3_direct import direct_of
from lading.storage.collections.chunks import LISTED_AT_ONCE, Chunks, object_id

SPAN = MAX_INTEGER + 1
"""How far the places of two attempts are apart; no file is larger."""

DELETED_AT_ONCE = 64

UNKNOWN = -1
"""The CRC-32C of a cell of a file that clients sent to the bucket, before it is read."""

READ_AT_ONCE = 256
"""Pieces that a reader takes from the index in one go, and keeps for as long as it reads them."""


def base(manifest: Manifest) -> int:
    """The place of the first byte in the present attempt."""
    return manifest.attempt * SPAN


def identity(manifest: Manifest, piece: Piece) -> bytes:
    """The 20 bytes by which a piece of the present attempt is kept."""
    return object_id(manifest.key, base(manifest) + piece.slice_start)


def _moved(piece: Piece, by: int) -> Piece:
    return piece._replace(slice_start=piece.slice_start + by) if by else piece


def _cell(manifest: Manifest, start: int) -> Piece:
    """The cell that begins at `start`."""
    return Piece(start, cell_end(start, manifest.chunk_size, manifest.size) - start, UNKNOWN)


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
        self._ingests: dict[str, Ingest] = {}

    def _driver(self, manifest: Manifest) -> Blobs:
        return driver_at(self._blobs, manifest.blobs)

    def _ingest(self, manifest: Manifest) -> Ingest:
        known = self._ingests.get(manifest.blobs)
        if known is None:
            driver = self._driver(manifest)
            assert isinstance(driver, Ingest)  # costs a thirtieth of a piece's time
            self._ingests[manifest.blobs] = known = driver
        return known

    def largest_block(self, manifest: Manifest) -> int:
        """How many bytes of an upload are best read at once, where it is now."""
        return self._driver(manifest).traits.largest_block

    async def pieces(
        self,
        manifest: Manifest,
        start: int = 0,
        end: int = SPAN,
        *,
        at_once: int | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """The stored pieces that begin in `[start, end)`, by place, from the index alone.

        `at_once` as in `Chunks.pieces`. A piece that was joined into an earlier one since may still
        be among them; it can be read for all that.
        """
        zero, covered = base(manifest), 0
        listed = self._chunks.pieces(manifest.key, zero + start, zero + end, at_once)
        async with aclosing(listed) as pieces:
            async for piece in pieces:
                if piece.slice_start >= covered:  # else it is void, and about to be deleted
                    covered = piece.end
                    yield _moved(piece, -zero)

    async def layout(self, manifest: Manifest) -> AsyncGenerator[Piece, None]:
        """What a finished file is read by, in order: its pieces, or its cells.

        The CRC-32C of a cell is UNKNOWN. Raises Moved where a piece is missing, as it is for a
        moment where it was joined into an earlier one while they were being listed.
        """
        assert manifest.size is not None
        position = 0
        async with aclosing(self._from(manifest, 0, manifest.size)) as pieces:
            async for piece in pieces:
                if piece.slice_start != position:
                    break
                yield piece
                position = piece.end
        if position != manifest.size:
            raise moved(manifest.key, base(manifest) + position)

    async def enlist(self, manifest: Manifest, piece: Piece) -> None:
        """List a piece of a finished file whose bytes lie elsewhere; raises ChunkConflict."""
        await self._chunks.write(manifest.key, _moved(piece, base(manifest)))

    async def runs(self, manifest: Manifest) -> list[Range]:
        """The bytes that are stored, joined where one piece follows another."""
        zero = base(manifest)
        found = await self._chunks.runs(manifest.key, zero, zero + SPAN)
        return [(start - zero, end - zero) for start, end in found]

    async def at(self, manifest: Manifest, slice_start: int) -> Piece | None:
        """The piece that begins at `slice_start`."""
        zero = base(manifest)
        found = await self._chunks.at(manifest.key, zero + slice_start)
        return None if found is None else _moved(found, -zero)

    async def before(self, manifest: Manifest, offset: int) -> Piece | None:
        """The last piece that begins before `offset`; a cell where no piece is listed."""
        if offset <= 0:
            return None
        start = cell_start(offset - 1, manifest.chunk_size)
        if manifest.etag is not None:
            return _cell(manifest, start)
        # Not the last document: that may be a piece which was joined into an earlier one.
        if chain := await self.chain(manifest, start, offset):
            return chain[-1]
        zero = base(manifest)
        found = await self._chunks.before(manifest.key, zero + start)
        if found is None or found.slice_start < zero:
            return None
        return await self.before(manifest, found.slice_start - zero + 1)

    async def chain(self, manifest: Manifest, start: int, end: int) -> list[Piece]:
        """The pieces of a cell that begins at `start`, of those that begin before `end`."""
        async with aclosing(self.pieces(manifest, start, end)) as pieces:
            return [piece async for piece in pieces]

    async def join(self, manifest: Manifest, chain: list[Piece]) -> bool:
        """Make one piece of a chain that begins with its cell; see `Ingest.join`."""
        zero = base(manifest)
        return await self._ingest(manifest).join(
            manifest.key, [_moved(piece, zero) for piece in chain]
        )

    async def holding(
        self, manifest: Manifest, start: int, end: int
    ) -> AsyncGenerator[Piece, None]:
        """The pieces that hold the stored bytes `[start, end)`, in order, or the cells.

        It ends early where a piece is missing. Not many are read ahead from the index, since a
        reader may be slow.
        """
        first = await self.before(manifest, start + 1)
        if first is None or first.end <= start:
            return
        yield first
        if first.end >= end:
            return
        position = first.end
        async with aclosing(self._from(manifest, position, end)) as pieces:
            async for piece in pieces:
                if piece.slice_start != position:
                    return
                yield piece
                position = piece.end

    async def _from(self, manifest: Manifest, start: int, end: int) -> AsyncGenerator[Piece, None]:
        """The pieces that begin in `[start, end)`, or the cells, some at a time from the index."""
        if manifest.etag is None:
            listed = self.pieces(manifest, start, end, at_once=READ_AT_ONCE)
            async with aclosing(listed) as pieces:
                async for piece in pieces:
                    yield piece
            return
        for cell in range(start, end, manifest.chunk_size):
            yield _cell(manifest, cell)

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
        return await ingest.write(manifest.key, _moved(piece, base(manifest)), data)

    async def read(self, manifest: Manifest, pieces: Sequence[Piece]) -> bytes:
        """The bytes of pieces that follow each other, verified; raises as `Blobs.read`.

        They may have been joined since they were listed. Of a file that clients sent to the bucket
        they are cells, whose checksums nobody knows.
        """
        driver = self._driver(manifest)
        if manifest.etag is not None and (direct := direct_of(driver)) is not None:
            return await direct.read(manifest.stored, pieces[0].slice_start, pieces[-1].end)
        if pieces[0].crc32c == UNKNOWN:
            pieces = [await self._listed(manifest, piece) for piece in pieces]
        zero = base(manifest)
        try:
            return await driver.read(manifest.key, [_moved(piece, zero) for piece in pieces])
        except Moved:
            return await self._read_joined(manifest, pieces)

    async def _read_joined(self, manifest: Manifest, pieces: Sequence[Piece]) -> bytes:
        """The bytes of pieces that were joined since they were listed; Moved when they were not."""
        start, end = pieces[0].slice_start, pieces[-1].end
        async with aclosing(self.holding(manifest, start, end)) as found:
            listed = [piece async for piece in found]
        if not listed or listed[-1].end < end or listed == list(pieces):
            raise moved(manifest.key, base(manifest) + start)
        data = await self.read(manifest, listed)
        first = listed[0].slice_start
        return data[start - first : end - first]

    async def _listed(self, manifest: Manifest, cell: Piece) -> Piece:
        """The piece of a cell, which was listed when its file moved out of the bucket."""
        found = await self.at(manifest, cell.slice_start)
        if found is None:
            raise moved(manifest.key, base(manifest) + cell.slice_start)
        return found

    async def strays(self, manifest: Manifest) -> AsyncIterator[Piece]:
        """Pieces that are no part of a finished file: of earlier attempts, or past its end.

        Their `slice_start` is their place.
        """
        assert manifest.size is not None
        zero = base(manifest)
        if zero:
            async for piece in self._chunks.pieces(manifest.key, 0, zero):
                yield piece
        async for piece in self._chunks.pieces(manifest.key, zero + manifest.size):
            yield piece

    async def remove(self, manifest: Manifest, piece: Piece) -> None:
        """Delete a piece that came too late."""
        await self._ingest(manifest).remove(manifest.key, base(manifest) + piece.slice_start)

    async def delete(self, manifest: Manifest) -> None:
        """Delete all pieces."""
        deleted = DELETED_AT_ONCE
        while deleted == DELETED_AT_ONCE:
            deleted = await self._driver(manifest).delete(manifest.stored, DELETED_AT_ONCE)

    async def forget(self, manifest: Manifest) -> None:
        """Delete the pieces of the attempts before the one that `manifest` is in."""
        zero, deleted = base(manifest), DELETED_AT_ONCE
        while zero and deleted == DELETED_AT_ONCE:
            deleted = await self._driver(manifest).delete(manifest.stored, DELETED_AT_ONCE, zero)
