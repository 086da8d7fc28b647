"""What a request costs a server: memory and processor time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.support.servers import Process

T = TypeVar("T")


@contextmanager
def costs_little(server: Process) -> Iterator[None]:
    """Whatever is sent meanwhile, memory stays flat."""
    server.forget_peak()
    before = server.resident
    yield
    assert server.peak - before < 24 * 2**20


async def quickly(server: Process, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, which must cost the server less than 50 ms of processor time.

    Other work of this machine may slow one attempt down, but not three.
    """
    for _ in range(3):
        before = server.worked
        result = await attempt()
        if server.worked - before < 0.05:
            return result
    raise AssertionError("the server worked on it for more than 50 ms")
