"""Pictures of files: found for requests, and made on demand for all who ask at the same moment.

Which pictures a file has stands in its manifest. One that is not there yet is made under a claim of
the file's outbox, so one process makes it, however many are asked. Whoever asks waits a moment, and
is then told to ask again. Source: page 10 of the design, "How".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from lading.imaging.ladder import Variant
from lading.imaging.made import Maker, NotHere
from lading.protocol.errors import (
    Internal,
    NotFound,
    NotReady,
    QuotaExceeded,
    from_problem,
)
from lading.protocol.kinds import CROPS, Kinds
from lading.protocol.manifest import Manifest, State, StoredPicture
from lading.server.background import Tasks, ignore_result
from lading.server.hooks import NOBODY, Hooks
from lading.server.limits import UploadLimits
from lading.server.uploads.derive import Deriver, has_pictures
from lading.server.uploads.reader import Reader
from lading.server.uploads.todo import Todo
from lading.storage.blobs.base import Check, is_intact
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
from lading.storage.contents import driver_at
from lading.storage.open import Storage

POLL_SECONDS = 0.2
"""How soon it is looked again whether another process has made a picture."""

BESIDE = 1
"""So many files more than there are children: one is stored and charged, the next one drawn."""

LONGEST_POLL = 2.0
"""The pauses grow up to this."""


@dataclass(slots=True)
class _Job:
    """Pictures of one file that requests wait for."""

    asked: dict[str, Variant] = field(default_factory=dict)
    """What is to be made, by name."""
    damaged: set[str] = field(default_factory=set)
    """What is to be made although the manifest has it."""
    tried: set[str] = field(default_factory=set)
    """What was made, or does not fit the quota."""
    task: asyncio.Task[None] | None = None

    def lacks(self, manifest: Manifest) -> dict[str, Variant]:
        """What is still to be made of the file as it is now."""
        return {
            name: variant
            for name, variant in self.asked.items()
            if name in self.damaged or name not in manifest.pictures
        }


@dataclass(slots=True, eq=False, weakref_slot=True)
class Copy:
    """The bytes of a picture in memory, once for all who are sent it at the same moment.

    Otherwise many slow readers of one animation would fill the memory. Without `data` it could not
    be read.
    """

    data: bytes = b""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one who reads it for all."""


