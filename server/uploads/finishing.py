"""FINISH for callers that come back for its end: proxies give up on an answer that takes long.

A file that is read back may take minutes. The work goes on between the requests of its caller, and
its outcome is kept for a while, since a failure may leave nothing that could be verified again.
Each process has its own: a request that meets another one begins there, too, which does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from lading.protocol.errors import RateLimited, ShuttingDown
from lading.protocol.manifest import Manifest
from lading.server.access.principal import Principal
from lading.server.background import Tasks, ignore_result

Finish = Callable[..., Awaitable[Manifest]]
"""`Uploads.finish`."""

_Key = tuple[str, bool, str | None, str, int | None, str | None]
"""Who asks (user, admin, grant), for which upload, and with which size and SHA-256."""

RUNS_AT_ONCE = 4
"""The most FINISH of one upload that go on at the same time: each may read all of its bytes."""


class Verifying(NamedTuple):
    """How far the bytes of an upload are verified: `done` of `total`; both are 0 at first."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Caller:
    """It waits for so many seconds; whether its connection is gone can be asked."""

    seconds: float
    is_gone: Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class _Run:
    task: asyncio.Task[Manifest]
    progress: Verifying


class Finishing:
    """Runs each FINISH once for all who ask.

    An outcome is kept for `seconds`, or until a caller has got it.
    """

    def __init__(self, finish: Finish, seconds: float) -> None:
        self._finish = finish
        self._seconds = seconds
        self._runs: dict[_Key, _Run] = {}
        self._tasks = Tasks()

    async def within(
        self,
        principal: Principal,
        upload_id: str,
        size: int | None,
        sha256: str | None,
        caller: Caller,
    ) -> Manifest | Verifying:
        """The finished file if it is published while the caller waits; raises as `Uploads.finish`.

        Else it goes on, and the same call meets it later. The outcome is kept for that call where
        the caller is gone by now. Raises ShuttingDown when it was given up, RateLimited for too
        many different calls.
        """
        grant = None if principal.grant is None else principal.grant.id
        key = (principal.user_id, principal.admin, grant, upload_id, size, sha256)
        run = self._runs.get(key)
        if run is None:
            run = self._begin(key, principal, upload_id, size, sha256)
        await asyncio.wait([run.task], timeout=caller.seconds)
        if not run.task.done():
            return run.progress
        if not await caller.is_gone():
            self._forget(key, run)
        if run.task.cancelled():
            raise ShuttingDown
        return run.task.result()

    def _begin(self, key: _Key, *asked: Any) -> _Run:
        others = [run for known, run in self._runs.items() if known[:4] == key[:4]]
        if sum(not run.task.done() for run in others) >= RUNS_AT_ONCE:
            raise RateLimited("Too many checks of this upload are under way; wait for their end.")

        def note(done: int, total: int) -> None:
            run.progress = Verifying(done, total)

        async def work() -> Manifest:
            return await self._finish(*asked, progress=note)

        run = _Run(self._tasks.spawn(work()), Verifying(0, 0))
        self._runs[key] = run
        loop = asyncio.get_running_loop()
        run.task.add_done_callback(ignore_result)
        run.task.add_done_callback(lambda _: loop.call_later(self._seconds, self._forget, key, run))
        return run

    def _forget(self, key: _Key, run: _Run) -> None:
        if self._runs.get(key) is run:
            del self._runs[key]

    async def stop(self) -> None:
        """Give up what is being verified; what is being published goes on."""
        self._tasks.cancel()
        await self._tasks.settle()
