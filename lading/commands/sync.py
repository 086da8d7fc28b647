"""`lading sync`: make a directory on the server the same as a local one.

`sync_plan.py` decides what is to be done. New bytes come first and deletions last, so that what
breaks off leaves too much and never too little.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.client.local import in_daemon, seconds_of
from lading.commands import local_files, sync_plan
from lading.commands.common import (
    DONE,
    FAILED,
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
from lading.commands.dry import has_content
from lading.commands.local_files import LocalFile
from lading.commands.output import Output, printable
from lading.commands.sync_plan import Action, Step
from lading.commands.uploading import Batch
from lading.protocol.errors import InvalidArgument, LadingError, NotFound

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import File, Manifest

HASHED_AT_ONCE = 4


def sync(
    context: typer.Context,
    *,
    source: Annotated[str, typer.Argument(metavar="DIRECTORY", help="The local directory.")],
    to: Annotated[
        str, typer.Argument(metavar="REMOTE", help="The directory on the server; / for the top.")
    ],
    delete: Annotated[
        bool,
        typer.Option("--delete", help="Delete files on the server that are not in DIRECTORY."),
    ] = False,
    checksum: Annotated[
        bool,
        typer.Option(
            "--checksum", help="Compare the SHA-256 of every file, also where size and time agree."
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave out what has such a name or path, here and on the server. Repeat it for "
            "several patterns.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, max=64, help="How many files to send at the same time."),
    ] = None,
    rate: Rate = None,
    dry_run: DryRun = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make a directory on the server the same as a local one. Only new and changed files are sent.

    A file is the same if its size and time are, or else its SHA-256. Nothing is deleted without
    --delete. Run again, it resumes.
    """

    async def work(client: Client, output: Output) -> int:
        found = await in_daemon(lambda: local_files.find_in(source, to.strip("/"), exclude or ()))
        if found is None:
            raise InvalidArgument(f"{source} is not a directory.")
        listed = client.list(directory=to.strip("/"), recursive=True)
        there = [each async for each in listed]
        steps = sync_plan.plan(found.files, there, to.strip("/"), exclude or (), checksum=checksum)
        with output:
            return await _Sync(client, output, found, delete, dry_run).run(steps, jobs)

    run(context, server, token, as_json, work, profile=profile, user=user, rate=rate)


class _Sync:
    """Carries the plan out."""

    def __init__(
        self,
        client: Client,
        output: Output,
        found: local_files.Found,
        delete: bool,
        dry_run: bool,
    ) -> None:
        self._client = client
        self._output = output
        self._found = found
        self._delete = delete
        self._dry_run = dry_run
        self._older: dict[str, tuple[Manifest, ...]] = {}
        self._codes = [DONE]

    async def run(self, steps: list[Step], jobs: int | None) -> int:
        slots = asyncio.Semaphore(HASHED_AT_ONCE)

        async def settled(step: Step) -> Step:
            async with slots:
                return await self._settled(step)

        steps = await asyncio.gather(*map(settled, steps))
        sent = [step for step in steps if step.action is Action.SEND]
        extra = [step for step in steps if step.action is Action.EXTRA] if self._delete else []
        if self._dry_run:
            for step in [*sent, *extra]:
                self._say(step)
            return worst(self._codes)
        await self._send(sent, jobs)
        if extra and (self._found.unreadable or worst(self._codes) != DONE):
            self._output.note("lading: nothing was deleted, since not all of it could be sent.")
            return worst([*self._codes, FAILED])
        for step in extra:
            await self._remove(step)
        return worst(self._codes)

    async def _settled(self, step: Step) -> Step:
        """The step, once the SHA-256 decides where size and time do not."""
        if step.action is not Action.COMPARE:
            return step
        assert step.local is not None
        try:
            same = await has_content(step.local.path, step.remote[0])
            if same and not self._dry_run:
                await self._correct_time(step)
        except LadingError as error:
            self._codes.append(self._output.failed(error, step.local.path))
            return step._replace(action=Action.SAME)
        return step._replace(action=Action.SAME if same else Action.SEND)

    async def _correct_time(self, step: Step) -> None:
        """Note the time, so that the next run need not read the file."""
        assert step.local is not None
        seconds = seconds_of(None, step.local.modified_ns)
        if seconds is not None and seconds != sync_plan.seconds(step.remote[0]):
            await self._client.change(step.remote[0].id, modified_at=sync_plan.moment(seconds))

    async def _send(self, steps: list[Step], jobs: int | None) -> None:
        files = [step.local for step in steps if step.local is not None]
        self._older = {step.local.path: step.remote for step in steps if step.local is not None}
        options: dict[str, Any] = {"sha256": True}
        batch = Batch(self._client, self._output, options, None, files, on_done=self._replaced)
        batch.report(self._found, none="lading: Everything is on the server already.")
        self._codes.append(await batch.run(jobs))

    async def _replaced(self, file: LocalFile, done: File) -> None:
        """The new bytes are there: the old ones can go."""
        for old in self._older[file.path]:
            if old.id != done.id:
                try:
                    await self._client.delete(old.id)
                except NotFound:
                    continue  # somebody else deleted it

    async def _remove(self, step: Step) -> None:
        for each in step.remote:
            try:
                await self._client.delete(each.id)
            except LadingError as error:
                self._codes.append(self._output.failed(error, each.path))
            else:
                self._say(step._replace(remote=(each,)))

    def _say(self, step: Step) -> None:
        would = "would " if self._dry_run else ""
        if step.action is Action.SEND and step.local is not None:
            verb = "replace" if step.remote else "upload"
            self._output.data(
                printable(f"{would}{verb} {step.path}"),
                event=f"would-{verb}",
                file=step.local.path,
                name=step.path,
            )
            return
        for each in step.remote:
            self._output.data(
                printable(f"{'would delete' if would else 'deleted'} {each.id} {each.path}"),
                event="would-delete" if would else "deleted",
                id=each.id,
                name=each.path,
            )
