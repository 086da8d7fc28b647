"""Measurement of the verbs of uploads: a hook hears of every call, its outcome and its duration."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TypeVar

from lading.protocol.errors import LadingError
from lading.server.hooks import Hooks

T = TypeVar("T")


async def measured(hooks: Hooks, verb: str, work: Awaitable[T], size: int = 0) -> T:
    """Do the work of a verb, such as `create` or `write`, and report its beginning and its end.

    The end has the outcome, the seconds, and the bytes of a piece. The outcome is `ok`, the code of
    the error, `cancelled`, or `fault` for an error that is not Lading's.
    """
    begun, outcome = time.perf_counter(), "cancelled"
    hooks.began(verb)
    try:
        found = await work
    except LadingError as error:
        outcome = error.code
        raise
    except Exception:
        outcome = "fault"
        raise
    else:
        outcome = "ok"
        return found
    finally:
        hooks.verb(verb, outcome, time.perf_counter() - begun, size)
