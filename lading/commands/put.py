"""`lading put`: upload files; resume what is unfinished and skip what is already stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.client.local import in_daemon
from lading.client.types import PROTOCOLS
from lading.commands import local_files
from lading.commands.common import DryRun, Json, Profile, Rate, Server, Token, User, parsed, run
from lading.commands.dry import would_put
from lading.commands.local_files import LocalFile
from lading.commands.output import Output
from lading.commands.uploading import Batch
from lading.protocol.errors import InvalidArgument
from lading.protocol.units import parse_duration

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import File


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
    replaces: Annotated[
        str | None,
        typer.Option(
            "--replace",
            metavar="FILE",
            help="Replace the bytes of this file on the server, an id, name or path. It keeps its "
            "address, name and tags.",
        ),
    ] = None,
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
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="TIME", help="Delete the files after this time, such as 30d."
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
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="ws|http|tus|ietf",
            help="Use this protocol and no other: WebSocket, plain HTTP, tus 1.0, or the IETF's "
            "resumable uploads. To find out what gets through a network.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            max=64,
            help="How many files to send at the same time. Default: 2, 8 of at most 32 MiB, 16 of "
            "at most 1 MiB, and 128 of at most 64 KiB, which go together.",
        ),
    ] = None,
    rate: Rate = None,
    dry_run: DryRun = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Upload files. Run again, it resumes unfinished uploads and skips files already stored."""
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name can be used with a single file only.")
    if name == "":
        raise typer.BadParameter("--name is empty.")
    if protocol not in (None, *PROTOCOLS):
        raise typer.BadParameter(f"--protocol must be one of: {', '.join(PROTOCOLS)}.")
    if protocol is not None and direct:
        raise typer.BadParameter("--protocol and --direct cannot be used together.")
    if protocol in ("tus", "ietf") and "-" in files:
        raise typer.BadParameter(f"--protocol {protocol} cannot send standard input.")
    if replaces is not None and (len(files) > 1 or name or directory or tag or kind):
        raise typer.BadParameter(
            "--replace is for a single file, and keeps name, directory, tags and kind."
        )
    lifetime = parsed("--expires", parse_duration, expires)
    options: dict[str, Any] = {"tags": tag or (), "sha256": sha256, "kind": kind}
    options |= {"direct": direct, "protocol": protocol}

    async def work(client: Client, output: Output) -> int:
        found = await in_daemon(lambda: local_files.find(files, directory, exclude or ()))
        if kind is not None:
            await _put_where_the_kind_is(client, kind, found)
        if replaces is not None:
            there = await client.find(replaces)
            options["replaces"] = there.id
            found.files = [replace(each, directory=there.directory) for each in found.files]
        option = "--replace" if replaces else None if name is None else "--name"
        if option is not None and [file.path for file in found.files] != files:
            raise InvalidArgument(f"{option} cannot be used with a directory.")
        with output:
            end = None if lifetime is None else _Ending(client, lifetime)
            batch = Batch(client, output, options, name, found.files, on_done=end)
            batch.report(found)
            if dry_run:
                return await would_put(client, output, found.files, name)
            return await batch.run(jobs)

    run(context, server, token, as_json, work, profile=profile, user=user, rate=rate)


class _Ending:
    """Gives each file an end, so many seconds from now."""

    def __init__(self, client: Client, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    async def __call__(self, _file: LocalFile, done: File) -> None:
        until = datetime.now(UTC) + timedelta(seconds=self._seconds)
        await self._client.change(done.id, expires_at=until)


async def _put_where_the_kind_is(client: Client, kind: str, found: local_files.Found) -> None:
    """Give all files the directory of their kind, if it has one."""
    rules = next((each for each in await client.kinds() if each["name"] == kind), {})
    if rules.get("directory"):
        found.files = [replace(each, directory=rules["directory"]) for each in found.files]
