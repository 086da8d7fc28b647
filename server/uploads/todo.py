"""The outbox: steps that must follow a change of a manifest, written into it by that change.

Publishing and dying are one compare-and-set each, and the same write sets `todo`, the steps that
must follow. Every server looks for manifests with steps left, claims one by a lease in the
document, carries its steps out in order, and takes out each word when its step is done. A crash
anywhere repeats the step, so every step must be idempotent. A step that fails is postponed, each
time for longer. A step that its manifest outran, because of a request meanwhile, is done again.
Source: page 2 of the design, "the manifest is the outbox"; `docs/decisions/0030`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from contextlib import suppress

import structlog

from lading.janitor.sweep import Lost, always
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Manifest
from lading.server.background import Tasks, ignore_result
from lading.server.hooks import NOBODY, Hooks, ignore
from lading.server.limits import UploadLimits
from lading.storage.blobs.base import Check
from lading.storage.clock import Clock
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.outbox import Claim, Outbox

log = structlog.get_logger()

CLAIMED_AT_ONCE = 20


class Died(Exception):
    """The step ended the manifest's life; whoever did that sees to what is left."""


Step = Callable[[Manifest, Check], Awaitable[object]]
"""Carries one step out. A long one awaits the check now and then, which renews the claim."""


class NotYet(Exception):
    """A step waits for something else; it is tried again, each time after a longer moment."""


class Todo:
    """Works `todo` off. `steps` has a function for each word.

    The words of `others` are left to other workers, and do not hold up those behind them. A word
    that is in neither is a newer version's: those behind it wait for a server that knows it.
    """

    def __init__(
        self,
        manifests: Manifests,
        outbox: Outbox,
        steps: Mapping[str, Step],
        clock: Clock,
        limits: UploadLimits,
        *,
        others: Container[str] = (),
        at_once: int | None = None,
        hooks: Hooks = NOBODY,
        left: Callable[[], None] = ignore,
    ) -> None:
        """`at_once` manifests are worked on at the same time; the limit's number if None.

        `hooks` hear of each step that is tried, and whether it was `ok`, `failed`, `lost` to
        another process, or is to be done `later`. `left` is called when steps are left to other
        workers.
        """
        self._left = left
        self._manifests = manifests
        self._outbox = outbox
        self._steps = dict(steps)
        self._others = others
        self._hooks = hooks
        self._at_once = limits.todo_at_once if at_once is None else at_once
        self._clock = clock
        self._limits = limits
        self._tasks = Tasks()
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    def learn(self, word: str, step: Step) -> None:
        """Have a function for one more word."""
        self._steps[word] = step

    def begin(self, claim: Claim) -> asyncio.Task[None]:
        """Work off in the background what this process claimed when it wrote it.

        One manifest after the other, since each may be large.
        """
        task = self._tasks.spawn(self._in_turn(claim))
        task.add_done_callback(ignore_result)
        return task

    async def _in_turn(self, claim: Claim) -> None:
        async with self._turn:
            await self.work(claim)

    async def at_once(self, manifest: Manifest, word: str) -> Manifest:
        """Carry out a step that this process has just written. A failure is left to the outbox.

        Returns the manifest as it is then, and as it was before where that is not known.
        """
        try:
            return await self._step(manifest, word, always) or manifest
        except (Died, Lost):
            pass  # who has it now does it
        except LadingError as error:
            log.warning("todo-failed", id=manifest.id, error=str(error))
        except Exception:
            log.exception("todo-failed", id=manifest.id)
        return manifest

    async def release(self, manifest: Manifest) -> None:
        """Let anybody claim what is left to do of a manifest that this process has claimed."""
        with suppress(LadingError):  # then the claim ends by itself
            await self._outbox.move_claim(Claim(manifest, 0.0), self._clock())
        self.wake()

    def wake(self) -> None:
        """Say that this process wrote steps that are due, and that anybody may claim."""
        self._news.set()

    async def run(self) -> None:
        """Work off what is due, for as long as the task lives: some manifests at the same time."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._at_once):
                workers.create_task(self._run())

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._limits.todo_poll_seconds)
            self._news.clear()
            try:
                while await self.once():
                    pass
            except LadingError as error:
                log.warning("todo-not-read", error=str(error))

    async def once(self) -> int:
        """Work off what is due now; returns how many manifests were claimed."""
        claimed, now = 0, self._clock()
        for upload_id in await self._outbox.with_todo(self._steps, now, CLAIMED_AT_ONCE):
            now = self._clock()
            until = now + self._limits.todo_lease_seconds
            claim = await self._outbox.claim(upload_id, now=now, until=until)
            if claim is not None:
                claimed += 1
                await self.work(claim)
        return claimed

    async def work(self, claim: Claim) -> bool:
        """Carry the steps of one manifest out; False when one failed, or is another process's."""
        hold = _Hold(self._outbox, claim, self._clock, self._limits.todo_lease_seconds)
        manifest: Manifest | None = claim.manifest
        try:
            await hold.check()
            while manifest is not None and (word := self._next(manifest)) is not None:
                if word not in self._steps:
                    return False
                manifest = await self._step(manifest, word, hold.check)
            if manifest is not None and manifest.todo:
                await hold.postpone(0.0)  # others may claim the rest
                self._left()
        except Lost:
            log.warning("todo-claim-lost", id=claim.manifest.id)
        except Died:
            return True
        except NotYet:
            await hold.postpone(self._pause(claim, self._limits.todo_poll_seconds / 2))
        except LadingError as error:
            log.warning("todo-failed", id=claim.manifest.id, error=str(error))
            await hold.postpone(self._pause(claim))
        except Exception:
            log.exception("todo-failed", id=claim.manifest.id)
            await hold.postpone(self._pause(claim))
        else:
            return True
        return False

    def _next(self, manifest: Manifest) -> str | None:
        """The first word that is not left to others."""
        return next((word for word in manifest.todo if word not in self._others), None)

    async def _step(self, manifest: Manifest, word: str, check: Check) -> Manifest | None:
        """Carry a step out, again if the manifest changed meanwhile; returns it as it is then.

        None when it is gone. Raises Lost, and what the step raises.
        """
        while True:
            await self._measured(manifest, word, check)
            left = await self._outbox.take_out(manifest, word)
            if left is not None:
                return left
            current = await self._manifests.get(manifest.id)
            if current is None:
                return None
            if current.todo_tries != manifest.todo_tries:
                raise Lost
            manifest = current

    async def _measured(self, manifest: Manifest, word: str, check: Check) -> None:
        begun, outcome = time.perf_counter(), "failed"
        self._hooks.began(word)
        try:
            await self._steps[word](manifest, check)
            outcome = "ok"
        except Died:
            outcome = "ok"
            raise
        except Lost:
            outcome = "lost"
            raise
        except NotYet:
            outcome = "later"
            raise
        finally:
            self._hooks.step(word, outcome, time.perf_counter() - begun)

    def _pause(self, claim: Claim, unit: float = 1.0) -> float:
        tries = min(claim.manifest.todo_tries, 30)
        return float(min(unit * 2.0**tries, self._limits.todo_longest_pause))

    async def stop(self) -> None:
        """Leave the rest to other servers, or to this one after its next start."""
        self._tasks.cancel()
        await self._tasks.settle()


class _Hold:
    """A claim that is renewed while a step lasts."""

    def __init__(self, outbox: Outbox, claim: Claim, clock: Clock, seconds: float) -> None:
        self._outbox = outbox
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
        if not await self._outbox.move_claim(self._claim, until):
            raise Lost
        self._until = until
