"""`lading import`: the files of an archive, with their ids, owners and all that is known of them.

Each file takes the path of an upload: stored piece by piece in the present home, proven, published
by one write. Its digest stands behind its bytes in the archive, so nothing is published that does
not have it. A file that is there with the same digest is skipped, and one that a run left
unfinished is stored afresh; so a run that broke off is simply done again.
Source: docs/decisions/0060.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from lading.protocol.archive import (
    CONTENT,
    DIGEST,
    FIRST,
    LARGEST_DOCUMENT,
    LAST,
    MANIFEST,
    ArchivedFile,
    check_format,
    parse_document,
    parse_file,
    split_member,
)
from lading.protocol.errors import (
    ChecksumMismatch,
    Gone,
    InvalidArgument,
    LadingError,
    StorageFull,
    Unavailable,
)
from lading.protocol.manifest import Manifest, State
from lading.server.access.principal import Principal
from lading.server.uploads.export import Watch
from lading.server.uploads.for_each import for_each
from lading.server.uploads.intake import HELD, Intake, Taken, at_hand
from lading.server.uploads.open_uploads import OpenUpload
from lading.server.uploads.uploads import Uploads
from lading.storage.open import Storage

READ_AT_ONCE = 2**20

SMALL_AT_ONCE = 8
"""Files of one piece that are stored at the same time."""

CUT_SHORT = (
    "The archive is cut short. What came before is imported; get the whole archive, and run the "
    "command again."
)


class CutShort(InvalidArgument):
    """The archive ends in the middle."""

    def __init__(self) -> None:
        super().__init__(CUT_SHORT)


class Archive(Protocol):
    """An archive that is read from its beginning to its end."""

    async def next(self) -> tuple[str, int] | None:
        """Name and size of the next member; None at the end. Raises CutShort, InvalidArgument."""
        ...

    async def read(self, most: int) -> bytes:
        """The next bytes of the member; none at its end. Raises CutShort."""
        ...


@dataclass(slots=True)
class Restored:
    """What a run did, in files and bytes. `failed` has ids and reasons."""

    files: int = 0
    size: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    whole: bool = False
    """Whether the archive was read to its end."""


@dataclass(slots=True)
class _Read:
    """A file as far as it was read: one of a single piece as `data`, another is stored already."""

    file: ArchivedFile
    data: bytes | None = None
    taken: Taken | None = None
    said: dict[str, Any] = field(default_factory=dict)
    """What stands behind its bytes: their digest, or why there is none."""


class Restorer:
    """Stores the files of archives. `chunk_size` is that of new uploads, `ttl` their life in s."""

    def __init__(
        self, storage: Storage, uploads: Uploads, watch: Watch, *, chunk_size: int, ttl: float
    ) -> None:
        self._storage = storage
        self._uploads = uploads
        self._watch = watch
        self._chunk_size = chunk_size
        self._ttl = ttl
        self._done = Restored()
        self._current: _Read | None = None

    async def run(self, archive: Archive) -> Restored:
        """Store what is not there; raises InvalidArgument where it is no archive of ours.

        Raises Unavailable and StorageFull too, which end the run.
        """
        first = await archive.next()
        if first is None or first[0] != FIRST:
            raise InvalidArgument("This is no archive of `lading export`.")
        self._watch.begun(*check_format(await _document(archive, first[1])))
        # A large file is stored while it is read, small ones some at the same time.
        await for_each(self._small(archive), SMALL_AT_ONCE, self._store_small)
        if not self._done.whole:
            raise CutShort
        return self._done

    async def _small(self, archive: Archive) -> AsyncIterator[_Read]:
        """Read the archive to its end; returns the small files, each when it is read whole."""
        while not self._done.whole:
            try:
                member = await archive.next()
                read = None if member is None else await self._member(archive, *member)
            except CutShort:
                return  # what came whole is stored first
            if member is None:
                return
            if read is not None:
                yield read

    async def _member(self, archive: Archive, name: str, size: int) -> _Read | None:
        """Read one member; returns the small file that it completes."""
        if name == LAST:
            parse_document(await _document(archive, size))
            self._done.whole = True
        found = split_member(name)
        if found is None:
            return None
        file_id, part = found
        try:
            return await self._part(archive, file_id, part, size)
        except (Unavailable, StorageFull, CutShort):
            raise
        except LadingError as error:
            self._fail(file_id, 0 if self._current is None else self._current.file.size, error)
            self._current = None
        return None

    async def _part(self, archive: Archive, file_id: str, part: str, size: int) -> _Read | None:
        if part == MANIFEST:
            self._current = None
            file = parse_file(await _document(archive, size))
            if file.id != file_id:
                raise InvalidArgument("The manifest is that of another file.")
            self._current = _Read(file)
        current = self._current
        if current is None or current.file.id != file_id:
            return None  # it was refused, or is there
        if part == CONTENT:
            await self._content(archive, current, size)
        if part == DIGEST:
            self._current = None
            current.said = parse_document(await _document(archive, size))
            if current.taken is None:
                return current
            await self._finish(current, current.taken)
        return None

    def _fail(self, file_id: str, size: int, error: LadingError) -> None:
        self._done.failed.append((file_id, str(error)))
        self._watch.ended(file_id, size, done=False)

    # -- one file

    async def _content(self, archive: Archive, current: _Read, size: int) -> None:
        if size != current.file.size:
            raise InvalidArgument("The content has another size than the manifest says.")
        if size <= self._chunk_size:
            current.data = await _whole(archive, size)
            return
        upload = await self._open(current.file)
        if upload is None:
            self._current = None
        else:
            current.taken = await self._store(upload, self._body(archive, current.file.id))

    async def _body(self, archive: Archive, file_id: str) -> AsyncIterator[bytes]:
        while data := await archive.read(READ_AT_ONCE):
            self._watch.moved(file_id, len(data))
            yield data

    async def _store_small(self, read: _Read) -> None:
        try:
            _check_whole(read)
            upload = await self._open(read.file)
            if upload is not None:
                taken = await self._store(upload, at_hand(read.data or b""))
                self._watch.moved(read.file.id, taken.size)
                await self._finish(read, taken)
        except (Unavailable, StorageFull):
            raise
        except LadingError as error:
            self._fail(read.file.id, read.file.size, error)

    async def _open(self, file: ArchivedFile) -> OpenUpload | None:
        """The upload to store a file with; None if it is there already."""
        there = await self._storage.manifests.get(file.id)
        if there is None:
            return await self._create(file)
        if there.state is not State.READY:
            return await self._again(there, file)
        _check_same(there, file)
        self._done.skipped += 1
        self._watch.ended(file.id, file.size, done=True, skipped=True)
        return None

    async def _store(self, upload: OpenUpload, body: AsyncIterator[bytes]) -> Taken:
        return await Intake(self._uploads, upload, HELD).store(body)

    async def _create(self, file: ArchivedFile) -> OpenUpload:
        now = self._storage.clock()
        manifest = Manifest(
            id=file.id,
            user_id=file.user_id,
            name=file.name,
            directory=file.directory,
            size=file.size,
            mime_type=file.mime_type,
            chunk_size=self._chunk_size,
            sha256=file.sha256,
            tags=file.tags,
            blobs=self._storage.blobs.ingest,
            kind=file.kind,
            meta=file.meta,
            sender=file.sender,
            public=file.public,
            media=file.media,
            created_at=file.created_at,
            updated_at=now,
            modified_at=file.modified_at,
            expires_at=now + self._ttl,
        )
        # A quota bounds what a user does. What they had before is given back in any case.
        await self._storage.quotas.reserve(file.user_id, file.id, file.size, bounded=False)
        await self._storage.manifests.create(manifest)
        return self._uploads.opened.share(manifest, 0)

    async def _again(self, there: Manifest, file: ArchivedFile) -> OpenUpload:
        """An upload that an earlier run left unfinished, with nothing stored."""
        if there.state is State.TRASHED:
            raise Gone("It is in the trash here. Restore it, or delete it for good.")
        if there.state is not State.UPLOADING:
            raise Gone(
                "It was deleted here a short time ago. Import it again when LADING_TOMBSTONE_TTL "
                "has passed, or into another Lading."
            )
        if (there.user_id, there.size) != (file.user_id, file.size):
            raise InvalidArgument("Another upload has this id here. It stays.")
        upload = self._uploads.opened.share(there, 0)
        await self._uploads.begin_again(upload)
        return upload

    async def _finish(self, read: _Read, taken: Taken) -> None:
        """Publish a file whose bytes are stored, if they are those that were exported."""
        file = read.file
        _check_whole(read)
        if taken.size != file.size or taken.sha256 != read.said.get("sha256"):
            raise _damaged()
        finished = await self._uploads.finish(
            Principal(file.user_id), file.id, file.size, hashed=taken.sha256, head=taken.head
        )
        if finished.expires_at != file.expires_at:
            # Its end is the one that it had, and not the one that its kind gives to new files.
            now = self._storage.clock()
            await self._storage.manifests.change(
                file.id, expires_at=file.expires_at, now=now, states=(State.READY,)
            )
        if self._storage.blobs.home != self._storage.blobs.ingest:
            await self._uploads.todo.once()  # else all of the archive would wait in the database
        self._done.files += 1
        self._done.size += file.size
        self._watch.ended(file.id, file.size, done=True)


def _check_whole(read: _Read) -> None:
    """Raise InvalidArgument for a file that was damaged at its export, or has no bytes."""
    if "damaged" in read.said:
        raise InvalidArgument(
            f"It could not be read whole when it was exported: {read.said['damaged']}"
        )
    if read.data is None and read.taken is None:
        raise _damaged()


def _damaged() -> ChecksumMismatch:
    return ChecksumMismatch("Its bytes are not those that were exported: the archive is damaged.")


def _check_same(there: Manifest, file: ArchivedFile) -> None:
    """Raise InvalidArgument where a file of this id has other bytes."""
    digests = [(there.sha256, file.sha256), (there.crc32c, file.crc32c)]
    known = [(one, other) for one, other in digests if None not in (one, other)]
    if there.size != file.size or any(one != other for one, other in known) or not known:
        raise InvalidArgument("Another file has this id here, with other bytes. It stays.")


async def _document(archive: Archive, size: int) -> bytes:
    if size > LARGEST_DOCUMENT:
        raise InvalidArgument("A document of the archive is too large.")
    return await _whole(archive, size)


async def _whole(archive: Archive, size: int) -> bytes:
    found = bytearray()
    while data := await archive.read(size - len(found)):
        found += data
    return bytes(found)
