"""`lading export`: every finished file, with what is known of it, as one stream.

Each file is read as for a download, verified piece by piece, one after the other, so memory does
not grow with files or their number. A file that cannot be read whole stands in the archive with the
reason in place of its digest. Source: docs/decisions/0060.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from lading.protocol.archive import (
    CLOSING,
    CONTENT,
    DIGEST,
    FIRST,
    FORMAT,
    LAST,
    MANIFEST,
    VERSION,
    archived,
    document,
    file_document,
    header,
    member_of,
    padding,
    whole_member,
)
from lading.protocol.digests import Sha256
from lading.protocol.errors import Internal, LadingError
from lading.protocol.manifest import Manifest, State
from lading.server.uploads.uploads import Uploads
from lading.storage.open import Storage

ZEROS = bytes(2**20)

Write = Callable[[bytes], Awaitable[None]]
"""Takes the next bytes of the archive."""


class Watch(Protocol):
    """Who is told how far a run is. Sizes are in bytes."""

    def begun(self, files: int, size: int) -> None:
        """So much is there."""

    def moved(self, file_id: str, size: int) -> None:
        """So many more bytes of a file are done."""

    def ended(self, file_id: str, size: int, *, done: bool, skipped: bool = False) -> None:
        """A file is done, or failed; `skipped` if it was there before."""


@dataclass(slots=True)
class Exported:
    """What a run did, in files and bytes. `failed` has ids and reasons."""

    files: int = 0
    size: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


class Exporter:
    """Writes the archive of one Lading."""

    def __init__(self, storage: Storage, uploads: Uploads, write: Write, watch: Watch) -> None:
        self._storage = storage
        self._uploads = uploads
        self._write = write
        self._watch = watch

    async def run(self) -> Exported:
        """Write everything that is finished; raises Unavailable, and what `write` raises."""
        files, size = 0, 0
        async for each in self._storage.derivatives.every_file():
            files, size = files + 1, size + (each.size or 0)
        self._watch.begun(files, size)
        about = {"format": FORMAT, "version": VERSION, "files": files, "bytes": size}
        await self._write(whole_member(FIRST, document(about)))
        done = Exported()
        async for each in self._storage.derivatives.every_file():
            manifest = await self._storage.manifests.get(each.id)
            if manifest is not None and manifest.state is State.READY:
                await self._file(manifest, done)
        end = document({"files": done.files, "bytes": done.size})
        await self._write(whole_member(LAST, end) + CLOSING)
        return done

    async def _file(self, manifest: Manifest, done: Exported) -> None:
        file = archived(manifest)
        about = whole_member(member_of(file.id, MANIFEST), file_document(file), file.created_at)
        await self._write(about + header(member_of(file.id, CONTENT), file.size, file.created_at))
        digest, reason = Sha256(), None
        try:
            await self._content(manifest, digest)
            if manifest.sha256 is not None and manifest.sha256 != digest.hexdigest():
                raise Internal("The stored bytes do not have the SHA-256 of the file.")
        except LadingError as error:
            reason = str(error)
            done.failed.append((file.id, reason))
            await self._fill(file.size - digest.size)
        said = {"sha256": digest.hexdigest()} if reason is None else {"damaged": reason}
        last = whole_member(member_of(file.id, DIGEST), document(said), file.created_at)
        await self._write(padding(file.size) + last)
        done.files += reason is None
        done.size += 0 if reason is not None else file.size
        self._watch.ended(file.id, file.size, done=reason is None)

    async def _content(self, manifest: Manifest, digest: Sha256) -> None:
        assert manifest.size is not None
        async with aclosing(self._uploads.read(manifest, 0, manifest.size)) as blocks:
            async for data in blocks:
                digest.update(data)
                await self._write(data)
                self._watch.moved(manifest.id, len(data))

    async def _fill(self, size: int) -> None:
        """The rest of a member whose length was told already."""
        for start in range(0, size, len(ZEROS)):
            await self._write(ZEROS[: size - start])
