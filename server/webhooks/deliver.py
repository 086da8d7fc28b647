"""Sends what is pending: of each file in order, again with growing pauses, by one process.

A lease says which process sends; when it dies, another takes over after `lease_seconds` and sends
again what the dead one did not note. A receiver that takes nothing for `give_up_seconds` is
disabled. Source: page 12 of the design; Standard Webhooks, "Retry schedule".
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

import structlog

from lading.janitor.holding import Holding
from lading.janitor.sweep import Lost
from lading.protocol import webhooks as protocol
from lading.protocol.errors import LadingError
from lading.server.background import Tasks
from lading.server.hooks import ignore
from lading.server.limits import WebhookLimits
from lading.server.webhooks.send import Outcome, Sender
from lading.storage.collections.deliveries import Delivery, State
from lading.storage.collections.webhooks import Webhook
from lading.storage.open import Storage

log = structlog.get_logger()

LEASE = "webhooks"

GONE = 410
"""By this status a receiver says that it wants nothing more (Standard Webhooks)."""

Observe = Callable[[str, str, float], None]
"""Called with the event, the outcome (`delivered`, `retried` or `failed`), and the seconds."""


class _Gate:
    """So many requests to one webhook at the same time, and none once it was given up."""

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.closed = False


class Deliverer:
    """Sends the deliveries of all webhooks. `news` is set when there may be new ones.

    `jitter` returns a number from 0 to 1, by which pauses differ. `observe` hears of each try.
    """

    def __init__(
        self,
        storage: Storage,
        sender: Sender,
        news: asyncio.Event,
        limits: WebhookLimits,
        *,
        holder: str,
        jitter: Callable[[], float] = random.random,
        observe: Observe = ignore,
    ) -> None:
        self._storage = storage
        self._webhooks = storage.webhooks
        self._deliveries = storage.deliveries
        self._sender = sender
        self._news = news
        self._limits = limits
        self._jitter = jitter
        self._observe = observe
        self._holding = Holding(
            storage.leases,
            LEASE,
            holder=holder,
            seconds=limits.lease_seconds,
            clock=storage.clock,
        )
        self._tasks = Tasks()
        self._serving: set[str] = set()
        """The webhooks of which something is being sent."""
        self._cleaned = 0.0

    async def run(self) -> None:
        """Send what is due, for as long as the task lives; then let another process begin."""
        try:
            while True:
                sends = False
                try:
                    sends = await self._begin()
                except LadingError as error:
                    log.warning("webhooks-not-sent", error=str(error))
                except Exception:
                    log.exception("webhooks-not-sent")
                await self._rest(sends=sends)
        finally:
            self._tasks.cancel()
            await self._tasks.settle()
            await self._holding.release()

    async def _rest(self, *, sends: bool) -> None:
        """Whoever sends looks again soon; others look whether somebody still does."""
        if not sends and self._webhooks.known:
            await asyncio.sleep(self._limits.look_seconds)
            return
        seconds = self._limits.poll_seconds if sends else self._limits.look_seconds
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()

    async def once(self) -> bool:
        """Send what is due now. False where there are no webhooks, or another process sends."""
        sends = await self._begin()
        await self._tasks.settle()
        return sends

    async def _begin(self) -> bool:
        """Begin to send what is due, of each webhook by itself: a slow one holds up no other."""
        found = await self._webhooks.look()
        if not found or not await self._holding.take():
            return False
        await self._clean()
        for webhook in found:
            if webhook.id not in self._serving:
                self._serving.add(webhook.id)
                self._tasks.spawn(self._serve_safely(webhook))
        return True

    async def _serve_safely(self, webhook: Webhook) -> None:
        try:
            await self._serve(webhook)
        except Lost:
            log.warning("webhooks-lost-lease")
        except LadingError as error:
            log.warning("webhooks-not-sent", error=str(error))
        except Exception:
            log.exception("webhooks-not-sent")
        finally:
            self._serving.discard(webhook.id)

    async def _clean(self) -> None:
        """Now and then delete what was stored for a webhook while it was removed."""
        now = self._storage.clock()
        if now - self._cleaned < self._limits.lost_seconds:
            return
        self._cleaned = now
        known = [each.id for each in await self._webhooks.all()]
        await self._deliveries.remove_lost(known, now - self._limits.lost_seconds)

    async def _serve(self, webhook: Webhook) -> None:
        """Send what is due of one webhook: of some files at a time, of each in order."""
        gate = _Gate(self._limits.sent_at_once)
        now = self._storage.clock
        while due := await self._deliveries.due(webhook.id, now(), self._limits.read_at_once):
            by_subject = sorted(due, key=lambda each: (each.subject, each.number))
            groups = [list(each) for _, each in groupby(by_subject, lambda each: each.subject)]
            await asyncio.gather(*(self._in_order(webhook, each, gate) for each in groups))
            current = await self._webhooks.get(webhook.id)
            if gate.closed or current is None or not current.enabled:
                return
            webhook = current

    async def _in_order(self, webhook: Webhook, deliveries: list[Delivery], gate: _Gate) -> None:
        """Send deliveries of one subject; behind one that fails, the others wait."""
        async with gate.places:
            first = await self._deliveries.earlier(deliveries[0])
            for delivery in deliveries:
                if gate.closed:
                    return
                if first is None:
                    await self._holding.check()
                    first = await self._try(webhook, delivery, gate)
                else:
                    # A moment behind it: what is due first is read first.
                    due_at = first.due_at + 0.001 * delivery.number
                    await self._deliveries.postpone(delivery, due_at)

    async def _try(self, webhook: Webhook, delivery: Delivery, gate: _Gate) -> Delivery | None:
        """Send it once and note that. Returns it if it is still pending."""
        body = delivery.body.encode()
        now = self._storage.clock()
        signed = protocol.headers(webhook.secret, delivery.message_id, int(now), body)
        outcome = await self._sender.send(webhook.url, signed, body)
        tried = replace(
            delivery,
            tries=delivery.tries + 1,
            begun_at=now if delivery.begun_at is None else delivery.begun_at,
            tried_at=now,
            status=outcome.status,
            error=outcome.error,
            seconds=outcome.seconds,
        )
        if outcome.taken:
            await self._end(replace(tried, state=State.DELIVERED))
            return None
        due_at = self._next(tried)
        if due_at is None or outcome.status == GONE:
            gate.closed = True
            await self._give_up(webhook, replace(tried, state=State.FAILED), outcome)
            return None
        await self._deliveries.note_try(tried, due_at=due_at)
        self._observe(tried.event, "retried", outcome.seconds)
        return replace(tried, due_at=due_at)

    def _next(self, tried: Delivery) -> float | None:
        """When it is tried again; None when it was tried for long enough."""
        assert tried.begun_at is not None
        assert tried.tried_at is not None
        last = tried.begun_at + self._limits.give_up_seconds
        if tried.tried_at >= last:
            return None
        pauses = self._limits.pauses
        pause = pauses[min(tried.tries, len(pauses)) - 1]
        return min(tried.tried_at + pause * (1 + 0.1 * self._jitter()), last)

    async def _end(self, tried: Delivery) -> None:
        kept_until = self._storage.clock() + self._limits.log_seconds
        await self._deliveries.note_try(tried, due_at=tried.due_at, kept_until=kept_until)
        outcome = "delivered" if tried.state is State.DELIVERED else "failed"
        self._observe(tried.event, outcome, tried.seconds or 0.0)

    async def _give_up(self, webhook: Webhook, tried: Delivery, outcome: Outcome) -> None:
        """Disable the webhook, then note the end: a crash in between tries once more."""
        if outcome.status == GONE:
            reason = "Its receiver answered 410 Gone: it wants no more events."
        else:
            days = self._limits.give_up_seconds / 86_400
            reason = f"It took no event for {days:g} days. {outcome.error}"
        now = self._storage.clock()
        await self._deliveries.keep(webhook.id, now + self._limits.log_seconds)
        if await self._webhooks.disable(webhook.id, now, reason) is not None:
            log.error("webhook-disabled", webhook=webhook.id, reason=reason)
        await self._end(tried)
