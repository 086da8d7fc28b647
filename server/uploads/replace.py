"""The step `replace`: an upload that is whole gives its bytes to the file that it replaces.

The file keeps its id, and all that people said of it. Until the one write that replaces, everyone
reads the old bytes; they are kept for a while longer, for those who have begun. Source: page 13 of
the design; `storage/collections/replacements.py`; docs/decisions/0086.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lading.protocol.errors import LadingError, NotFound, PreconditionFailed, Unavailable
from lading.protocol.manifest import Former, Manifest, State
from lading.server.limits import UploadLimits
from lading.server.uploads.audit import Audit
from lading.server.uploads.follows import follows, pictured
from lading.server.uploads.todo import Died
from lading.storage.blobs.base import Check
from lading.storage.collections.audit import Act
from lading.storage.collections.outbox import MOVE
from lading.storage.open import Storage


@dataclass(frozen=True, slots=True)
class Replacer:
    """Replaces the bytes of files. `wake` is called when there are steps for other workers."""

    storage: Storage
    limits: UploadLimits
    audit: Audit
    tombstone_ttl: float
    wake: Callable[[], None]

    async def step(self, upload: Manifest, _check: Check) -> None:
        """Give the bytes of an upload to its file; they are deleted where it is not there any more.

        Raises Died at the end, since the upload is then a tombstone; Unavailable.
        """
        if upload.state is not State.REPLACING:
            return
        # Others that a crash left come first: later they would undo what this one's sender hears.
        for other in await self.storage.replacements.waiting(upload):
            if other.id != upload.id:
                await self._replace(other)
        await self._replace(upload)
        raise Died

    async def _replace(self, upload: Manifest) -> None:
        """Make the writes of one replacement, or give it up."""
        assert upload.replaces is not None
        assert upload.size is not None
        # It is charged like a file from here on, so that its tombstone can hand the charge on.
        await self.storage.quotas.keep(upload.user_id, upload.id, upload.size)
        while True:
            file = await self.storage.manifests.get(upload.replaces)
            if file is not None and file.former is not None:
                await self._settle(file, file.former)
                continue
            # In this order: see `take_over`.
            current = await self.storage.manifests.get(upload.id)
            if current is None or current.state is not State.REPLACING:
                return  # it is done, maybe by another process
            if file is None or _refusal(upload, file) is not None:
                await self._give_up(upload)
                return
            blobs = self.storage.blobs
            word = follows(blobs, upload)
            taken = await self.storage.replacements.take_over(
                upload,
                file,
                move_to=blobs.home if word == MOVE else None,
                todo=(*(() if word is None else (word,)), *pictured(upload.mime_type)),
                now=self.storage.clock(),
            )
            if taken is not None:
                assert taken.former is not None
                await self._settle(taken, taken.former)
                await self.audit.note(Act.REPLACED, None, taken)
                self.wake()
                return

    async def _settle(self, file: Manifest, former: Former) -> None:
        """Do what follows a replacement, by whomever it was."""
        now = self.storage.clock()
        readers = self.limits.replaced_seconds + former.size / self.limits.replaced_rate
        await self.storage.quotas.stir(file.user_id)
        await self.storage.replacements.hand_over(
            former, now=now, kept_until=now + readers, until=now + readers + self.tombstone_ttl
        )
        await self.storage.manifests.conclude(file.id, former.by)

    async def _give_up(self, upload: Manifest) -> None:
        now = self.storage.clock()
        await self.storage.manifests.mark_deleted(
            upload.id,
            now=now,
            becomes=State.DELETED,
            until=now + self.tombstone_ttl,
            only=(State.REPLACING,),
        )

    async def outcome(self, upload: Manifest) -> Manifest:
        """The file that an upload replaced, which is not `replacing` any more.

        Raises NotFound, PreconditionFailed where it did not; Unavailable where that failed.
        """
        assert upload.replaces is not None
        current = await self.storage.manifests.get(upload.id)
        file = await self.storage.manifests.get(upload.replaces)
        if current is not None and current.state is State.REPLACING:
            raise Unavailable("The file could not be replaced right now; send the request again.")
        if current is None or current.became is None:
            raise _refusal(upload, file) or PreconditionFailed(CHANGED)
        if file is None or file.state is not State.READY:
            raise _gone(upload.replaces)
        return file


CHANGED = "It was changed since, or is not the one that you know."


def _refusal(upload: Manifest, file: Manifest | None) -> LadingError | None:
    """Why an upload cannot replace this file; None if it can."""
    if file is None or file.state is not State.READY:
        return _gone(upload.replaces or "")
    if upload.replaces_revision not in (None, file.revision):
        return PreconditionFailed(CHANGED)
    return None


def _gone(file_id: str) -> NotFound:
    return NotFound(f"The file {file_id} is not there any more, and cannot be replaced.")
