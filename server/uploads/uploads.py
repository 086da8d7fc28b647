"""The one path that every transport takes: create, resume, write, finish, abort.

A facade: each verb is carried out by the module of its name. Source: page 2 of the design.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from lading.imaging.made import Maker
from lading.janitor.move import Mover
from lading.janitor.sweep import Sweeper
from lading.protocol.errors import Unavailable
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import Coverage, Manifest, Piece
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.limits import UploadLimits
from lading.server.settings import Settings
from lading.server.uploads.arrivals import Arrivals
from lading.server.uploads.create import Creator
from lading.server.uploads.deletion import Deletion, Expected
from lading.server.uploads.derive import Deriver
from lading.server.uploads.direct import DirectUploads
from lading.server.uploads.finish import Finisher
from lading.server.uploads.finishing import Finishing
from lading.server.uploads.growing import Growing
from lading.server.uploads.open_uploads import (
    REPLACED,
    OpenUpload,
    OpenUploads,
    Written,
)
from lading.server.uploads.pictures import Pictures
from lading.server.uploads.reader import Reader
from lading.server.uploads.resume import Resumer
from lading.server.uploads.todo import Step, Todo
from lading.server.uploads.verifier import Progress, Verifier
from lading.server.uploads.write import Writer
from lading.storage.collections.outbox import DERIVE, EMPTY, MOVE, PLACE
from lading.storage.open import Storage

USUAL_LIMITS = UploadLimits()


class Uploads:
    """All uploads of the server."""

    def __init__(
        self,
        storage: Storage,
        sweeper: Sweeper,
        settings: Settings,
        limits: UploadLimits = USUAL_LIMITS,
        maker: Maker | None = None,
    ) -> None:
        """`maker` makes pictures; without it other servers do."""
        self._storage = storage
        self._limits = limits
        self._open = opened = OpenUploads(storage, settings.upload_ttl, limits)
        self.kinds = kinds = Kinds(settings.kinds)
        self._creator = Creator(
            storage,
            opened,
            kinds,
            chunk_size=settings.chunk_size,
            largest_chunk=settings.largest_chunk,
            upload_ttl=settings.upload_ttl,
        )
        self._resumer = Resumer(storage, opened)
        self.arrivals = Arrivals(storage.manifests, limits)
        self._writer = Writer(
            storage,
            opened,
            self.arrivals,
            kinds,
            late_pieces=settings.tombstone_ttl < limits.late_write_seconds,
        )
        self._reader = Reader(storage.contents, self._look_again, limits)
        self.growing = Growing(storage, opened, self._reader, self.arrivals, limits)
        mover = Mover(storage.manifests, storage.outbox, storage.contents, storage.blobs)
        steps: dict[str, Step] = {EMPTY: sweeper.empty, PLACE: mover.place, MOVE: mover.move}
        self.todo = Todo(
            storage.manifests, storage.outbox, steps, storage.clock, limits, others=(DERIVE,)
        )
        self.pictures = Pictures(
            storage, self._reader, kinds, limits, maker, children=max(1, settings.imaging)
        )
        self._deletion = Deletion(
            storage,
            opened,
            sweeper,
            self.todo,
            limits,
            settings.tombstone_ttl,
            settings.upload_ttl,
        )
        self.direct = DirectUploads(storage, opened, self._deletion, limits)
        verifier = Verifier(storage.contents, self._reader, limits)
        self._finisher = Finisher(
            storage,
            opened,
            kinds,
            verifier,
            todo=self.todo,
            pictures=self.pictures,
            lease=limits.todo_lease_seconds,
            direct=self.direct,
        )
        self.finishing = Finishing(self.finish, limits.outcome_seconds)
        """FINISH for callers that come back for what takes long."""

    # -- the verbs

    async def create(
        self, principal: Principal, spec: UploadSpec, *, direct: bool = False
    ) -> OpenUpload:
        """A new upload of the principal's; see `Creator.create`."""
        return await self._creator.create(principal, spec, direct=direct)

    async def resume(self, principal: Principal, upload_id: str) -> tuple[OpenUpload, Coverage]:
        """An upload of the principal's to resume, and what is durable of it.

        Raises NotFound, Gone. A finished upload is returned with nothing missing.
        """
        return await self._resumer.resume(principal, upload_id)

    async def join(self, principal: Principal, upload_id: str) -> OpenUpload:
        """An upload of the principal's to write one piece to; see `Resumer.join`."""
        return await self._resumer.join(principal, upload_id)

    async def write(
        self,
        upload: OpenUpload,
        slice_start: int,
        data: bytes,
        checksum: int,
        *,
        whole_cells: bool = True,
    ) -> Written:
        """Store a piece; it is durable on return. See `Writer.write`."""
        return await self._writer.write(
            upload, slice_start, data, checksum, whole_cells=whole_cells
        )

    async def begin_again(self, upload: OpenUpload) -> None:
        """Give up the bytes of an upload for others; see `Writer.begin_again`."""
        await self._writer.begin_again(upload)

    async def touch(self, upload: OpenUpload, *, at_once: bool = False, reach: int = 0) -> None:
        """Note activity, unless that was done a moment ago; raises Gone, NotFound."""
        await self._open.touch(upload, at_once=at_once, reach=reach)

    async def finish(
        self,
        principal: Principal,
        upload_id: str,
        size: int | None = None,
        sha256: str | None = None,
        *,
        progress: Progress | None = None,
        hashed: str | None = None,
        head: bytes | None = None,
    ) -> Manifest:
        """Prove that the upload is whole and publish it; see `Finisher.finish`."""
        finished = await self._finisher.finish(
            principal, upload_id, size, sha256, progress=progress, hashed=hashed, head=head
        )
        self.arrivals.note(upload_id)
        return finished

    async def abort(
        self, principal: Principal, upload_id: str, *, unfinished_only: bool = False
    ) -> None:
        """Delete the upload, or the file that it became in the meantime.

        Raises NotFound, Gone; for a file also Forbidden where the credential is a grant, and
        AlreadyComplete with `unfinished_only`.
        """
        await self._delete(principal, upload_id, unfinished_only=unfinished_only)

    async def discard(self, principal: Principal, upload_id: str) -> None:
        """Abort an upload that takes all or nothing: its grant counts as not used."""
        await self._creator.give_back(await self._delete(principal, upload_id))

    async def delete(
        self, principal: Principal, file_id: str, expected: Expected | None = None
    ) -> None:
        """Delete a file, or an upload under way; raises NotFound, Gone.

        `expected` raises when the manifest is not what the caller expects: see `Deletion.delete`.
        """
        await self._delete(principal, file_id, expected=expected)

    async def _delete(
        self,
        principal: Principal,
        upload_id: str,
        *,
        unfinished_only: bool = False,
        expected: Expected | None = None,
    ) -> Manifest:
        deleted = await self._deletion.delete(
            principal, upload_id, unfinished_only=unfinished_only, expected=expected
        )
        self.arrivals.note(upload_id)
        return deleted

    # -- looking

    async def get(self, principal: Principal, upload_id: str) -> Manifest:
        """The manifest of an upload or file of the principal's; raises NotFound, Gone."""
        return await self._open.get(principal, upload_id)

    async def find(self, upload_id: str, user_id: str | None) -> Manifest:
        """The manifest of an upload or file of that user, or of any user if None.

        For callers who may act for every user; raises NotFound, Gone.
        """
        return await self._open.find(upload_id, user_id)

    async def unfinished(
        self, principal: Principal, fingerprint: str | None = None, most: int = 100
    ) -> list[tuple[Manifest, Coverage]]:
        """The principal's uploads under way, the newest first, with what is stored of each."""
        return await self._resumer.unfinished(principal, fingerprint, most)

    async def coverage(self, manifest: Manifest) -> Coverage:
        """What is stored of an upload."""
        return await self._open.coverage(manifest)

    def pieces(self, manifest: Manifest) -> AsyncIterator[Piece]:
        """The stored pieces of an upload or file, in order."""
        if manifest.size is None:
            return self._storage.contents.pieces(manifest)
        return self._storage.contents.pieces(manifest, 0, manifest.size)

    def read(self, manifest: Manifest, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes `[start, end)`, verified piece by piece; see `Reader.read`.

        All of them must be stored. Raises Internal when stored bytes are damaged or gone.
        """
        return self._reader.read(manifest, start, end)

    async def _look_again(self, manifest: Manifest) -> Manifest:
        """The manifest as it is now, where a piece of the upload is not there any more.

        Raises Unavailable when its bytes were replaced, NotFound, Gone.
        """
        current = await self._open.after_end(manifest.id)
        if current.attempt != manifest.attempt:
            raise Unavailable(REPLACED)
        return current

    def rebuilding(self, maker: Maker, *, afresh: bool) -> Todo:
        """What makes pictures by hand, with `afresh` also those that files have."""
        storage = self._storage
        deriver = Deriver(storage, self._reader, self.kinds, maker, afresh=afresh)
        return Todo(
            storage.manifests,
            storage.outbox,
            {DERIVE: deriver.derive},
            storage.clock,
            self._limits,
            others=(EMPTY, PLACE, MOVE),
        )

    # -- the end of the server

    async def settle(self) -> None:
        """Wait for what is being published, and stop all else: `todo` remembers the rest."""
        await self.finishing.stop()
        await self.pictures.stop()
        await self.todo.stop()
        await self._finisher.settle()
