"""`lading put`: upload files; resume what is unfinished and skip what is already stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from lading.client.errors import (
    ProxyUnauthorized,
    SourceChanged,
    SourceFailed,
    Unreachable,
    Untrusted,
)
from lading.client.local import SMALL, in_daemon
from lading.commands import local_files
from lading.commands.common import (
    AGAIN,
    DONE,
    FAILED,
    INTERRUPTED,
    Json,
    Server,
    Token,
    User,
    run,
    worst,
)
from lading.commands.local_files import LocalFile
from lading.commands.output import Output, printable, size_text
from lading.commands.total import Total
from lading.protocol.errors import InvalidArgument, LadingError, Unauthorized

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.lookup import Listing
    from lading.client.source import Readable
    from lading.client.types import File, Progress
    from lading.client.upload import UploadTask

CLEANING_SECONDS = 2.0

JOBS = 2
SMALL_JOBS = 16
"""Files of at most `SMALL` bytes take one request each; so many are sent at the same time."""


HOPELESS = (ProxyUnauthorized, Unauthorized, Unreachable, Untrusted)
"""Errors that are not those of one file."""


def put(
    context: typer.Context,
    *,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files and directories to upload; - is standard input. A directory is uploaded "
            "with all that is in it, under its own name.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Store a single file under this name.")
    ] = None,
    directory: Annotated[
        str, typer.Option("--directory", help="Store the files in this directory.")
    ] = "",
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="A tag for the files. Repeat it for several tags."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="The kind of the files, one of those that the server knows."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave out what has such a name or path in a directory, such as '*.tmp'. "
            "Repeat it for several patterns.",
        ),
    ] = None,
    sha256: Annotated[
        bool,
        typer.Option(
            "--sha256/--no-sha256", help="Let the server verify the SHA-256 of each file."
        ),
    ] = True,
    direct: Annotated[
        bool,
        typer.Option(
            "--direct",
            help="Send the bytes to the server's bucket, past the server, if it has one. "
            "Each file is read twice.",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            max=64,
            help="How many files to send at the same time. Default: 2, and 16 of at most 1 MiB.",
        ),
    ] = None,
    user: User = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Upload files. Run again, it resumes unfinished uploads and skips files already stored."""
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name can be used with a single file only.")
    if name == "":
        raise typer.BadParameter("--name is empty.")
    options = {"tags": tag or (), "sha256": sha256, "kind": kind, "direct": direct}

    async def work(client: Client, output: Output) -> int:
        found = await in_daemon(lambda: local_files.find(files, directory, exclude or ()))
        if kind is not None:
            await _put_where_the_kind_is(client, kind, found)
        if name is not None and [file.path for file in found.files] != files:
            raise InvalidArgument("--name cannot be used with a directory.")
        with output:
            batch = _Batch(client, output, options, name, found.files)
            batch.report(found)
            return await batch.run(jobs)

    run(context, server, token, as_json, work, user=user)


async def _put_where_the_kind_is(client: Client, kind: str, found: local_files.Found) -> None:
    """Give all files the directory of their kind, if it has one."""
    rules = next((each for each in await client.kinds() if each["name"] == kind), {})
    if rules.get("directory"):
        found.files = [replace(each, directory=rules["directory"]) for each in found.files]


class _Batch:
    """Some files, a few at the same time."""

    def __init__(
        self,
        client: Client,
        output: Output,
        options: dict[str, Any],
        name: str | None,
        files: Sequence[LocalFile],
    ) -> None:
        self._client = client
        self._output = output
        self._options = options
        self._name = name
        self._files = files
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

    def report(self, found: local_files.Found) -> None:
        """Say what is not uploaded."""
        for text in found.left_out:
            self._output.note(f"lading: left out: {printable(text)}")
        for path, reason in found.unreadable:
            error = SourceFailed(f"{path} cannot be read: {reason}.")
            self._codes.add(self._output.failed(error, path))
        if not (found.files or found.unreadable):
            self._output.note("lading: There are no files to upload.")

    async def run(self, jobs: int | None) -> int:
        if len(self._files) > 1:
            self._total = Total(len(self._files), sum(file.size or 0 for file in self._files))
            self._output.begin_total(self._total)
        small = [file for file in self._files if _is_small(file)]
        large = [file for file in self._files if not _is_small(file)]
        lanes = [
            *self._lanes(iter(small), jobs or SMALL_JOBS),
            *self._lanes(iter(large), jobs or JOBS),
        ]
        try:
            await asyncio.gather(*lanes)
        except asyncio.CancelledError:
            self._sum_up()
            return self._interrupted()
        self._sum_up()
        return worst(list(self._codes))

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
            self._tell(file, upload, await upload)
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
        self._output.data(
            printable(f"{done.id} {done.url}"),
            event="complete",
            file=file.path,
            **done.raw,
            skipped=upload.skipped,
            resumed_from=upload.resumed_from,
            bytes_sent=upload.bytes_sent,
            bytes_acknowledged=upload.bytes_acknowledged,
            grown_by=upload.grown_by,
        )


def _is_small(file: LocalFile) -> bool:
    return file.size is not None and file.size <= SMALL


def _standard_input() -> BinaryIO:
    # Unbuffered: a waiting thread would hold the buffer's lock and keep the program from ending.
    return open(0, "rb", buffering=0, closefd=False)
