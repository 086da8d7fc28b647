"""The outbox: steps that must follow a change of a manifest, written into it by that change.

Publishing and dying are one compare-and-set each, and the same write sets `todo`, the steps that
must follow. Every server looks for manifests with steps left, claims one by a lease in the
document, carries its steps out in order, and takes out each word when its step is done. A crash
anywhere repeats the step, so every step must be idempotent. A step that fails is postponed, each
time for longer. Source: page 2 of the design, "the manifest is the outbox"; `docs/decisions/0030`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from lading.janitor.sweep import Lost
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Manifest
from lading.server.background import Tasks, ignore_result
from lading.server.limits import UploadLimits
from lading.storage.blobs.base import Check
from lading.storage.clock import Clock
from lading.storage.collections.manifests import Claim, Manifests

log = structlog.get_logger()

CLAIMED_AT_ONCE = 20

Step = Callable[[Manifest, Check], Awaitable[object]]
"""Carries one step out. A long one awaits the check now and then, which renews the claim."""


class Todo:
    """Works `todo` off. `steps` has a function for each word."""

    def __init__(
        self, manifests: Manifests, steps: Mapping[str, Step], clock: Clock, limits: UploadLimits
    ) -> None:
        self._manifests = manifests
        self._steps = steps
        self._clock = clock
        self._limits = limits
        self._tasks = Tasks()
        self._turn = asyncio.Lock()

    def begin(self, claim: Claim) -> asyncio.Task[None]:
        """Work off in the background what this process claimed when it wrote it."""
        task = self._tasks.spawn(self._work(claim))
        task.add_done_callback(ignore_result)
        return task

    async def run(self) -> None:
        """Work off what other processes left, for as long as the task lives."""
        while True:
            await asyncio.sleep(self._limits.todo_poll_seconds)
            try:
                await self.once()
            except LadingError as error:
                log.warning("todo-not-read", error=str(error))

    async def once(self) -> int:
        """Work off what is due now; returns how many manifests were claimed."""
        claimed, now = 0, self._clock()
        for upload_id in await self._manifests.with_todo(now, CLAIMED_AT_ONCE):
            now = self._clock()
            until = now + self._limits.todo_lease_seconds
            claim = await self._manifests.claim(upload_id, now=now, until=until)
            if claim is not None:
                claimed += 1
                await self._work(claim)
        return claimed

    async def _work(self, claim: Claim) -> None:
        """Carry the steps of one manifest out; one manifest at a time, since each may be large."""
        async with self._turn:
            hold = _Hold(self._manifests, claim, self._clock, self._limits.todo_lease_seconds)
            try:
                await hold.check()
                for word in claim.manifest.todo:
                    step = self._steps.get(word)
                    if step is None:
                        return  # a newer version's word: it is left for a server that knows it
                    await step(claim.manifest, hold.check)
                    await self._manifests.take_out(claim.manifest.id, word)
            except Lost:
                log.warning("todo-claim-lost", id=claim.manifest.id)
            except LadingError as error:
                log.warning("todo-failed", id=claim.manifest.id, error=str(error))
                await hold.postpone(self._pause(claim))
            except Exception:
                log.exception("todo-failed", id=claim.manifest.id)
                await hold.postpone(self._pause(claim))

    def _pause(self, claim: Claim) -> float:
        return float(min(2.0 ** min(claim.tries, 30), self._limits.todo_longest_pause))

    async def stop(self) -> None:
        """Leave the rest to other servers, or to this one after its next start."""
        self._tasks.cancel()
        await self._tasks.settle()


class _Hold:
    """A claim that is renewed while a step lasts."""

    def __init__(self, manifests: Manifests, claim: Claim, clock: Clock, seconds: float) -> None:
        self._manifests = manifests
        self._claim = claim
        self._until = claim.until
        self._clock = clock
        self._seconds = seconds

    async def check(self) -> None:
        """Raise Lost unless the manifest is still this process's, renewing in the second half."""
        if self._until - self._clock() <= self._seconds / 2:
            await self._move(self._clock() + self._seconds)

    async def postpone(self, seconds: float) -> None:
        """Let nobody try again before so many seconds have passed."""
        try:
            await self._move(self._clock() + seconds)
        except (LadingError, Lost):
            return  # then the lease ends by itself

    async def _move(self, until: float) -> None:
        if not await self._manifests.move_claim(self._claim, until):
            raise Lost
        self._until = until
