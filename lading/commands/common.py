"""What all commands share: the options that name the server, and the way from work to exit code.

It owns signals and exit codes. It refuses to know what a command does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lading.client.output import Output
from lading.memory import keep_freed
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client

DONE = 0
FAILED = 1
INTERRUPTED = 4
AGAIN = "Run the same command again to go on where it stopped."

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="The server; else LADING_URL is used."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="The credential; else LADING_TOKEN is used."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, and no bar.")]


@dataclass(frozen=True, slots=True)
class Common:
    """The options that may stand before the command, too."""

    server: str | None = None
    token: str | None = None
    json: bool = False


T = TypeVar("T")
Work = Callable[["Client", Output], Awaitable[int]]


def parsed(option: str, parse: Callable[[str], T], text: str | None, other: str = "") -> T | None:
    """The value of an option; what cannot be read is a mistake in the command. `other` names
    what it takes besides."""
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}{other}.", param_hint=option) from None


def run(
    context: typer.Context, server: str | None, token: str | None, as_json: bool, work: Work
) -> None:
    """Do a command's work with a client, and exit with its code."""
    # Only here: `lading serve` need not load an HTTP client and its memory.
    from lading.client.client import Client

    keep_freed()
    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)

    async def connected() -> int:
        async with Client(
            server or common.server,
            token or common.token,
            on_slow=lambda: output.once(f"lading: waiting for {client.address.url} to answer."),
        ) as client:
            return await work(client, output)

    raise typer.Exit(_complete(connected, output))


def _complete(job: Callable[[], Awaitable[int]], output: Output) -> int:
    try:
        return asyncio.run(_until_told(job))
    except LadingError as error:
        return output.failed(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        output.note("lading: interrupted.")
        return FAILED


async def _until_told(job: Callable[[], Awaitable[int]]) -> int:
    """The job; Ctrl-C and SIGTERM cancel it, so that it can say what is left undone."""
    loop = asyncio.get_running_loop()
    task: asyncio.Task[Any] = asyncio.ensure_future(job())
    signals = (signal.SIGINT, signal.SIGTERM)
    # Where the loop cannot do that, asyncio cancels on Ctrl-C by itself.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for each in signals:
            loop.add_signal_handler(each, task.cancel)
    try:
        return int(await task)
    finally:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for each in signals:
                loop.remove_signal_handler(each)


def worst(codes: list[int]) -> int:
    """One exit code for many: their own where those that failed agree, else 1."""
    bad = {code for code in codes if code != DONE}
    return bad.pop() if len(bad) == 1 else FAILED if bad else DONE
