"""Uploads of several files, a few at the same time: what `lading put` and `lading sync` share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from lading.client.errors import SourceChanged, SourceFailed
from lading.client.local import SMALL, TINY
from lading.client.types import path_of
from lading.commands import local_files
from lading.commands.common import AGAIN, DONE, FAILED, HOPELESS, INTERRUPTED, worst
from lading.commands.local_files import LocalFile
from lading.commands.output import Output, printable, size_text
from lading.commands.total import Total
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.lookup import Listing
    from lading.client.source import Readable
    from lading.client.types import File, Progress
    from lading.client.upload import UploadTask

CLEANING_SECONDS = 2.0

JOBS = 2
TINY_JOBS = 128
"""Files of at most `TINY` bytes go together, so many are under way at the same time."""
SMALL_JOBS = 16
"""Files of at most `SMALL` bytes take one request each; so many are sent at the same time."""
MIDDLE = 32 * 2**20
MIDDLE_JOBS = 8
"""Of larger ones up to `MIDDLE` bytes, such as photos, so many: on a long line each of them waits
for answers for longer than its bytes take."""


Done = Callable[[LocalFile, "File"], Awaitable[None]]
"""What follows an upload; it may raise LadingError."""


class Batch:
    """Some files, a few at the same time. `on_done` follows each that is on the server."""

    def __init__(
        self,
        client: Client,
        output: Output,
        options: dict[str, Any],
        name: str | None,
        files: Sequence[LocalFile],
        *,
        on_done: Done | None = None,
    ) -> None:
        self._client = client
        self._output = output
        self._options = options
        self._name = name
        self._files = files
        self._on_done = on_done
        self._listing = self._listed()
        self._codes = {DONE}
        self._lost = False
        self._hopeless = False
        self._total: Total | None = None

    def _listed(self) -> Listing:
        wanted: dict[str, set[str]] = {}
        for directory, name in local_files.names(self._files):
            wanted.setdefault(directory, set()).add(name)
        return self._client.listing(wanted)

    def report(
        self, found: local_files.Found, none: str = "lading: There are no files to upload."
    ) -> None:
        """Say what is not uploaded; `none` if that is all."""
        for text in found.left_out:
            self._output.note(f"lading: left out: {printable(text)}")
        for path, reason in found.unreadable:
            error = SourceFailed(f"{path} cannot be read: {reason}.")
            self._codes.add(self._output.failed(error, path))
        if not (self._files or found.unreadable):
            self._output.note(none)

    async def run(self, jobs: int | None) -> int:
        if len(self._files) > 1:
            self._total = Total(len(self._files), sum(file.size or 0 for file in self._files))
            self._output.begin_total(self._total)
        try:
            await asyncio.gather(*self._all_lanes(jobs))
        except asyncio.CancelledError:
            self._sum_up()
            return self._interrupted()
        self._sum_up()
        return worst(list(self._codes))

    def _all_lanes(self, jobs: int | None) -> list[Any]:
        """`jobs` loops for all files; without a number each kind of size has its own."""
        if jobs is not None:
            return self._lanes(iter(self._files), jobs)
        tiny = (file for file in self._files if _is_small(file, TINY))
        small = (file for file in self._files if _is_small(file) and not _is_small(file, TINY))
        middle = (file for file in self._files if SMALL < (file.size or 0) <= MIDDLE)
        large = (file for file in self._files if file.size is None or file.size > MIDDLE)
        sizes = ((tiny, TINY_JOBS), (small, SMALL_JOBS), (middle, MIDDLE_JOBS), (large, JOBS))
        return [lane for files, count in sizes for lane in self._lanes(files, count)]

    def _lanes(self, files: Iterator[LocalFile], count: int) -> list[Any]:
        """So many loops that take the next file as soon as they are done with one."""
        return [self._lane(files) for _ in range(count)]

    async def _lane(self, files: Iterator[LocalFile]) -> None:
        for file in files:
            if self._hopeless:
                return
            self._codes.add(await self._one(file))

    def _interrupted(self) -> int:
        if self._lost:
            self._output.note(
                "lading: interrupted. An upload from standard input cannot be resumed."
            )
            return FAILED
        self._output.note(f"lading: interrupted. {AGAIN}")
        return INTERRUPTED

    def _sum_up(self) -> None:
        total = self._total
        if total is None:
            return
        left = total.files - total.done
        not_tried = f", {left} not tried" if left else ""
        self._output.end_total(
            f"lading: {total.files} files: {total.uploaded} uploaded, {total.skipped} already "
            f"stored, {total.failed} failed{not_tried}; {size_text(total.sent)} in "
            f"{total.seconds:.1f} s."
        )

    async def _one(self, file: LocalFile) -> int:
        what: Readable = file.path
        name = self._name
        if file.path == "-":
            what, name = _standard_input(), name or "stdin"
        upload = self._client.upload(
            what,
            name=name,
            directory=file.directory,
            one_request=True,
            listing=None if name else self._listing,
            on_progress=lambda progress: self._moved(file, progress),
            **self._options,
        )
        try:
            done = await upload
            if self._on_done is not None:
                await self._on_done(file, done)
            self._tell(file, upload, done)
        except LadingError as error:
            return self._failed(file, upload, error)
        except asyncio.CancelledError:
            await self._clean(upload)
            raise
        return DONE

    def _moved(self, file: LocalFile, progress: Progress) -> None:
        if self._total is not None:
            self._total.moved(file.path, progress)
            self._output.move_total(progress)
        if self._total is None or not _is_small(file) or self._output.as_json:
            self._output.progress(file.path, progress)

    def _failed(self, file: LocalFile, upload: UploadTask, error: LadingError) -> int:
        resumable = upload.resumable and upload.id is not None and error.retryable
        advice = AGAIN if resumable else None
        if upload.id is not None and isinstance(error, SourceChanged):
            advice = (
                f"What was stored is kept as upload {upload.id} until it expires. Run the command "
                "again to upload the present content."
            )
        if self._total is not None:
            self._total.gave_up(file.path, file.size)
            self._output.finished(file.path)
            # The others would fail alike, each after its own patience.
            self._hopeless |= isinstance(error, HOPELESS)
        code = self._output.failed(error, file.path, advice)
        return INTERRUPTED if resumable else code

    async def _clean(self, upload: UploadTask) -> None:
        """An upload from a pipe cannot be resumed: delete it, so that it takes up no space."""
        if upload.id is None or upload.resumable:
            return
        self._lost = True
        with contextlib.suppress(LadingError, TimeoutError):
            async with asyncio.timeout(CLEANING_SECONDS):
                await self._client.delete(upload.id)

    def _tell(self, file: LocalFile, upload: UploadTask, done: File) -> None:
        if self._total is not None:
            skipped, sent = upload.skipped, upload.bytes_sent
            self._total.ended(file.path, file.size, skipped=skipped, sent=sent)
            self._output.finished(file.path)
        elif upload.skipped and not self._output.as_json:
            tagged = " Its tags were added." if upload.tagged else ""
            self._output.note(f"lading: {printable(file.path)} is already stored.{tagged}")
        if upload.grown_by:
            self._output.note(
                f"lading: {printable(file.path)} grew during the upload. Its first "
                f"{size_text(done.size)} were uploaded; {size_text(upload.grown_by)} were not."
            )
        path = path_of(file.directory, done.name)
        self._output.data(
            printable(f"{done.id} {done.url} {path}"),
            event="complete",
            file=file.path,
            name=path,
            **done.raw,
            skipped=upload.skipped,
            resumed_from=upload.resumed_from,
            bytes_sent=upload.bytes_sent,
            bytes_acknowledged=upload.bytes_acknowledged,
            grown_by=upload.grown_by,
        )


def _is_small(file: LocalFile, most: int = SMALL) -> bool:
    return file.size is not None and file.size <= most


def _standard_input() -> BinaryIO:
    # Unbuffered: a waiting thread would hold the buffer's lock and keep the program from ending.
    return open(0, "rb", buffering=0, closefd=False)
