"""`lading put`: upload files; resume what is unfinished and skip what is already stored."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from lading.commands.common import AGAIN, DONE, FAILED, INTERRUPTED, Json, Server, Token, run, worst
from lading.commands.output import Output, printable
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.source import Readable
    from lading.client.types import File
    from lading.client.upload import UploadTask

CLEANING_SECONDS = 2.0


def put(
    context: typer.Context,
    *,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files to upload; - is standard input.")
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
    sha256: Annotated[
        bool,
        typer.Option(
            "--sha256/--no-sha256", help="Let the server verify the SHA-256 of each file."
        ),
    ] = True,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=64, help="How many files to send at the same time.")
    ] = 2,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Upload files. Run again, it resumes unfinished uploads and skips files already stored."""
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name can be used with a single file only.")
    if name == "":
        raise typer.BadParameter("--name is empty.")
    options = {"directory": directory, "tags": tag or (), "sha256": sha256}

    async def work(client: Client, output: Output) -> int:
        with output:
            return await _Batch(client, output, options, name, jobs).run(files)

    run(context, server, token, as_json, work)


class _Batch:
    """Several files, a few at the same time."""

    def __init__(
        self,
        client: Client,
        output: Output,
        options: dict[str, Any],
        name: str | None,
        jobs: int,
    ) -> None:
        self._client = client
        self._output = output
        self._options = options
        self._name = name
        self._turn = asyncio.Semaphore(jobs)
        self._lost = False

    async def run(self, files: list[str]) -> int:
        try:
            return worst(list(await asyncio.gather(*(self._one(file) for file in files))))
        except asyncio.CancelledError:
            if self._lost:
                self._output.note(
                    "lading: interrupted. An upload from standard input cannot be resumed."
                )
                return FAILED
            self._output.note(f"lading: interrupted. {AGAIN}")
            return INTERRUPTED

    async def _one(self, file: str) -> int:
        async with self._turn:
            what: Readable = file
            name = self._name
            if file == "-":
                what, name = _standard_input(), name or "stdin"
            upload = self._client.upload(
                what,
                name=name,
                on_progress=lambda progress: self._output.progress(file, progress),
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

    def _failed(self, file: str, upload: UploadTask, error: LadingError) -> int:
        resumable = upload.resumable and upload.id is not None and error.retryable
        code = self._output.failed(error, file, AGAIN if resumable else None)
        return INTERRUPTED if resumable else code

    async def _clean(self, upload: UploadTask) -> None:
        """An upload from a pipe cannot be resumed: delete it, so that it takes up no space."""
        if upload.id is None or upload.resumable:
            return
        self._lost = True
        with contextlib.suppress(LadingError, TimeoutError):
            async with asyncio.timeout(CLEANING_SECONDS):
                await self._client.delete(upload.id)

    def _tell(self, file: str, upload: UploadTask, done: File) -> None:
        if upload.skipped and not self._output.as_json:
            tagged = " Its tags were added." if upload.tagged else ""
            self._output.note(f"lading: {printable(file)} is already stored.{tagged}")
        self._output.data(
            printable(f"{done.id} {done.url}"),
            event="complete",
            file=file,
            **done.raw,
            skipped=upload.skipped,
            resumed_from=upload.resumed_from,
            bytes_sent=upload.bytes_sent,
            bytes_acknowledged=upload.bytes_acknowledged,
        )


def _standard_input() -> BinaryIO:
    # Unbuffered: a waiting thread would hold the buffer's lock and keep the program from ending.
    return open(0, "rb", buffering=0, closefd=False)
