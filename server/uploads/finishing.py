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

from lading.protocol.errors import ShuttingDown
from lading.protocol.manifest import Manifest
from lading.server.access.principal import Principal
from lading.server.background import Tasks, ignore_result

Finish = Callable[..., Awaitable[Manifest]]
"""`Uploads.finish`."""


class Verifying(NamedTuple):
    """How far the bytes of an upload are verified: `done` of `total`; both are 0 at first."""

    done: int
    total: int


@dataclass(slots=True)
class _Run:
    task: asyncio.Task[Manifest]
    progress: Verifying


class Finishing:
    """Runs each FINISH once for all who ask. An outcome is kept for `seconds`, or until asked."""

    def __init__(self, finish: Finish, seconds: float) -> None:
        self._finish = finish
        self._seconds = seconds
        self._runs: dict[tuple[object, ...], _Run] = {}
        self._tasks = Tasks()

    async def within(
        self,
        principal: Principal,
        upload_id: str,
        size: int | None,
        sha256: str | None,
        seconds: float,
    ) -> Manifest | Verifying:
        """The finished file if it is published in so many seconds; raises as `Uploads.finish`.

        Else it goes on, and the same call meets it later. Raises ShuttingDown when it was given up.
        """
        grant = None if principal.grant is None else principal.grant.id
        key = (principal.user_id, principal.admin, grant, upload_id, size, sha256)
        run = self._runs.get(key)
        if run is None:
            run = self._begin(key, principal, upload_id, size, sha256)
        await asyncio.wait([run.task], timeout=seconds)
        if not run.task.done():
            return run.progress
        self._forget(key, run)
        if run.task.cancelled():
            raise ShuttingDown
        return run.task.result()

    def _begin(self, key: tuple[object, ...], *asked: Any) -> _Run:
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

    def _forget(self, key: tuple[object, ...], run: _Run) -> None:
        if self._runs.get(key) is run:
            del self._runs[key]

    async def stop(self) -> None:
        """Give up what is being verified; what is being published goes on."""
        self._tasks.cancel()
        await self._tasks.settle()
