"""`lading get`: download files and directories, resuming what an earlier run left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.address import id_in, is_link, origin
from lading.client.errors import TargetFailed
from lading.client.types import Manifest, Progress
from lading.commands.common import (
    AGAIN,
    DONE,
    FAILED,
    HOPELESS,
    INTERRUPTED,
    Common,
    DryRun,
    Json,
    Profile,
    Rate,
    Server,
    Token,
    User,
    run,
    worst,
)
from lading.commands.output import Output, drop_output, printable, size_text
from lading.commands.remote_files import RemoteFile, find_below
from lading.commands.total import Total
from lading.protocol.errors import (
    Forbidden,
    Gone,
    InvalidArgument,
    LadingError,
    NotFound,
    Unauthorized,
)

if TYPE_CHECKING:
    from lading.client.client import Client

NEW_LINK = "Ask for a new link."
JOBS = 4
"""Files of a directory that are fetched at the same time."""


def get(
    context: typer.Context,
    *,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Ids, names or paths of files, links such as those of `lading token`, or "
            "directories, which are fetched with all that is in them.",
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to write it: a file, a directory, or - for standard output.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", min=1, max=64, help="How many files of a directory to fetch at a time."
        ),
    ] = JOBS,
    rate: Rate = None,
    dry_run: DryRun = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Download files and directories. Each file gets its name only after every byte is verified.

    Files of a directory that are here already are not fetched again.
    """
    if to == "-" and as_json:
        raise typer.BadParameter(
            "--json and -o - cannot be combined: both write to standard output."
        )
    if len(files) > 1 and to is not None and not Path(to).is_dir():
        raise typer.BadParameter("For several files, -o must be a directory that exists.")

    async def work(client: Client, output: Output) -> int:
        with output:
            return await _Get(client, output, to, force, dry_run).run(files, jobs)

    server = server or _server_of_links(context, files)
    run(context, server, token, as_json, work, profile=profile, user=user, rate=rate)


def _server_of_links(context: typer.Context, files: Sequence[str]) -> str | None:
    """Links alone need no other server than their own."""
    common: Common = context.obj or Common()
    if common.server is None and all(is_link(each) and "/v1/files/" not in each for each in files):
        return origin(files[0])
    return None


class _Get:
    """Fetches what is named, one after the other; a few files of a directory at the same time."""

    def __init__(
        self, client: Client, output: Output, to: str | None, force: bool, dry_run: bool
    ) -> None:
        self._client = client
        self._output = output
        self._to = to
        self._force = force
        self._dry_run = dry_run
        self._total: Total | None = None
        self._hopeless = False

    async def run(self, names: Sequence[str], jobs: int) -> int:
        codes = []
        for each in names:
            try:
                codes.append(await self._named(each, jobs))
            except LadingError as error:
                codes.append(self._output.failed(error, each))
            except asyncio.CancelledError:
                again = "" if self._to == "-" else AGAIN
                self._output.note(f"lading: interrupted. {again}".strip())
                return FAILED if self._to == "-" else INTERRUPTED
            if codes[-1] == INTERRUPTED:
                break
        return worst(codes)

    async def _named(self, name: str, jobs: int) -> int:
        if is_link(name) and id_in(name, self._client.address) is None:
            return await self._fetch(name, name, self._to)
        try:
            found = await self._client.find(id_in(name, self._client.address) or name)
        except InvalidArgument:
            below = await find_below(self._client, name)
            if not below.files:
                raise
            if self._to == "-":
                raise InvalidArgument("A directory cannot be written to standard output.") from None
            for text in below.left_out:
                self._output.note(f"lading: left out: {printable(text)}")
            return await self._directory(below.files, jobs)
        return await self._fetch(name, found, self._to)

    # -- directories

    async def _directory(self, files: Sequence[RemoteFile], jobs: int) -> int:
        base = Path(self._to or ".")
        self._total = total = Total(len(files), sum(each.file.size for each in files))
        self._output.begin_total(total)
        waiting, codes = iter(files), [DONE]
        lanes = [asyncio.ensure_future(self._lane(waiting, base, codes)) for _ in range(jobs)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            self._total = None
        self._output.end_total(
            f"lading: {total.files} files: {total.uploaded} downloaded, {total.skipped} already "
            f"here, {total.failed} failed; in {total.seconds:.1f} s.",
            done="downloaded",
        )
        return worst(codes)

    async def _lane(self, waiting: Iterator[RemoteFile], base: Path, codes: list[int]) -> None:
        for each in waiting:
            if self._hopeless:
                return
            path = base.joinpath(*each.place)
            if not self._force and await asyncio.to_thread(each.is_at, path):
                self._ended(each, skipped=True)
                continue
            if not self._dry_run:
                try:
                    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                except OSError as error:
                    failure = TargetFailed(f"{path.parent} cannot be made: {error.strerror}.")
                    codes.append(self._output.failed(failure, each.file.path))
                    self._gave_up(each)
                    continue
            code = await self._fetch(each.file.path, each.file, str(path))
            codes.append(code)
            if code == DONE:
                self._ended(each)
            else:
                self._gave_up(each)

    def _ended(self, each: RemoteFile, *, skipped: bool = False) -> None:
        if self._total is not None:
            self._total.ended(each.file.path, each.file.size, skipped=skipped)
            self._output.finished(each.file.path)

    def _gave_up(self, each: RemoteFile) -> None:
        if self._total is not None:
            self._total.gave_up(each.file.path, each.file.size)
            self._output.finished(each.file.path)

    # -- one file

    async def _fetch(self, name: str, file: str | Manifest, to: str | None) -> int:
        kept = 0
        if self._dry_run:
            size = f" ({size_text(file.size)})" if isinstance(file, Manifest) else ""
            self._output.data(
                printable(f"would download {name}{size}"), event="would-download", file=name
            )
            return DONE

        def tell(progress: Progress) -> None:
            nonlocal kept
            kept = 0 if to == "-" else progress.stored
            if self._total is not None:
                self._total.moved(name, progress)
                self._output.move_total(progress)
            self._output.progress(name, progress)

        try:
            target = sys.stdout.buffer if to == "-" else to
            path = await self._client.download(
                file, target, overwrite=self._force, on_progress=tell
            )
        except LadingError as error:
            if to == "-" and isinstance(error, TargetFailed):
                drop_output()
            # The others would fail alike, each after its own patience.
            self._hopeless |= self._total is not None and isinstance(error, HOPELESS)
            resumable = error.retryable and kept > 0
            refused = isinstance(error, Forbidden | Gone | NotFound | Unauthorized)
            advice = NEW_LINK if refused and is_link(name) else None
            code = self._output.failed(error, name, AGAIN if resumable else advice)
            return INTERRUPTED if resumable else code
        if path is not None:
            more = {"id": file.id, "name": file.path} if isinstance(file, Manifest) else {}
            shown = printable(str(path))
            self._output.data(shown, event="complete", file=name, path=str(path), **more)
        return DONE
