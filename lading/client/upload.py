"""One upload, from a file to COMPLETE, over as many connections as it takes.

It owns finding an earlier start of the same upload, reconnecting, and the counts that tell what
it cost. It refuses to know how a connection is driven (`transfer.py`) and where the bytes come
from (`source.py`). Source: page 3 of the design, rules 7 and 10; page 7, `put`.
"""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import fields, replace
from typing import Any

from lading.client.api import Api
from lading.client.backoff import Backoff
from lading.client.channel import Channel
from lading.client.errors import Again, SourceChanged, Stranger, judge
from lading.client.lookup import already_there, as_file, unfinished
from lading.client.progress import File, Progress, State, Wish
from lading.client.source import Readable, Source, open_source
from lading.client.transfer import Transfer
from lading.protocol import messages as m
from lading.protocol.errors import ChecksumMismatch, Forbidden, Gone, LadingError, NotFound
from lading.protocol.spec import UploadSpec

CLEANING_SECONDS = 5.0
"""The deletion of a useless upload is given up after this; the server lets it expire."""


class Upload:
    """An upload that can be awaited (for the file) and iterated (for its progress).

    It begins when it is first awaited or iterated. `id` is the upload's and later the file's;
    `bytes_sent` counts the bytes of pieces handed to connections, `bytes_acknowledged` those
    that were answered STORED; `resumed_from` is what was durable before; `skipped` tells that
    the very file was there already, `tagged` that what was there lacked tags and got them.
    """

    def __init__(
        self,
        api: Api,
        what: Readable,
        wish: Wish,
        *,
        patience: float,
        connect_patience: float,
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
        self._api = api
        self._what = what
        self._wish = wish
        self._patience = patience
        self._backoff = Backoff(connect_patience, api.timing)
        self._doubts = 0
        self._looked = False
        self._remembered = False
        self._asked = False
        self._granted = False
        self._restarted = False
        self._on_progress = on_progress
        self._news = asyncio.Event()
        self._task: asyncio.Task[File] | None = None

    # -- the caller's side

    def __await__(self) -> Generator[Any, None, File]:
        return self._begin().__await__()

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """The newest progress whenever it changed, to the end; raises as awaiting does."""
        task = self._begin()
        task.add_done_callback(lambda _: self._news.set())
        while not task.done():
            await self._news.wait()
            self._news.clear()
            yield self.progress
        await task

    async def stop(self) -> None:
        """Stop sending. What is stored stays on the server, to be resumed or to expire."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> asyncio.Task[File]:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._task

    # -- attempts

    async def _run(self) -> File:
        source = await open_source(self._what, self._wish.name, sha256=self._wish.sha256)
        self.resumable = source.rereadable
        try:
            self._tell(total=source.size)
            while True:
                try:
                    file = await self._attempt(source)
                except (Again, LadingError) as failure:
                    if not await self._start_over(failure, source):
                        await self._recover(judge(failure))
                else:
                    self.id = file["id"]
                    self._tell(state=State.DONE, stored=file["size"], total=file["size"])
                    return file
        except LadingError as failure:
            await self._discard(failure, source)
            raise
        finally:
            await source.close()

    async def _attempt(self, source: Source) -> File:
        if not self._looked and (there := await self._look(source)) is not None:
            return there
        channel = await Channel.open(
            self._api.address, await self._api.credential.get(), self._api.timing
        )
        self._reached()
        self.connections += 1
        try:
            transfer = Transfer(channel, self._open(channel, source), source, self)
            complete = await transfer.run()
        finally:
            await channel.close()
        return {f.name: getattr(complete, f.name) for f in fields(complete) if f.name != "ref"}

    async def _look(self, source: Source) -> File | None:
        """Before a new upload is made: is the file there, or a part of it?"""
        if self._wish.resume and source.rereadable and not self._asked:
            try:
                there = await already_there(self._api, source, self._wish.directory, self.hashing)
            except Forbidden:
                there, self._granted = None, True
            if there is not None:
                await self._add_tags(there)
                self.skipped = True
                return as_file(there)
        if self._wish.resume and (source.rereadable or self._asked):
            begun = await unfinished(self._api, source, self._wish.directory, renamed=self._granted)
            if begun is not None:
                await self._add_tags(begun)
            self.id = None if begun is None else str(begun["_id"])
            self._remembered = begun is not None
            self._reached()
        self._looked = True
        return None

    async def _add_tags(self, there: dict[str, Any]) -> None:
        """Give what is there the tags that a new upload would have; a grant cannot do that."""
        tags = list(dict.fromkeys([*there["tags"], *self._wish.tags]))
        if len(tags) > len(there["tags"]) and not self._granted:
            await self._api.json("PATCH", f"/v1/files/{there['_id']}", body={"tags": tags})
            self.tagged = True

    def _open(self, channel: Channel, source: Source) -> int:
        if self.id is not None:
            return channel.sender.resume(self.id)
        wish = self._wish
        # If the answer gets lost, the upload must be found again rather than made twice.
        self._asked, self._looked = True, False
        return channel.sender.create(
            UploadSpec(
                name=source.name,
                size=source.size,
                mime_type=wish.mime_type or guess_type(source.name),
                directory=wish.directory,
                tags=wish.tags,
                fingerprint=source.fingerprint,
                chunk_size=wish.chunk_size,
            )
        )

    def _reached(self) -> None:
        """The server is there; from now on a failure is met with all patience."""
        self._backoff.patience = self._patience

    async def _recover(self, again: Again) -> None:
        """Wait for the next attempt; raises the error when there is to be none."""
        self._doubts += again.limit is not None
        if again.limit is not None and self._doubts > again.limit:
            raise again.error
        if again.renew:
            if not self._api.credential.renewable:
                raise again.error
            self._api.credential.forget()
        delay = self._backoff.delay(again.after)
        if delay is None:
            raise again.error
        self._tell(state=State.WAITING, reason=str(again.error))
        await self._api.timing.sleep(delay)

    async def _start_over(self, failure: Again | LadingError, source: Source) -> bool:
        """Whether to begin a fresh upload instead, which is done once: the one on the server
        expired, or was remembered but is no more, or holds other bytes than the file."""
        match failure:
            case Stranger():
                return False  # a proxy's 404 says nothing about the upload
            case Gone():
                useless = None
            case NotFound() if self._remembered:
                useless = None
            case ChecksumMismatch():
                useless = self.id
            case _:
                return False
        if self._restarted or not source.rereadable:
            return False
        self._restarted, self._looked, self._asked = True, True, False
        self.id, self.resumed_from = None, 0
        if useless is not None:
            await self._delete(useless)
        return True

    async def _discard(self, failure: LadingError, source: Source) -> None:
        """What nobody can go on with is not left to take up room: a stream's bytes came once,
        and those of a file that changed are no more. But what was only remembered, and not
        opened, may be another's."""
        over = not source.rereadable or isinstance(failure, SourceChanged)
        if over and self.id is not None and not self._remembered:
            await self._delete(self.id)

    async def _delete(self, upload_id: str) -> None:
        with contextlib.suppress(LadingError, TimeoutError):
            async with asyncio.timeout(CLEANING_SECONDS):
                await self._api.json("DELETE", f"/v1/uploads/{upload_id}")

    # -- what the transfer tells

    def opened(self, upload: m.Opened) -> None:
        if self._remembered:
            self.resumed_from = upload.upload_size
        self._remembered, self._looked = False, True
        self.id = upload.id
        if upload.upload_size > self.progress.stored:
            self._progressed()
        self._tell(state=State.SENDING, stored=upload.upload_size, reason=None)

    def sending(self, size: int) -> None:
        self.bytes_sent += size

    def acknowledged(self, size: int) -> None:
        self.bytes_acknowledged += size
        self._progressed()

    def stored(self, stored: int) -> None:
        self._tell(state=State.SENDING, stored=stored, reason=None)

    def hashing(self, done: int) -> None:
        self._tell(state=State.HASHING, checked=done)

    def verifying(self, done: int) -> None:
        self._progressed()
        self._tell(state=State.VERIFYING, checked=done)

    def _progressed(self) -> None:
        self._backoff.progressed()
        self._doubts = 0

    def _tell(self, **changes: Any) -> None:
        self.progress = replace(self.progress, **changes)
        if self._on_progress is not None:
            self._on_progress(self.progress)
        self._news.set()


_ENCODINGS = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def guess_type(name: str) -> str | None:
    """The media type that a file's name suggests, or None."""
    kind, encoding = mimetypes.guess_type(name)
    return kind if encoding is None else _ENCODINGS.get(encoding)
