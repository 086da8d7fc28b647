"""Bytes in a directory of this machine: one file for each upload, published by renaming it.

The order for a piece is: write it at its offset, make the file durable (one `fdatasync` for all
pieces of it that wait at that moment), then commit the piece by its document in `chunks`. A new
file's entry in `incoming` is made durable before its first piece is committed.

Two writers of different bytes at one place must not spoil each other's. So a writer locks the
place in the file, across processes, and where something was written before it asks the documents
whether a piece is stored there; bytes of a stored piece are never overwritten. Who publishes a file
locks all of it: nothing is written into a published file. The kernel ends the locks of a process
that is killed. The folders and their names are in `directory.py`.

All servers of a directory are on one machine, or the file system has locks among machines.
Source: page 9 of the design, "Local directory"; docs/decisions/0040.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from lading.protocol.errors import ChunkConflict, Internal, Unavailable
from lading.protocol.manifest import MAX_CHUNK_SIZE, MAX_INTEGER, Manifest, Piece
from lading.storage.blobs.base import ORIGINAL, Check, Pieces, Traits, moved, verify
from lading.storage.blobs.directory import (
    LISTED,
    PRIVATE,
    PUBLIC,
    Directory,
    is_hole,
    translated,
    try_lock,
    unlock,
)
from lading.storage.blobs.group_commit import GroupCommit
from lading.storage.blobs.incoming import Incoming, incoming_name, incoming_names
from lading.storage.collections.chunks import Chunks, conflict

T = TypeVar("T")

SPAN = MAX_INTEGER + 1

THREADS = 8
"""Threads for system calls that wait for the disk."""

IDLE_SECONDS = 5.0
"""How long the file of an upload stays open after its last piece. A deleted file takes space on the
disk for as long as it is open."""

PATIENCE, PAUSE = 500, 0.01
"""A place that another process has locked is tried so often, with so many seconds between."""

SYNCED_AT_ONCE = 64 * 2**20
"""Bytes of a file that arrives from another home, written before the disk must have them."""


class LocalBlobs:
    """The driver of a home `file:///directory`. `address` is what manifests name it by."""

    traits = Traits(durable=True, ranges_while_uploading=True, path=True, largest_block=2 * 2**20)

    def __init__(
        self,
        address: str,
        directory: Directory,
        chunks: Chunks,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.name = address
        self.directory = directory
        self._chunks = chunks
        self._idle_seconds = idle_seconds
        self._threads = ThreadPoolExecutor(THREADS, "lading-files")
        self._files: dict[str, Incoming] = {}
        self._turns: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()
        self._entries = GroupCommit(partial(self._run, directory.sync_entries))
        self._writes: set[asyncio.Task[bool]] = set()

    async def close(self) -> None:
        """Wait for what is being written, and close all files."""
        await asyncio.gather(*self._writes, return_exceptions=True)
        for file in list(self._files.values()):
            self._forget(file)
        self._threads.shutdown()
        self.directory.close()

    # -- pieces

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        # A caller may give up; the locks must be kept until the threads are done.
        task = asyncio.create_task(self._write(upload_id, piece, data))
        self._writes.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    def _written(self, task: asyncio.Task[bool]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()

    async def _write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        place = piece.slice_start
        async with self._turn(upload_id, place), self._opened(upload_id, place) as file:
            if file is None:
                return await self._after_end(upload_id, piece)
            return await self._put(file, upload_id, piece, data)

    async def _put(self, file: Incoming, upload_id: str, piece: Piece, data: bytes) -> bool:
        """Store a piece whose place in the file is locked."""
        offset = piece.slice_start % SPAN
        fresh = await self._run(_write_hole, self.directory, file.descriptor, data, offset)
        if not fresh:
            stored = await self._chunks.at(upload_id, piece.slice_start)
            if stored is not None:
                return _same(stored, piece)
            await self._check_joined(upload_id, piece.slice_start)
            await self._run(self.directory.write, file.descriptor, data, offset)
        if not file.entered:
            await self._entries()
            file.entered = True
        await file.sync()
        try:
            return await self._chunks.write(upload_id, piece)
        except ChunkConflict:
            await self._give_way(file, upload_id, piece, fresh)
            raise

    async def _check_joined(self, upload_id: str, place: int) -> None:
        """Raise ChunkConflict where a piece was stored that was joined into an earlier one.

        Between the two may stand void pieces, which are about to be deleted.
        """
        first = max(0, place - MAX_CHUNK_SIZE)
        async with aclosing(self._chunks.pieces(upload_id, first, place)) as earlier:
            async for each in earlier:
                if each.end > place:
                    raise conflict(each)

    async def _give_way(self, file: Incoming, upload_id: str, piece: Piece, fresh: bool) -> None:
        """Another piece was committed since this one was written.

        Its writer had no lock any more: its process ended, or gave up, while the database had not
        answered yet. Nobody was told that the piece is stored.
        """
        if fresh:
            zeros = bytes(piece.size)
            await self._run(self.directory.write, file.descriptor, zeros, piece.slice_start % SPAN)
            await file.sync()
        try:
            await self._check(upload_id, piece.slice_start)
        except Internal:
            await self._chunks.remove(upload_id, piece.slice_start)
            raise Unavailable(
                "Another writer's piece at this place was given up; try again."
            ) from None

    async def _after_end(self, upload_id: str, piece: Piece) -> bool:
        """What to answer when pieces are listed and their file is not in `incoming` any more."""
        stored = await self._chunks.at(upload_id, piece.slice_start)
        if stored is None:
            raise moved(upload_id, piece.slice_start)
        return _same(stored, piece)

    async def _check(self, upload_id: str, place: int) -> None:
        """Raise Internal if a piece is listed here and its bytes are not right."""
        listed = await self._chunks.at(upload_id, place)
        if listed is not None:
            await self.read(upload_id, [listed])

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        data = await self._run(read_pieces, self.directory, upload_id, pieces)
        if data is None:
            raise moved(upload_id, pieces[0].slice_start)
        return data

    async def remove(self, upload_id: str, place: int) -> None:
        await self._chunks.remove(upload_id, place)
        attempt = place // SPAN
        if not await self._is_listed(upload_id, attempt):
            await self._unlink(incoming_name(upload_id, attempt))

    async def join(self, upload_id: str, chain: list[Piece]) -> bool:
        # The bytes lie side by side in the file already.
        return await self._chunks.join(upload_id, chain, keeps_data=False)

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        deleted = await self._chunks.delete(manifest.id, most, before)
        if deleted < most:
            attempts = manifest.attempt + 1 if before is None else before // SPAN
            await self._unlink(*incoming_names(manifest.id, attempts))
            if before is None:
                await self._run(self.directory.delete_finished, manifest.id)
        return deleted

    # -- finished files

    async def place(self, manifest: Manifest) -> None:
        kind = PUBLIC if manifest.public else PRIVATE
        name = incoming_name(manifest.id, manifest.attempt)
        found = await self._run(self.directory.finished, manifest.id)
        if found is None:
            await self._publish(manifest, name, kind)
        elif found != kind:
            await self._run(self.directory.change_kind, manifest.id, found, kind)
        await self._unlink(name)

    async def _publish(self, manifest: Manifest, name: str, kind: str) -> None:
        size = manifest.size
        assert size is not None
        if not size:
            await self._run(self.directory.publish_nothing, manifest.id, kind)
            return
        async with self._whole(name, create=False) as descriptor:
            if descriptor is not None:
                await self._run(_complete, self.directory, descriptor, manifest)
                await self._run(self.directory.publish, name, manifest.id, kind)
                return
        if await self._run(self.directory.finished, manifest.id) is None:
            raise moved(manifest.id, 0)

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        kind = PUBLIC if manifest.public else PRIVATE
        if not manifest.size:
            await self._run(self.directory.publish_nothing, manifest.id, kind)
            return
        name = incoming_name(manifest.id, manifest.attempt)
        async with self._whole(name, create=True) as descriptor:
            assert descriptor is not None
            try:
                await self._copy(descriptor, pieces)
                await self._run(_complete, self.directory, descriptor, manifest)
                await self._run(self.directory.publish, name, manifest.id, kind)
            except BaseException:
                # Incomplete files must not fill the disk; the move begins again.
                self.directory.unlink_incoming(name)
                raise

    async def _copy(self, descriptor: int, pieces: Pieces) -> None:
        unsynced = 0
        async for piece, data in pieces:
            await self._run(self.directory.write, descriptor, data, piece.slice_start)
            unsynced += piece.size
            if unsynced >= SYNCED_AT_ONCE:
                await self._run(self.directory.sync_data, descriptor)
                unsynced = 0

    async def drop(self, manifest: Manifest, check: Check) -> None:
        await check()
        # Of all attempts: a power cut may have brought back the file of an earlier one.
        await self._unlink(*incoming_names(manifest.id, manifest.attempt + 1))
        await self._run(self.directory.delete_finished, manifest.id)

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        if not await self._run(self.directory.write_beside, upload_id, name, data):
            raise moved(upload_id, 0)

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        return await self._run(self.directory.read_beside, upload_id, name)

    async def path(self, manifest: Manifest, name: str = ORIGINAL) -> str | None:
        """The path of a finished file or its picture below the home's directory.

        It is for another program to send. None while it is not in its final place.
        """
        kind = await self._run(self.directory.finished, manifest.id, name)
        return None if kind is None else f"{kind}/{manifest.id[-2:]}/{manifest.id}/{name}"

    async def uploads(self) -> AsyncIterator[str]:
        for name in await self._run(self.directory.incoming):
            if LISTED.fullmatch(name.partition(".")[0]):
                yield name.partition(".")[0]
        for kind in (PRIVATE, PUBLIC):
            for upload_id, names in await self._kept(kind):
                if ORIGINAL in names:
                    yield upload_id

    async def pictured(self) -> AsyncIterator[str]:
        for kind in (PRIVATE, PUBLIC):
            for upload_id, names in await self._kept(kind):
                if names != [ORIGINAL]:
                    yield upload_id

    async def _kept(self, kind: str) -> list[tuple[str, list[str]]]:
        return await self._run(lambda: list(self.directory.kept(kind)))

    # -- files

    @asynccontextmanager
    async def _opened(self, upload_id: str, place: int) -> AsyncIterator[Incoming | None]:
        """An upload's file with the place of a piece locked in it.

        None when it is not in `incoming` any more, though pieces of it are listed.
        """
        attempt, offset = divmod(place, SPAN)
        name = incoming_name(upload_id, attempt)
        for _ in range(PATIENCE):
            file = self._files.get(name) or await self._open(name, upload_id, attempt)
            if file is None:
                yield None
                return
            with file:
                if not try_lock(file.descriptor, offset, 1):
                    await asyncio.sleep(PAUSE)
                    continue
                try:
                    if self.directory.is_incoming(name, file.descriptor):
                        yield file
                        return
                finally:
                    unlock(file.descriptor, offset, 1)
                self._forget(file)
        raise Unavailable("Another process writes at this place; try again.")

    async def _open(self, name: str, upload_id: str, attempt: int) -> Incoming | None:
        async with self._turn(name, -1):
            if name not in self._files:
                descriptor = await self._descriptor(name, upload_id, attempt)
                if descriptor is None:
                    return None
                sync = partial(self._run, self.directory.sync_data, descriptor)
                file = Incoming(name, descriptor, sync, self._forget, self._idle_seconds)
                self._files[name] = file
            return self._files[name]

    async def _descriptor(self, name: str, upload_id: str, attempt: int) -> int | None:
        """A file that was published or deleted must not appear again, empty."""
        descriptor = await self._run(self.directory.open_incoming, name, create=False)
        if descriptor is None:
            # Where no piece is listed there is none yet; another server may make it just now.
            first = not await self._is_listed(upload_id, attempt)
            descriptor = await self._run(self.directory.open_incoming, name, create=first)
        return descriptor

    def _turn(self, name: str, place: int) -> asyncio.Lock:
        """The lock of this process for one thing of an upload."""
        return self._turns.setdefault((name, place), asyncio.Lock())

    def _forget(self, file: Incoming) -> None:
        """Leave a file to those who are still writing, and open it anew for the next ones."""
        if self._files.get(file.name) is file:
            del self._files[file.name]
        file.close()

    @asynccontextmanager
    async def _whole(self, name: str, *, create: bool) -> AsyncIterator[int | None]:
        """A descriptor of an upload's file that nobody else writes; None when there is none."""
        for _ in range(PATIENCE):
            descriptor = await self._run(self.directory.open_incoming, name, create=create)
            if descriptor is None:
                yield None
                return
            try:
                if try_lock(descriptor, 0, 0) and self.directory.is_incoming(name, descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)
            await asyncio.sleep(PAUSE)
        raise Unavailable("The file is being written by another process; try again.")

    async def _is_listed(self, upload_id: str, attempt: int) -> bool:
        """Whether an attempt has pieces."""
        last = await self._chunks.before(upload_id, (attempt + 1) * SPAN)
        return last is not None and last.slice_start >= attempt * SPAN

    async def _unlink(self, *names: str) -> None:
        for name in names:
            if name in self._files:
                self._forget(self._files[name])
        await self._run(self.directory.unlink_incoming, *names)

    async def _run(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run a call that waits for the disk in a thread; its failures are Lading's errors."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(call, *arguments, **options))
        except OSError as error:
            raise translated(error) from error


def _same(stored: Piece, piece: Piece) -> bool:
    """False, for the very same piece was there before; else ChunkConflict."""
    if stored == piece:
        return False
    raise conflict(stored)


def _write_hole(directory: Directory, descriptor: int, data: bytes, offset: int) -> bool:
    """Write where nothing was written before. False, and nothing is written, where it was.

    Bytes of a stored piece were written before its document: where there is a hole, there is none.
    """
    if not is_hole(descriptor, offset, len(data)):
        return False
    directory.write(descriptor, data, offset)
    return True


def read_pieces(directory: Directory, upload_id: str, pieces: Sequence[Piece]) -> bytes | None:
    """The verified bytes of pieces in a row; None when the file is nowhere in the directory."""
    attempt, offset = divmod(pieces[0].slice_start, SPAN)
    descriptor = directory.open_any(upload_id, incoming_name(upload_id, attempt))
    if descriptor is None:
        return None
    try:
        data = os.pread(descriptor, pieces[-1].end - pieces[0].slice_start, offset)
    finally:
        os.close(descriptor)
    verify(upload_id, pieces, data)
    return data


def _complete(directory: Directory, descriptor: int, manifest: Manifest) -> None:
    """Give a finished file its exact length and make it durable."""
    size, stored = manifest.size, os.fstat(descriptor).st_size
    assert size is not None
    if stored < size:
        raise Internal(f"The stored bytes of {manifest.id} end at {stored}, not at {size}.")
    if stored > size:  # bytes that came too late
        directory.truncate(descriptor, size)
    directory.sync_file(descriptor)
