"""The sweep: expire idle uploads, empty dead ones, purge tombstones that were emptied.

Every step is a compare-and-set or a deletion that means the same when it is done twice, so a crash
anywhere, or two janitors at once, do no harm: the next sweep continues. One upload that fails does
not delay the others. `policy.py` decides what is done, `loop.py` when.

Emptying is also a step of the outbox (`server/uploads/todo.py`), which does it sooner. The sweep
also finds tombstones without `todo`, which older versions wrote.
Source: page 2 of the design, "Expiry".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

import structlog

from lading.janitor.policy import Action, decide
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Manifest
from lading.storage.blobs.base import Blobs, Check
from lading.storage.collections.grants import Grants
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.quotas import Quotas
from lading.storage.contents import driver_at

log = structlog.get_logger()

DELETED_AT_ONCE = 64
"""Pieces deleted in one batch: small enough not to hold up uploads beside it."""

LOOKED_AT_ONCE = 200

CLAIMED_SECONDS = 30.0
"""An upload that the sweep expires is its own for so long; then a server may empty it, too."""

OF_AGE = (Action.EXPIRE, Action.PURGE)

Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Report:
    """What a sweep did, or would do, in uploads and pieces. `failed` counts uploads."""

    expired: int = 0
    emptied: int = 0
    purged: int = 0
    pieces: int = 0
    failed: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Lost(Exception):
    """The lease passed to another janitor: stop at once."""


async def always() -> None:
    """A check that never raises, for work without a lease."""


class Sweeper:
    """Carries the policy out on the database.

    `pace` is the pause in seconds between two batches of deletions. `tombstone_ttl` is how long, in
    seconds, an expired upload is remembered. While `settled` returns False the clock cannot be
    trusted, and nothing is done because of its age.
    """

    def __init__(
        self,
        manifests: Manifests,
        blobs: Mapping[str, Blobs],
        quotas: Quotas,
        grants: Grants,
        *,
        clock: Callable[[], float],
        tombstone_ttl: float,
        pace: float = 0.0,
        pause: Pause = asyncio.sleep,
        settled: Callable[[], bool] = lambda: True,
        looked_at_once: int = LOOKED_AT_ONCE,
    ) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._quotas = quotas
        self._grants = grants
        self._clock = clock
        self._tombstone_ttl = tombstone_ttl
        self._pace = pace
        self._pause = pause
        self._looked_at_once = looked_at_once
        self.settled = settled

    async def sweep(self, *, dry_run: bool = False, check: Check = always) -> Report:
        """Look at every upload that may be due; raises Unavailable, and what `check` raises."""
        report = Report()
        async for manifest in self._due():
            action = decide(manifest, self._clock())
            if action is Action.KEEP or (action in OF_AGE and not self.settled()):
                continue
            await check()
            if dry_run:
                _note(report, action)
                continue
            try:
                await self._act(action, manifest, report, check)
            except LadingError as error:
                log.warning("upload-not-swept", id=manifest.id, error=str(error))
                report.failed += 1
        return report

    async def _due(self) -> AsyncIterator[Manifest]:
        last: str | None = None
        while True:
            page = await self._manifests.due(self._clock(), after=last, most=self._looked_at_once)
            for manifest in page:
                yield manifest
            if len(page) < self._looked_at_once:
                return
            last = page[-1].id

    async def _act(self, action: Action, manifest: Manifest, report: Report, check: Check) -> None:
        match action:
            case Action.EXPIRE:
                now = self._clock()
                until = now + self._tombstone_ttl
                claimed = now + CLAIMED_SECONDS
                dead = await self._manifests.expire(
                    manifest, now=now, until=until, claimed_until=claimed
                )
                if dead is None:
                    return  # it was touched, or finished
                report.pieces += await self.empty(dead, check)
            case Action.EMPTY:
                report.pieces += await self.empty(manifest, check)
            case Action.PURGE:
                report.pieces += await self._delete(manifest, check)
                await self._quotas.left(manifest.user_id, manifest.id)
                await self._manifests.delete(manifest.id)
        _note(report, action)

    async def empty(self, tombstone: Manifest, check: Check = always) -> int:
        """Give the quota of a tombstone back, delete its bytes, note both; returns the pieces."""
        await self._free(tombstone)
        pieces = await self._delete(tombstone, check)
        await self._note_emptied(tombstone)
        return pieces

    async def begin_to_empty(self, tombstone: Manifest) -> bool:
        """`empty` for one batch, which is all of most uploads. False if there may be more.

        The quota is given back in any case.
        """
        await self._free(tombstone)
        for home in tombstone.homes:
            blobs = driver_at(self._blobs, home)
            if await blobs.delete(tombstone.stored, DELETED_AT_ONCE) == DELETED_AT_ONCE:
                return False
        await self._note_emptied(tombstone)
        return True

    async def _delete(self, tombstone: Manifest, check: Check) -> int:
        pieces = 0
        for home in tombstone.homes:
            blobs, deleted = driver_at(self._blobs, home), DELETED_AT_ONCE
            while deleted == DELETED_AT_ONCE:
                deleted = await blobs.delete(tombstone.stored, DELETED_AT_ONCE)
                pieces += deleted
                if deleted == DELETED_AT_ONCE:
                    await self._pause(self._pace)
                    await check()
        return pieces

    async def _free(self, tombstone: Manifest) -> None:
        """Take an upload or file off its owner's account, once however many processes try.

        What was sent for a request and finished still counts there: it is a bound of what is sent.
        """
        if tombstone.request_id is not None:
            stays = (tombstone.size or 0) if tombstone.upload_end else 0
            await self._grants.settle(tombstone.request_id, tombstone.id, stays)
        if not tombstone.upload_end:
            await self._quotas.release(tombstone.user_id, tombstone.id)
            return
        assert tombstone.size is not None
        while True:
            # In this order: see `quotas.py`. `left` removes the mark that this leaves there.
            account = await self._quotas.account(tombstone.user_id)
            current = await self._manifests.get(tombstone.id)
            if current is None or current.emptied:
                return
            await self._quotas.settle_pictures(account, current)
            pictures = current.charged - tombstone.size
            if await self._quotas.leave(account, tombstone.id, tombstone.size, pictures):
                return

    async def _note_emptied(self, tombstone: Manifest) -> None:
        if tombstone.became is not None:  # a crash may have left that to do
            await self._manifests.conclude(tombstone.became, tombstone.id)
        await self._manifests.note_emptied(tombstone.id)
        if tombstone.upload_end:
            await self._quotas.left(tombstone.user_id, tombstone.id)


def _note(report: Report, action: Action) -> None:
    report.expired += action is Action.EXPIRE
    report.emptied += action in (Action.EXPIRE, Action.EMPTY)
    report.purged += action is Action.PURGE
