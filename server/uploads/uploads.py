"""The one path that every transport takes: create, resume, write, finish, abort.

A facade: each verb is carried out by the module of its name. Source: page 2 of the design.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from lading.imaging.made import Maker
from lading.janitor.move import Mover
from lading.janitor.sweep import Sweeper
from lading.protocol.errors import Unavailable
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import FINISHED, Coverage, Manifest, Piece, State
from lading.protocol.spec import UploadSpec
from lading.protocol.tus import PARTIAL
from lading.server.access.principal import Principal
from lading.server.hooks import NOBODY, Hooks
from lading.server.limits import UploadLimits, WebhookLimits
from lading.server.settings import Settings
from lading.server.uploads.approval import Approvals, Approver
from lading.server.uploads.arrivals import Arrivals
from lading.server.uploads.audit import Audit
from lading.server.uploads.create import Creator
from lading.server.uploads.deletion import Deletion, Expected
from lading.server.uploads.derive import Deriver
from lading.server.uploads.direct import DirectUploads
from lading.server.uploads.finish import Finisher
from lading.server.uploads.finishing import Finishing
from lading.server.uploads.growing import Growing
from lading.server.uploads.measure import measured
from lading.server.uploads.open_uploads import (
    REPLACED,
    OpenUpload,
    OpenUploads,
    Written,
)
from lading.server.uploads.pictures import Pictures
from lading.server.uploads.reader import Reader
from lading.server.uploads.replace import Replacer
from lading.server.uploads.resume import Resumer
from lading.server.uploads.running_digest import RunningDigest
from lading.server.uploads.todo import Step, Todo
from lading.server.uploads.verifier import Progress, Proven, Verifier
from lading.server.uploads.write import Writer
from lading.server.webhooks.announce import Announcer
from lading.server.webhooks.send import Sender
from lading.storage.collections.audit import Act
from lading.storage.collections.outbox import (
    APPROVE,
    CONCAT,
    DERIVE,
    EMPTY,
    MOVE,
    NOTIFY,
    PLACE,
    REPLACE,
)
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
        *,
        hooks: Hooks = NOBODY,
    ) -> None:
        """`maker` makes pictures; without it other servers do. `hooks` hear of what happens."""
        self._hooks = hooks
        self._storage = storage
        self._limits = limits
        self.audit = Audit(storage.audit, storage.clock, hooks.act)
        self.opened = opened = OpenUploads(storage, settings.upload_ttl, limits)
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
        self.announcer = Announcer(storage)
        steps: dict[str, Step] = {
            NOTIFY: self.announcer.notify,
            EMPTY: sweeper.empty,
            PLACE: mover.place,
            MOVE: mover.move,
        }
        self.todo = Todo(
            storage.manifests,
            storage.outbox,
            steps,
            storage.clock,
            limits,
            others=(APPROVE, DERIVE),
            hooks=hooks,
        )
        self.pictures = Pictures(
            storage,
            self._reader,
            kinds,
            limits,
            maker,
            children=max(1, settings.imaging),
            hooks=hooks,
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
        self.approvals = Approvals(
            storage,
            opened,
            self.arrivals,
            required=settings.approve_url is not None,
            wake=self._ask_now,
        )
        replacer = Replacer(storage, limits, self.audit, settings.tombstone_ttl, wake=self._wake)
        self.todo.learn(REPLACE, replacer.step)
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
            approvals=self.approvals,
            replacer=replacer,
            audit=self.audit,
            approve_wait=limits.approve_wait,
            observe=hooks.published,
        )
        approver = Approver(
            storage,
            settings,
            Sender(WebhookLimits(send_seconds=limits.approve_seconds), private=True),
            self.arrivals,
            publish=self._finisher.publish_approved,
            reject=self._reject,
        )
        self.approving = Todo(
            storage.manifests,
            storage.outbox,
            {APPROVE: approver.step},
            storage.clock,
            limits,
            others=(CONCAT, NOTIFY, EMPTY, REPLACE, PLACE, MOVE, DERIVE),
            at_once=limits.approve_at_once,
            hooks=hooks,
            left=self._wake,
        )
        finish = partial(self.finish, patience=math.inf)
        self.finishing = Finishing(finish, limits.outcome_seconds)
        """FINISH for callers that come back for what takes long."""

    async def _reject(self, manifest: Manifest) -> None:
        await self._deletion.reject(manifest, remembered=True)
        await self.audit.note(Act.REJECTED, None, manifest)

    def _ask_now(self) -> None:
        self.approving.wake()

    def _wake(self) -> None:
        """There are steps for other workers."""
        self.todo.wake()
        self.pictures.todo.wake()

    # -- the verbs

    async def create(
        self,
        principal: Principal,
        spec: UploadSpec,
        *,
        direct: bool = False,
        todo: tuple[str, ...] = (),
        paid: int = 0,
        revision: int | None = None,
    ) -> OpenUpload:
        """A new upload of the principal's; see `Creator.create`."""
        creating = self._creator.create(
            principal, spec, direct=direct, todo=todo, paid=paid, revision=revision
        )
        return await measured(self._hooks, "create", creating)

    def hash_along(self, upload: OpenUpload) -> None:
        """Compute the SHA-256 of a new upload while its pieces are stored, for FINISH."""
        upload.running = RunningDigest(upload.manifest.attempt)

    async def resume(self, principal: Principal, upload_id: str) -> tuple[OpenUpload, Coverage]:
        """An upload of the principal's to resume, and what is durable of it.

        Raises NotFound, Gone. A finished upload is returned with nothing missing.
        """
        return await measured(self._hooks, "resume", self._resumer.resume(principal, upload_id))

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
        writing = self._writer.write(upload, slice_start, data, checksum, whole_cells=whole_cells)
        return await measured(self._hooks, "write", writing, len(data))

    async def begin_again(self, upload: OpenUpload) -> None:
        """Give up the bytes of an upload for others; see `Writer.begin_again`."""
        await self._writer.begin_again(upload)

    async def touch(self, upload: OpenUpload, *, at_once: bool = False, reach: int = 0) -> None:
        """Note activity, unless that was done a moment ago; raises Gone, NotFound."""
        await self.opened.touch(upload, at_once=at_once, reach=reach)

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
        proven: Proven | None = None,
        patience: float | None = None,
    ) -> Manifest:
        """Prove that the upload is whole and publish it; see `Finisher.finish`."""
        finishing = self._finisher.finish(
            principal,
            upload_id,
            size,
            sha256,
            progress=progress,
            hashed=hashed,
            head=head,
            proven=proven,
            patience=patience,
        )
        finished = await measured(self._hooks, "finish", finishing)
        self.arrivals.note(upload_id)
        return finished

    async def abort(
        self, principal: Principal, upload_id: str, *, unfinished_only: bool = False
    ) -> None:
        """Delete the upload, or the file that it became in the meantime.

        Raises NotFound, Gone; for a file also Forbidden where the credential is a grant, and
        AlreadyComplete with `unfinished_only`.
        """
        aborting = self._delete(principal, upload_id, unfinished_only=unfinished_only)
        await measured(self._hooks, "abort", aborting)

    async def discard(
        self, principal: Principal, upload_id: str, *, unfinished_only: bool = False
    ) -> None:
        """Abort an upload that takes all or nothing: its grant counts as not used."""
        deleted = await self._delete(principal, upload_id, unfinished_only=unfinished_only)
        await self._creator.give_back(deleted)

    async def delete(
        self,
        principal: Principal,
        file_id: str,
        expected: Expected | None = None,
        *,
        only: tuple[State, ...] = (State.UPLOADING, *FINISHED),
    ) -> None:
        """Delete a file, also one in the trash, or an upload under way; raises NotFound, Gone.

        `expected` raises when the manifest is not what the caller expects: see `Deletion.delete`.
        """
        await self._delete(principal, file_id, only=only, expected=expected)

    async def _delete(
        self,
        principal: Principal,
        upload_id: str,
        *,
        unfinished_only: bool = False,
        only: tuple[State, ...] = (State.UPLOADING, State.READY),
        expected: Expected | None = None,
    ) -> Manifest:
        deleted = await self._deletion.delete(
            principal, upload_id, unfinished_only=unfinished_only, only=only, expected=expected
        )
        self.arrivals.note(upload_id)
        if deleted.concat != PARTIAL:  # the server deletes these when it has joined them
            finished = deleted.state in FINISHED
            await self.audit.note(Act.DELETED if finished else Act.ABORTED, principal, deleted)
        return deleted

    # -- looking

    async def get(self, principal: Principal, upload_id: str) -> Manifest:
        """The manifest of an upload or file of the principal's; raises NotFound, Gone."""
        return await self.opened.get(principal, upload_id)

    async def find(self, upload_id: str, user_id: str | None) -> Manifest:
        """The manifest of an upload or file of that user, or of any user if None.

        For callers who may act for every user; raises NotFound, Gone.
        """
        return await self.opened.find(upload_id, user_id)

    async def all_unfinished(self, most: int) -> list[Manifest]:
        """Uploads of all users that are under way, those first that were active last."""
        return await self._storage.manifests.all_unfinished(most)

    async def unfinished(
        self, principal: Principal, fingerprint: str | None = None, most: int = 100
    ) -> list[tuple[Manifest, Coverage]]:
        """The principal's uploads under way, the newest first, with what is stored of each."""
        return await self._resumer.unfinished(principal, fingerprint, most)

    async def coverage(self, manifest: Manifest) -> Coverage:
        """What is stored of an upload."""
        return await self.opened.coverage(manifest)

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
        current = await self.opened.after_end(manifest.id)
        if (current.key, current.attempt) != (manifest.key, manifest.attempt):
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
            others=(CONCAT, APPROVE, NOTIFY, EMPTY, REPLACE, PLACE, MOVE),
        )

    # -- the end of the server

    async def settle(self) -> None:
        """Wait for what is being published, and stop all else: `todo` remembers the rest."""
        await self.finishing.stop()
        await self.approving.stop()
        await self.pictures.stop()
        await self.todo.stop()
        await self._finisher.settle()
