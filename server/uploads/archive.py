"""Archives: several finished files as one ZIP, made while it is sent, from any byte on.

Nothing of it is stored. Its layout follows from the manifests (`zip_layout.py`), its bytes come
from the reader, and its directory needs the CRC-32 of each file. That is computed when the file is
sent for the first time, and kept in the manifest; later ranges need no second reading.
Source: page 4 of the design, `GET /v1/archive`; docs/decisions/0076.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from lading.protocol.digests import crc32_combine
from lading.protocol.errors import Incomplete, LadingError, NotFound, TooLarge
from lading.protocol.manifest import Manifest, State
from lading.protocol.names import canonical_directory
from lading.server.access.principal import Principal
from lading.server.uploads.files import Library
from lading.server.uploads.uploads import Uploads
from lading.server.uploads.zip_layout import Entry, Layout, descriptor_size
from lading.server.uploads.zip_names import safe_path, unique
from lading.storage.collections.manifests import FileFilter, Manifests

PAGE = 1000
WRITTEN_AT_ONCE = 64 * 1024
FORM = "1"
"""Part of every tag: another layout of the same files is another archive."""


class Archives:
    """Makes archives. An archive has at most `most` files."""

    def __init__(self, uploads: Uploads, library: Library, manifests: Manifests, most: int) -> None:
        self._uploads = uploads
        self._library = library
        self._manifests = manifests
        self._most = most

    async def make(
        self, principal: Principal, directory: str | None, ids: Sequence[str] = ()
    ) -> Archive:
        """All files of a directory and those below it, whose paths begin with its own name; and
        some files by id, without their directories.

        Raises NotFound where there are none, TooLarge for too many, Gone, Rejected, Incomplete, and
        Undecided for one that waits for approval.
        """
        named: dict[str, tuple[str, Manifest]] = {}
        if directory is not None:
            above = len(canonical_directory(directory).rpartition("/")[0])
            for each in await self._below(principal, directory):
                named[each.id] = f"{each.directory[above:]}/{_plain(each.name)}", each
        for each in [await self._uploads.get(principal, one) for one in dict.fromkeys(ids)]:
            self._uploads.approvals.check_readable(each)
            if each.state is not State.READY:
                raise Incomplete(f"{each.id} is still being uploaded.")
            named.setdefault(each.id, (_plain(each.name), each))
        self._check_number(len(named))
        if not named:
            raise NotFound("There are no files in this directory.")
        return await asyncio.to_thread(self._archive, list(named.values()))

    async def _below(self, principal: Principal, directory: str) -> list[Manifest]:
        wanted = FileFilter(directory=directory, recursive=True)
        files: list[Manifest] = []
        before: str | None = None
        while page := await self._library.files(principal, wanted=wanted, before=before, most=PAGE):
            files += page
            before = page[-1].id
            self._check_number(len(files))
        return files

    def _check_number(self, number: int) -> None:
        if number > self._most:
            raise TooLarge(f"An archive may have at most {self._most} files.", limit=self._most)

    def _archive(self, named: list[tuple[str, Manifest]]) -> Archive:
        ordered = sorted(((safe_path(path), file) for path, file in named), key=_order)
        names = unique(path for path, _ in ordered)
        return Archive(self._uploads, self._manifests, [file for _, file in ordered], names)


def _plain(name: str) -> str:
    """A name as one part of a path."""
    return name.replace("/", "_")


def _order(each: tuple[str, Manifest]) -> tuple[str, str]:
    path, file = each
    return path, file.id


class Archive:
    """One archive. `etag` changes when any byte of it does."""

    def __init__(
        self, uploads: Uploads, manifests: Manifests, files: Sequence[Manifest], names: list[str]
    ) -> None:
        self._uploads = uploads
        self._manifests = manifests
        self._files = files
        self._layout = Layout([_entry(*each) for each in zip(files, names, strict=True)])
        self._crcs = [file.crc32 for file in files]
        self.size = self._layout.size
        self.etag = f'"zip-{self._digest()}"'

    def _digest(self) -> str:
        found = hashlib.sha256(FORM.encode())
        for file, entry in zip(self._files, self._layout.entries, strict=True):
            facts = (file.key, file.attempt, file.crc32c, file.sha256, *entry)
            found.update(f"{facts!r}\n".encode())
        return found.hexdigest()[:32]

    async def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes `[start, end)`. Raises what `Uploads.read` raises."""
        layout = self._layout
        place = start
        first = max(0, bisect_right(layout.heads, start) - 1)
        for index in range(first, len(self._files)):
            if layout.heads[index] >= end:
                return
            async with aclosing(self._entry(index, place, end)) as blocks:
                async for data in blocks:
                    if data:
                        place += len(data)
                        yield data
        async with aclosing(self._directory(place, end)) as blocks:
            async for data in blocks:
                if data:
                    yield data

    async def _entry(self, index: int, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """What of `[start, end)` belongs to one entry."""
        file, head = self._files[index], self._layout.head(index)
        begins = self._layout.heads[index]
        yield _cut(head, begins, start, end)
        begins += len(head)
        size = self._layout.entries[index].size
        first, last = max(0, start - begins), min(size, end - begins)
        if first < last:
            async with aclosing(self._bytes(index, first, last)) as blocks:
                async for data in blocks:
                    yield data
        begins += size
        if end > begins and start < begins + descriptor_size(self._layout.entries[index]):
            crc = await self._crc(index, file)
            yield _cut(self._layout.descriptor(index, crc), begins, start, end)

    async def _bytes(self, index: int, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Bytes of a file. If they reach its end, its CRC-32 is known afterwards."""
        file = self._files[index]
        reading = self._uploads.read(file, first, last)
        if self._crcs[index] is not None or last < self._layout.entries[index].size:
            async for data in reading:
                yield data
            return
        # What was sent by an earlier request is read again beside, for its CRC-32 alone.
        before = asyncio.create_task(self._sum(file, first))
        crc = 0
        try:
            async for data in reading:
                crc = await asyncio.to_thread(zlib.crc32, data, crc)
                yield data
            await self._note(index, crc32_combine(await before, crc, last - first))
        finally:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)

    async def _directory(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """What of `[start, end)` is behind the last entry."""
        place = self._layout.directory
        waiting = bytearray()
        for index, file in enumerate(self._files):
            size = len(self._layout.record(index, 0))
            if place < end and start < place + size:
                record = self._layout.record(index, await self._crc(index, file))
                waiting += _cut(record, place, start, end)
                if len(waiting) >= WRITTEN_AT_ONCE:
                    yield bytes(waiting)
                    waiting.clear()
            place += size
        yield bytes(waiting) + _cut(self._layout.end(), place, start, end)

    async def _crc(self, index: int, file: Manifest) -> int:
        """The CRC-32 of a file; it is read for that unless it is known."""
        known = self._crcs[index]
        if known is None:
            known = await self._sum(file, file.size or 0)
            await self._note(index, known)
        return known

    async def _sum(self, file: Manifest, end: int) -> int:
        """The CRC-32 of the first bytes of a file."""
        crc = 0
        if end:
            async for data in self._uploads.read(file, 0, end):
                crc = await asyncio.to_thread(zlib.crc32, data, crc)
        return crc

    async def _note(self, index: int, crc: int) -> None:
        self._crcs[index] = crc
        with suppress(LadingError):  # the next archive computes it again
            await self._manifests.note_crc32(self._files[index], crc)


def _entry(file: Manifest, name: str) -> Entry:
    assert file.size is not None
    return Entry(name, file.size, file.modified_at or file.created_at)


def _cut(part: bytes, place: int, start: int, end: int) -> bytes:
    """What of `[start, end)` is in a part that begins at `place`."""
    return part[max(0, start - place) : max(0, end - place)]
