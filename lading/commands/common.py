"""What all commands share: the options that name the server, signals and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lading.client.address import id_in, is_link
from lading.client.errors import ProxyUnauthorized, Unreachable, Untrusted
from lading.commands.output import Output
from lading.memory import keep_freed
from lading.protocol.errors import InvalidArgument, LadingError, Unauthorized
from lading.protocol.spec import ID
from lading.protocol.units import parse_size

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest, Upload

DONE = 0
FAILED = 1
INTERRUPTED = 4
HOPELESS = (ProxyUnauthorized, Unauthorized, Unreachable, Untrusted)
"""Errors that are not those of one file."""

AGAIN = "Run the same command again to resume."

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="The server. Default: LADING_URL."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="The access token. Default: LADING_TOKEN."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per line and no progress bar.")
]
User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="Act for this user; only an admin may."),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="The profile of `lading login` to use. Default: LADING_PROFILE.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Change nothing; print what would be done.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Rate = Annotated[
    str | None,
    typer.Option(
        "--bwlimit", metavar="SIZE", help="Send or receive so many bytes a second, such as 2MB."
    ),
]


@dataclass(frozen=True, slots=True)
class Common:
    """The options that are also allowed before the command."""

    server: str | None = None
    token: str | None = None
    profile: str | None = None
    json: bool = False


T = TypeVar("T")
Work = Callable[["Client", Output], Awaitable[int]]


def parsed(option: str, parse: Callable[[str], T], text: str | None, other: str = "") -> T | None:
    """The value of an option. A value that cannot be parsed is a usage error; `other` names what
    else is allowed."""
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}{other}.", param_hint=option) from None


def run(
    context: typer.Context,
    server: str | None,
    token: str | None,
    as_json: bool,
    work: Work,
    *,
    profile: str | None = None,
    user: str | None = None,
    rate: str | None = None,
) -> None:
    """Run a command with a client, and exit with its code. With `user`, an admin acts for them."""
    # Imported here: `lading serve` and `--help` need no HTTP client.
    from lading.client.client import Client

    keep_freed()
    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)
    bytes_a_second = parsed("--bwlimit", parse_size, rate)
    if bytes_a_second == 0:
        raise typer.BadParameter("It must be at least 1.", param_hint="--bwlimit")

    async def connected() -> int:
        async with Client(
            server or common.server,
            token or common.token,
            profile=profile or common.profile,
            user=user,
            rate=bytes_a_second,
            on_slow=lambda: output.once(f"lading: waiting for {client.address.url} to answer."),
        ) as client:
            return await work(client, output)

    raise typer.Exit(finish(connected, output))


def finish(job: Callable[[], Awaitable[int]], output: Output) -> int:
    """Run a command's job, and return its exit code. An error is printed."""
    try:
        return asyncio.run(_until_interrupted(job))
    except LadingError as error:
        return output.failed(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        output.note("lading: interrupted.")
        return FAILED


async def _until_interrupted(job: Callable[[], Awaitable[int]]) -> int:
    """Run the job. Ctrl-C and SIGTERM cancel it, so that it can report what is unfinished."""
    loop = asyncio.get_running_loop()
    task: asyncio.Task[Any] = asyncio.ensure_future(job())
    signals = (signal.SIGINT, signal.SIGTERM)
    # Where the loop has no signal handlers, asyncio itself cancels on Ctrl-C.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for each in signals:
            loop.add_signal_handler(each, task.cancel)
    try:
        return int(await task)
    finally:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for each in signals:
                loop.remove_signal_handler(each)


async def look_up(client: Client, name: str) -> Manifest | Upload:
    """The file with an id, a name, a path or an address of the server; or, by its id, an upload.

    Raises LadingError.
    """
    found = name if ID.fullmatch(name) else id_in(name, client.address)
    if found is not None:
        return await client.status(found)
    if is_link(name):
        raise InvalidArgument(f"{name} is not the address of a file of {client.address.url}.")
    return await client.find(name)


async def has_files(client: Client, directory: str) -> bool:
    """Whether there is a finished file in a directory or below it. Raises LadingError."""
    async for _ in client.list(directory=directory, recursive=True, limit=1):
        return True
    return False


def confirmed(question: str) -> bool:
    """Whether a person at the terminal agrees. Without a terminal nobody is asked: True."""
    return not sys.stdin.isatty() or typer.confirm(question, err=True)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def worst(codes: list[int]) -> int:
    """One exit code for many: that of the failures if they agree, else 1."""
    bad = {code for code in codes if code != DONE}
    return bad.pop() if len(bad) == 1 else FAILED if bad else DONE