class Pictures:
    """The pictures of all files. Without a `maker` this process makes none."""

    def __init__(
        self,
        storage: Storage,
        reader: Reader,
        kinds: Kinds,
        limits: UploadLimits,
        maker: Maker | None = None,
        *,
        children: int = 1,
        hooks: Hooks = NOBODY,
    ) -> None:
        """The `maker` works on as many files at once as it has `children`."""
        at_once = children + BESIDE
        self._storage = storage
        self._kinds = kinds
        self._limits = limits
        self._deriver = None if maker is None else Deriver(storage, reader, kinds, maker)
        self.todo = Todo(
            storage.manifests,
            storage.outbox,
            {DERIVE: self._derive},
            storage.clock,
            limits,
            others=(CONCAT, APPROVE, NOTIFY, EMPTY, REPLACE, PLACE, MOVE),
            at_once=at_once,
            hooks=hooks,
        )
        self._slots = asyncio.Semaphore(at_once)
        self._jobs: dict[str, _Job] = {}
        self._copies = WeakValueDictionary[tuple[str, str, StoredPicture], Copy]()
        self._tasks = Tasks()

    @property
    def makes(self) -> bool:
        """Whether this process makes pictures."""
        return self._deriver is not None

    async def _derive(self, manifest: Manifest, check: Check) -> None:
        """The step of the outbox: what the kind of the file asks for, and what requests ask for."""
        assert self._deriver is not None
        job = self._jobs.get(manifest.id)
        asked = {} if job is None else job.lacks(manifest)
        try:
            await self._deriver.derive(manifest, check, asked)
        except NotHere:
            return  # and nothing is noted: another server makes them when it is asked
        if job is not None:
            job.tried |= asked.keys()
            job.damaged -= asked.keys()

    # -- for requests

    async def find(
        self, manifest: Manifest, quality: int, crop: str | None = None
    ) -> tuple[Manifest, str]:
        """The name of a picture of a file, and the manifest that has it.

        It is made if it must be. Raises NotFound when there is none of such a file,
        UnprocessableImage, QuotaExceeded, NotReady when it takes longer.
        """
        kind = self._kinds.get(manifest.kind)
        if crop is not None and crop not in CROPS:
            raise NotFound(f"Images are cropped to {' or '.join(CROPS)}, or not at all.")
        if manifest.state is not State.READY:
            raise NotFound("The file is not finished, and has no images yet.")
        if not has_pictures(manifest.mime_type):
            raise NotFound(f"No images are made of {manifest.mime_type}.")
        if kind is not None and kind.sizes and quality not in kind.sizes:
            shown = ", ".join(str(each) for each in sorted(kind.sizes))
            raise NotFound(f"Images of the kind {kind.name} have the qualities {shown}.")
        own = None if kind is None else kind.crop
        name = Variant(quality, None if crop == own else crop).name
        if name not in manifest.pictures:
            manifest = await self._made(manifest, name, Variant(quality, crop or own))
        return manifest, name

    async def read(self, manifest: Manifest, name: str) -> tuple[Copy, Manifest]:
        """A picture that the manifest has, verified, and the manifest as it is then.

        Its copy is shared for as long as its readers hold it. Where the bytes are damaged or gone
        it is made again. Raises as `find`.
        """
        copy, current = await self._read(manifest, name)
        if not copy.data:
            current = await self._made(current, name, self._variant(current, name))
            copy, current = await self._read(current, name)
        if not copy.data:
            raise Internal(f"The image {name} of {manifest.id} cannot be kept as it was made.")
        return copy, current

    async def _read(self, manifest: Manifest, name: str) -> tuple[Copy, Manifest]:
        """The intact bytes, also of a file that moves or is made anew meanwhile, or no bytes."""
        while True:
            picture = manifest.pictures[name]
            copy = self._copies.setdefault((manifest.key, name, picture), Copy())
            async with copy.turn:
                if not copy.data:
                    driver = driver_at(self._storage.blobs, manifest.blobs)
                    data = await driver.picture(manifest.key, name)
                    if data is not None and is_intact(picture, data):
                        copy.data = data
            if copy.data:
                return copy, manifest
            current = await self._current(manifest.id)
            same = current.blobs == manifest.blobs and current.pictures.get(name) == picture
            if same or name not in current.pictures:
                return copy, current
            manifest = current

    def _variant(self, manifest: Manifest, name: str) -> Variant:
        kind = self._kinds.get(manifest.kind)
        quality, _, crop = name.partition("-")
        return Variant(int(quality), crop or (None if kind is None else kind.crop))

    async def _current(self, upload_id: str) -> Manifest:
        current = await self._storage.manifests.get(upload_id)
        if current is None or current.state is not State.READY:
            raise NotFound(f"There is no file {upload_id}.")
        return current

    # -- on demand

    async def _made(self, manifest: Manifest, name: str, variant: Variant) -> Manifest:
        """The manifest once it has a picture that it lacks, or that is damaged."""
        _refuse(manifest)
        await self._check_quota(manifest)
        if self._deriver is None:
            return await self._made_elsewhere(manifest, name)
        job = self._jobs.get(manifest.id)
        if job is None or name in job.tried:
            job = self._begin(manifest.id)
        job.asked[name] = variant
        if name in manifest.pictures:
            job.damaged.add(name)
        assert job.task is not None
        await asyncio.wait({job.task}, timeout=self._limits.picture_wait)
        current = await self._current(manifest.id)
        if name in current.pictures and name not in job.damaged:
            return current
        _refuse(current)
        if name in job.tried:
            raise _no_room()
        raise NotReady

    async def _made_elsewhere(self, manifest: Manifest, name: str) -> Manifest:
        """The same, made by another process of this database."""
        if name in manifest.pictures:
            raise Internal("The stored image is damaged: make it again by `lading images rebuild`.")
        if "-" in name:
            raise NotFound("This server makes no images (LADING_IMAGING=0).")
        if DERIVE not in manifest.todo:
            await self._storage.derivatives.ask(manifest, self._storage.clock())
        for _ in range(max(1, round(self._limits.picture_wait / POLL_SECONDS))):
            await asyncio.sleep(POLL_SECONDS)
            current = await self._current(manifest.id)
            if name in current.pictures:
                return current
            _refuse(current)
        raise NotReady

    async def _check_quota(self, manifest: Manifest) -> None:
        account = await self._storage.quotas.account(manifest.user_id)
        if account.charged >= account.most:
            raise _no_room()

    def _begin(self, upload_id: str) -> _Job:
        self._jobs[upload_id] = job = _Job()
        job.task = self._tasks.spawn(self._work(upload_id, job))
        job.task.add_done_callback(ignore_result)
        return job

    async def _work(self, upload_id: str, job: _Job) -> None:
        """Make what is asked, under a claim; wait a while if another process has the file.

        What is not there then is made when it is asked for again.
        """
        pause, waited = POLL_SECONDS, 0.0
        try:
            while not await self._work_once(upload_id, job):
                if waited > self._limits.todo_lease_seconds:
                    return
                await asyncio.sleep(pause)
                waited, pause = waited + pause, min(2 * pause, LONGEST_POLL)
        finally:
            if self._jobs.get(upload_id) is job:
                del self._jobs[upload_id]

    async def _work_once(self, upload_id: str, job: _Job) -> bool:
        """Whether the job has come to an end; a failure is one, too."""
        async with self._slots:
            current = await self._storage.manifests.get(upload_id)
            if current is None or current.state is not State.READY or current.no_picture:
                return True
            if not job.lacks(current):
                return True
            now = self._storage.clock()
            until = now + self._limits.todo_lease_seconds
            claim = await self._storage.derivatives.begin(current, now=now, claimed_until=until)
            if claim is not None:
                await self.todo.work(claim)
            return claim is not None

    async def stop(self) -> None:
        """Leave the rest to other servers, or to this one after its next start."""
        self._tasks.cancel()
        await self._tasks.settle()
        await self.todo.stop()


def _refuse(manifest: Manifest) -> None:
    """Raise the error that says why no picture can be made, if that is known."""
    known = manifest.no_picture
    if known is not None:
        raise from_problem({"code": known.code, "detail": known.detail})


def _no_room() -> QuotaExceeded:
    """Without figures: whoever asks need not be the owner."""
    return QuotaExceeded(
        "The owner's quota has no room for this image. The file itself can be fetched."
    )
