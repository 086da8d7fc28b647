"""`lading du`: how much each directory holds, with all that is below it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Profile, Server, Token, User, run
from lading.commands.output import Output, size_text

if TYPE_CHECKING:
    from lading.client.client import Client

ROOT = "/"


def du(
    context: typer.Context,
    *,
    directory: Annotated[
        str, typer.Argument(help="The directory. Default: all files.", show_default=False)
    ] = "",
    depth: Annotated[
        int | None,
        typer.Option("--depth", "-d", min=0, help="Show so many levels of subdirectories."),
    ] = None,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print the size and the number of files of a directory and of each one below it."""

    async def work(client: Client, output: Output) -> int:
        sizes: Counter[str] = Counter()
        files: Counter[str] = Counter()
        top = directory.strip("/")
        async for file in client.list(directory=top, recursive=True):
            inner = [each for each in file.directory[len(top) :].split("/") if each]
            for level in range(len(inner) + 1):
                if depth is None or level <= depth:
                    place = "/".join(filter(None, (top, *inner[:level])))
                    sizes[place] += file.size
                    files[place] += 1
        if not sizes:
            sizes[top] = files[top] = 0
        show(output, sizes, files)
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


def show(output: Output, sizes: Counter[str], files: Counter[str]) -> None:
    """The sums as a table, or one JSON object per line."""
    places = sorted(sizes)
    if output.as_json:
        for place in places:
            output.data("", directory=place, size=sizes[place], files=files[place])
        return
    rows: list[tuple[str, ...]] = [
        (
            size_text(sizes[place]) if output.for_people else str(sizes[place]),
            str(files[place]),
            place or ROOT,
        )
        for place in places
    ]
    output.table(("SIZE", "FILES", "NAME"), rows)
