"""`lading mv`: rename files, and move files and directories. No bytes are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lading.commands.common import (
    DONE,
    DryRun,
    Json,
    Profile,
    Server,
    Token,
    User,
    has_files,
    look_up,
    run,
    worst,
)
from lading.commands.output import Output, printable
from lading.protocol.errors import InvalidArgument, LadingError, NameTaken

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest, Upload


class _Move(NamedTuple):
    """What one file becomes."""

    file: Manifest | Upload
    directory: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.directory}/{self.name}" if self.directory else self.name


def mv(
    context: typer.Context,
    *,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE... TO",
            help="Ids, names or paths of files, or directories; then the new path. A path with / "
            "at its end is a directory.",
        ),
    ],
    dry_run: DryRun = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Rename files, and move files and directories; ids and links stay as they are.

    `lading move` is another command: it brings the bytes of files to another storage.
    """
    if len(paths) < 2:
        raise typer.BadParameter("Name what to move, and where to.")
    *sources, to = paths

    async def work(client: Client, output: Output) -> int:
        into = to.endswith("/") or len(sources) > 1 or await has_files(client, to)
        codes = []
        for source in sources:
            try:
                async for each in _moves(client, source, to.strip("/"), into):
                    await _move(client, output, each, dry_run)
            except LadingError as error:
                codes.append(output.failed(error, source))
            else:
                codes.append(DONE)
        return worst(codes)

    run(context, server, token, as_json, work, profile=profile, user=user)


async def _moves(client: Client, source: str, to: str, into: bool) -> AsyncIterator[_Move]:
    """What becomes of a source: a file, or else all files of a directory."""
    try:
        file = await look_up(client, source)
    except InvalidArgument:
        if not source.strip("/") or not await has_files(client, source):
            raise
        async for each in _moves_of_directory(client, source.strip("/"), to, into):
            yield each
        return
    if into:
        yield _Move(file, to, file.name)
    else:
        directory, _, name = to.rpartition("/")
        yield _Move(file, directory, name)


async def _moves_of_directory(
    client: Client, source: str, to: str, into: bool
) -> AsyncIterator[_Move]:
    target = "/".join(filter(None, (to, source.rpartition("/")[2]))) if into else to
    if f"{target}/".startswith(f"{source}/"):
        raise InvalidArgument(f"{source} cannot be moved into itself.")
    # Listed before the first one moves: the list must not change meanwhile.
    files = [each async for each in client.list(directory=source, recursive=True)]
    for file in files:
        inner = file.directory[len(source) :].strip("/")
        yield _Move(file, "/".join(filter(None, (target, inner))), file.name)


async def _move(client: Client, output: Output, move: _Move, dry_run: bool) -> None:
    listed = client.list(name=move.name, directory=move.directory)
    taken = [each async for each in listed if each.name == move.name]
    if any(each.id != move.file.id for each in taken):
        raise NameTaken(f"There is a file {move.path} already. Delete it first, or choose another.")
    if not dry_run and not taken:
        await client.change(move.file.id, name=move.name, directory=move.directory)
    output.data(
        printable(f"{'would move ' if dry_run else ''}{move.file.id} {move.path}"),
        event="would-move" if dry_run else "moved",
        id=move.file.id,
        name=move.path,
        before=move.file.path,
    )
