"""`lading put`: upload files, resuming what is unfinished and skipping what is there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from lading.client.output import Output, printable
from lading.commands.common import AGAIN, DONE, FAILED, INTERRUPTED, Json, Server, Token, run, worst
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.source import Readable
    from lading.client.upload import Upload

CLEANING_SECONDS = 2.0


def put(
    context: typer.Context,
    *,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files to upload; - is standard input.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="The name to store a single file under.")
    ] = None,
    directory: Annotated[str, typer.Option("--directory", help="The directory to put it in.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag; may be given several times.")
    ] = None,
    sha256: Annotated[
        bool,
        typer.Option(
            "--sha256/--no-sha256", help="Have the server check the SHA-256 of each file."
        ),
    ] = True,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Files sent at once.")] = 2,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Upload files. Run again, it goes on with what is unfinished and skips what is there."""
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name goes with a single file only.")
    if name == "":
        raise typer.BadParameter("--name is empty.")
    options = {"directory": directory, "tags": tag or (), "sha256": sha256}

    async def work(client: Client, output: Output) -> int:
        with output:
            return await _Batch(client, output, options, name, jobs).run(files)

    run(context, server, token, as_json, work)


class _Batch:
    """Some files, a few at once."""

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
                self._output.note("lading: interrupted. Standard input cannot be gone on with.")
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

    def _failed(self, file: str, upload: Upload, error: LadingError) -> int:
        resumable = upload.resumable and upload.id is not None and error.retryable
        code = self._output.failed(error, file, AGAIN if resumable else None)
        return INTERRUPTED if resumable else code

    async def _clean(self, upload: Upload) -> None:
        """Nobody can go on with half of a pipe, so it is not left to take up room."""
        if upload.id is None or upload.resumable:
            return
        self._lost = True
        with contextlib.suppress(LadingError, TimeoutError):
            async with asyncio.timeout(CLEANING_SECONDS):
                await self._client.delete(upload.id)

    def _tell(self, file: str, upload: Upload, done: dict[str, Any]) -> None:
        url = self._client.address.absolute(done["url"])
        if upload.skipped and not self._output.as_json:
            tagged = " The tags were added." if upload.tagged else ""
            self._output.note(f"lading: {printable(file)} is there already.{tagged}")
        self._output.data(
            printable(f"{done['id']} {url}"),
            event="complete",
            file=file,
            **{**done, "url": url},
            skipped=upload.skipped,
            resumed_from=upload.resumed_from,
            bytes_sent=upload.bytes_sent,
            bytes_acknowledged=upload.bytes_acknowledged,
        )


def _standard_input() -> BinaryIO:
    # Unbuffered: a buffer's lock held by a thread that still waits would hinder the program's end.
    return open(0, "rb", buffering=0, closefd=False)
