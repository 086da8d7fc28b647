"""One upload, from a local file to COMPLETE, over as many connections as it takes.

`phase.py` names the states that it goes through, `transfer.py` drives one connection, and
`source.py` reads the bytes. Source: page 3 of the design, rules 7 and 10; page 7, `put`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import fields, replace
from os import PathLike
from typing import Any

from lading.client.ahead import Ahead
from lading.client.api import Api, new_key
from lading.client.append import Appending
from lading.client.channel import Channel
from lading.client.channels import Early
from lading.client.direct import DirectUpload, Raw
from lading.client.errors import NotALadingServer, Unreachable
from lading.client.http_channel import HttpChannel, create, finish
from lading.client.local import seconds_of
from lading.client.lookup import (
    Kinds,
    Listing,
    Named,
    already_there,
    has_already,
    is_at,
    manifest_of,
    unfinished,
)
from lading.client.phase import Event, Phase, after
from lading.client.retry import Again, NoChannel, Retry
from lading.client.small import SmallFile, SmallFiles, read_small
from lading.client.source import Readable, Source, open_source
from lading.client.transfer import Transfer
from lading.client.transport import Transport
from lading.client.types import File, Manifest, Progress, State, Upload, UploadRequest
from lading.protocol import messages as m
from lading.protocol.errors import (
    ChecksumMismatch,
    Forbidden,
    Gone,
    InvalidArgument,
    LadingError,
    NotFound,
    TooLarge,
)
from lading.protocol.media_types import by_name
from lading.protocol.spec import UploadSpec

CLEANING_SECONDS = 5.0
"""The deletion of a useless upload is given up after this; the server lets it expire."""


class UploadTask:
    """An upload under way. Await it for the `File`, or iterate it for its `Progress`.

    It starts when it is first awaited or iterated.

    `id`: of the upload and later of the file. `bytes_sent`: bytes of pieces handed to connections;
    `bytes_acknowledged`: those of them that the server stored. `connections`: how many it
    used. `resumed_from`: bytes that were stored before. `skipped`: the same file was already on
    the server. `tagged`: what was there lacked tags and got them. `resumable`: the source can be
    read again, so that a later run can resume the upload. `grown_by`: bytes that were added to the
    file after it was opened; they are not uploaded.
    """

    def __init__(
        self,
        api: Api,
        what: Readable,
        request: UploadRequest,
        *,
        patience: float,
        connect_patience: float,
        kinds: Kinds,
        small_files: SmallFiles,
        listing: Listing | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.id: str | None = None
        self.progress = Progress()
        self.bytes_sent = 0
        self.bytes_acknowledged = 0
        self.connections = 0
        self.resumed_from = 0
        self.skipped = False
        self.tagged = False
        self.resumable = False
        self.grown_by = 0
        self._api = api
        self._what = what
        self._request = request
        self._kinds = kinds
        self._small_files = small_files
        self._listing = listing
        self._patience = patience
        self._retry = Retry(connect_patience, api.timing, api.credential, self._waiting)
        self._phase = Phase.LOOKING
        self._by_grant = False
        self._direct: DirectUpload | None = None
        self._appending: Appending | None = None
        only = request.protocol
        self._transport = api.transport if only is None else Transport(api.timing, only)
        self._fresh_starts_left = 1
        self._verified = 0
        self._key = new_key()
        self._name = ""
        self._on_progress = on_progress
        self._news = asyncio.Event()
        self._task: asyncio.Task[File] | None = None

    # -- the caller's side

    def __await__(self) -> Generator[Any, None, File]:
        return self._begin().__await__()

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """The newest progress after each change, until the end. Raises what awaiting raises."""
        task = self._begin()
        task.add_done_callback(lambda _: self._news.set())
        while not task.done():
            await self._news.wait()
            self._news.clear()
            yield self.progress
        await task

    async def stop(self) -> None:
        """Pause: stop sending. What is stored stays on the server until it is resumed or expires.

        `Client.delete(upload.id)` cancels the upload for good.
        """
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> asyncio.Task[File]:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._task

    # -- attempts

    async def _run(self) -> File:
        small = await self._read_small()
        if small is not None:
            file = await self._send_small(small)
            if file is not None:
                self.id = file.id
                self._tell(state=State.DONE, stored=file.size)
                return file
        hashed = self._request.sha256 or self._request.direct
        source = await open_source(self._what, self._request.name, sha256=hashed)
        source.pace = self._api.pace
        self.resumable = source.rereadable
        try:
            self._tell(total=source.size)
            while True:
                try:
                    file = await self._attempt(source)
                except (Again, LadingError) as failure:
                    if await self._start_over(failure, source):
                        continue
                    if isinstance(failure, ChecksumMismatch):
                        raise  # of the whole file: the same bytes again would not help
                    await self._retry.wait(failure)
                else:
                    self.id, self.grown_by = file.id, source.grown_by
                    self._tell(state=State.DONE, stored=file.size, total=file.size, checked=0)
                    return file
        except LadingError:
            await self._discard(source)
            raise
        finally:
            await source.close()

    async def _read_small(self) -> SmallFile | None:
        what = self._what
        one = self._request.one_request and self._request.protocol is None
        if not one or not isinstance(what, str | PathLike):
            return None
        return await asyncio.to_thread(read_small, what, self._request)

    async def _send_small(self, small: SmallFile) -> File | None:
        """Send a whole file in one request; None where only an upload will do: the server takes
        smaller ones only, or the token is a grant's."""
        self.resumable = True
        self._tell(total=small.size)
        approving: str | None = None
        while True:
            try:
                if approving is not None:
                    raw = await finish(self._api, f"/v1/uploads/{approving}/finish")
                    return manifest_of(self._api, raw).file()
                # Also after an attempt whose answer was lost: it may have stored the file.
                if (self._request.resume or self.bytes_sent) and (
                    there := await self._already_there(small)
                ):
                    await self._add_tags(there)
                    self.skipped = not self.bytes_sent
                    return there.file()
                if self._by_grant:
                    return None
                self.bytes_sent += small.size
                # By its SHA-256 a file is found again whose answer was lost; else the key helps.
                key = None if self._request.sha256 else self._key
                raw = await self._small_files.store(small, self._request, key)
            except TooLarge:
                self.bytes_sent = 0
                return None
            except LadingError as failure:
                self._listing = None  # it does not know what was stored meanwhile
                await self._retry.wait(failure)
            else:
                self.bytes_acknowledged = small.size
                self._reached()
                if raw.get("state") != "approving":
                    return manifest_of(self._api, raw).file()
                with self._api.reading():
                    approving = str(raw["_id"])  # the site decides on it, and may refuse it

    async def _attempt(self, source: Source) -> File:
        async with Early(self._api.channels, self._dial, wanted=self._dials_early) as early:
            file = await self._without_channel(source)
            if file is not None:
                return file
            channel = await self._connect(early)
        before = self.bytes_acknowledged
        try:
            ref = self._open(channel, source)
            file = self._file(await Transfer(channel, ref, source, self).run())
        except BaseException as failure:
            if isinstance(failure, Again) and self.bytes_acknowledged == before:
                self._carried_nothing(failure)
            await channel.close()
            raise
        if isinstance(channel, Channel):
            await self._api.channels.give(channel)
        else:
            await channel.close()
        return file

    @property
    def _dials_early(self) -> bool:
        """Whether a channel is opened while what is there is looked up: it will most likely carry
        the file."""
        by_channel = self._request.protocol in (None, "ws") and not self._request.direct
        looks_up = self._request.resume and self._phase is Phase.LOOKING
        # A proxy that wants a password is asked once, and not twice at the same time.
        direct = self._api.proxy is None and not self._transport.is_http
        return by_channel and looks_up and direct

    async def _without_channel(self, source: Source) -> File | None:
        """All that comes before a channel is needed; the file, where none is."""
        again = self._request.resume and source.rereadable and self._phase is Phase.LOOKING
        async with Ahead(self._unfinished(source), early=self._api.proxy is None) as unfinished:
            if again and (there := await self._already_there(source)):
                await self._add_tags(there)
                self.skipped = True
                return there.file()
            if self._phase in (Phase.LOOKING, Phase.CREATING):
                await self._look(source, await unfinished.result())
        file = await self._send_direct(source)
        if file is not None:
            return file
        if self._request.protocol in ("tus", "ietf"):
            return await self._append(source)
        if self._phase is Phase.NEW and (self._api.for_user or self._request.replaces):
            await self._create(source)
        return None

    def _carried_nothing(self, failure: Again) -> None:
        """A refusal says that the connection works; over HTTP a proxy may have sent it."""
        if self._transport.is_http or isinstance(failure.error, Unreachable):
            self._transport.missed()

    async def _connect(self, early: Early) -> Channel | HttpChannel:
        """A connection by WebSocket; where the network blocks that, its stand-in over HTTP."""
        if not self._transport.is_http:
            try:
                return await early.take()
            except NoChannel as failure:
                if not self._transport.missed(blocked=failure.blocked):
                    raise
        return HttpChannel(self._api)

    async def _dial(self) -> Channel:
        api = self._api
        token = await api.credential.get()
        return await Channel.dial(api.address, token, api.timing, proxy=api.proxy, trust=api.trust)

    async def _already_there(self, file: Named) -> Manifest | None:
        """The same file, if it is on the server already."""
        if self._request.replaces is not None:
            return await has_already(self._api, file, self._request.replaces, self.hashing)
        directory = await self._directory()
        try:
            return await already_there(self._api, file, directory, self.hashing, self._listing)
        except Forbidden:
            self._by_grant = True  # its bearer may not list files
            return None

    async def _unfinished(self, source: Source) -> list[Upload]:
        """Unfinished uploads of the same bytes, or of this task's lost CREATE."""
        looks = self._phase is Phase.LOOKING and self._request.resume and source.rereadable
        lost = self._phase is Phase.CREATING and self._request.resume
        if not (looks or lost):
            return []
        # A list knows nothing of an upload that this task created since.
        listing = self._listing if self._phase is Phase.LOOKING else None
        replaces = self._request.replaces
        found = await unfinished(self._api, source, listing=listing, replaces=replaces)
        self._reached()
        return found

    async def _look(self, source: Source, candidates: list[Upload]) -> None:
        """Take the newest of the unfinished uploads that is to be the same file."""
        directory = await self._directory() if candidates else ""
        # A grant may set name and directory; what is replaced keeps its own.
        elsewhere = self._by_grant or self._request.replaces is not None
        there = (each for each in candidates if elsewhere or is_at(each, source.name, directory))
        found = next(there, None)
        if found is not None:
            await self._add_tags(found)
        self.id = None if found is None else found.id
        self._to("absent" if found is None else "found")

    async def _add_tags(self, there: Manifest | Upload) -> None:
        """Add the requested tags to what is there already. A grant does not allow that."""
        tags = list(dict.fromkeys([*there.tags, *self._request.tags]))
        mine = not self._by_grant and self._request.replaces is None
        if len(tags) > len(there.tags) and mine:
            await self._api.json("PATCH", f"/v1/files/{there.id}", body={"tags": tags})
            self.tagged = True

    def _open(self, channel: Channel | HttpChannel, source: Source) -> int:
        if self.id is not None:
            return channel.sender.resume(self.id)
        self._to("create")
        return channel.sender.create(self._spec(source))

    async def _create(self, source: Source) -> None:
        """Create the upload by HTTP: over WebSocket an admin cannot create for another user, and an
        older server would not notice that it is to replace a file."""
        self._to("create")
        raw = await create(self._api, self._spec(source))
        with self._api.reading():
            self.id = str(raw["_id"])

    async def _directory(self) -> str:
        """Where the file will be: in the directory of its kind, if that has one."""
        return await self._kinds.directory(self._request.kind) or self._request.directory

    async def _send_direct(self, source: Source) -> File | None:
        """The file, sent past the server; None where its bytes are to go to the server."""
        direct = self._request.direct and self._request.replaces is None
        if not direct or not source.rereadable:
            return None
        if self._direct is None:
            self._direct = DirectUpload(self._api, source, self._spec(source), self)
        try:
            raw = await self._direct.attempt(self.id)
        except Forbidden:
            # A grant is for one upload, which has a way of its own.
            self._direct.over = True
            if self._phase is Phase.CREATING:
                self._to("absent")
            return None
        return None if raw is None else manifest_of(self._api, dict(raw)).file()

    async def _append(self, source: Source) -> File:
        """Send the file as clients of another protocol do."""
        if source.size is None or not source.rereadable:
            raise InvalidArgument("By tus and by the IETF's protocol only files can be sent.")
        if self.id is None:
            self._to("create")
            raw = await create(self._api, self._spec(source))
            with self._api.reading():
                self.announced(raw)
        assert self.id is not None
        if self._appending is None:
            by_tus = self._request.protocol == "tus"
            sha256 = self._request.sha256
            self._appending = Appending(self._api, source, self, by_tus=by_tus, sha256=sha256)
        done = await self._appending.attempt(self.id)
        return manifest_of(self._api, dict(done)).file()

    def _spec(self, source: Source) -> UploadSpec:
        request = self._request
        return UploadSpec(
            name=source.name,
            size=source.size,
            mime_type=request.mime_type or by_name(source.name),
            directory=request.directory,
            tags=request.tags,
            fingerprint=source.fingerprint,
            chunk_size=request.chunk_size,
            kind=request.kind,
            modified_at=seconds_of(request.modified_at, source.modified_ns),
            replaces=request.replaces,
            sha256_follows=request.sha256,
        )

    def _file(self, done: m.Complete) -> File:
        raw = {f.name: getattr(done, f.name) for f in fields(done) if f.name != "ref"}
        raw["url"] = self._api.address.absolute(done.url)
        return File(name=self._name, raw=raw, **raw)

    def _to(self, event: Event) -> None:
        self._phase = after(self._phase, event)

    def _reached(self) -> None:
        """The server answered: from now on failures are retried with the full patience."""
        self._retry.patience = self._patience

    async def _start_over(self, failure: Again | LadingError, source: Source) -> bool:
        """Whether to create a new upload instead of the one that failed; this is done once.

        It is when the upload on the server expired, was deleted before it was opened here, or
        holds other bytes than the file.
        """
        match failure:
            case NotALadingServer():
                return False  # a proxy's 404 says nothing about the upload
            case Gone() if self._phase in (Phase.FOUND, Phase.OPEN):
                useless = None
            case NotFound() if self._phase is Phase.FOUND:
                useless = None
            case ChecksumMismatch() if self._phase in (Phase.FOUND, Phase.OPEN):
                useless = self.id
            case _:
                return False
        if not self._fresh_starts_left or not source.rereadable:
            return False
        self._fresh_starts_left -= 1
        self._to("start_over")
        self.id, self.resumed_from, self._verified = None, 0, 0
        if useless is not None:
            await self._delete(useless)
        return True

    async def _discard(self, source: Source) -> None:
        """Delete the upload of a stream, so that it takes up no space: its bytes came once, so
        nobody can resume it. What is stored of a file stays, also when the file changed: the user
        decides."""
        if not source.rereadable and self.id is not None and self._phase is not Phase.FOUND:
            await self._delete(self.id)

    async def _delete(self, upload_id: str) -> None:
        with contextlib.suppress(LadingError, TimeoutError):
            async with asyncio.timeout(CLEANING_SECONDS):
                await self._api.json("DELETE", f"/v1/uploads/{upload_id}")

    # -- what the transfer reports

    def connected(self) -> None:
        self._reached()
        self.connections += 1

    def opened(self, upload: m.Opened) -> None:
        if self._phase is Phase.FOUND:
            self.resumed_from = upload.upload_size
        self._to("opened")
        self.id, self._name = upload.id, upload.name
        if upload.upload_size > self.progress.stored:
            self._progressed()
        self._tell(state=State.SENDING, stored=upload.upload_size, reason=None)

    def sending(self, size: int) -> None:
        self.bytes_sent += size

    def acknowledged(self, size: int) -> None:
        self.bytes_acknowledged += size
        self._transport.works()
        self._progressed()

    def announcing(self) -> None:
        self._to("create")

    def announced(self, media: Raw) -> None:
        if self._phase is Phase.CREATING:
            self._to("found")
        self.id, self._name = str(media["_id"]), str(media["name"])
        self._reached()
        self._tell(state=State.SENDING, reason=None)

    def in_bucket(self, size: int) -> None:
        self.bytes_acknowledged += size
        self._progressed()

    def found(self, total: int) -> None:
        self.resumed_from = max(0, total - self.bytes_acknowledged)

    def moved(self, total: int) -> None:
        self._tell(state=State.SENDING, stored=total, reason=None)

    def stored(self, stored: int) -> None:
        self._tell(state=State.SENDING, stored=stored, reason=None)

    def hashing(self, done: int) -> None:
        self._tell(state=State.HASHING, checked=done)

    def verifying(self, done: int) -> None:
        # Each attempt verifies from the beginning: one that gets no further than the last ones is
        # no progress, or a verification that always fails would be repeated for ever.
        if done > self._verified:
            self._verified = done
            self._progressed()
        self._tell(state=State.VERIFYING, checked=done)

    def _progressed(self) -> None:
        self._retry.progressed()

    def _waiting(self, reason: str) -> None:
        self._tell(state=State.WAITING, reason=reason)

    def _tell(self, **changes: Any) -> None:
        self.progress = replace(self.progress, **changes)
        if self._on_progress is not None:
            self._on_progress(self.progress)
        self._news.set()
