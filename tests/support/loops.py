"""The end of a test's event loop: connections that are closing get the time that it takes.

`close` of a transport returns at once; the socket closes when what was written is sent. A loop that
ends before leaves the socket open, and the collector's warning fails whichever test runs then.
"""

from __future__ import annotations

from asyncio.selector_events import BaseSelectorEventLoop
from contextlib import suppress
from typing import Any

import pytest

from tests.support.servers import until

SECONDS = 2.0


def patient(patch: pytest.MonkeyPatch) -> None:
    """Let every loop wait at its end for connections that are closing. What nobody closed, or what
    its peer does not read, is left to the warning."""
    usual = BaseSelectorEventLoop.close

    def close(loop: Any) -> None:
        if not loop.is_closed() and not loop.is_running() and _closing(loop):
            loop.run_until_complete(_closed(loop))
        usual(loop)

    patch.setattr(BaseSelectorEventLoop, "close", close)


def _closing(loop: Any) -> list[Any]:
    transports = [*loop._transports.values()]
    return [each for each in transports if each.is_closing() and each._sock is not None]


async def _closed(loop: Any) -> None:
    with suppress(AssertionError):  # then the warning says it
        await until(lambda: not _closing(loop), SECONDS)
