"""What an admin does with webhooks: add, change, enable, disable, remove, try, and look."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from lading.protocol import webhooks as protocol
from lading.protocol.errors import Forbidden, InvalidArgument, NotFound
from lading.protocol.spec import check_id
from lading.protocol.webhooks import SECRET_BYTES, TEST, Event
from lading.server.limits import WebhookLimits
from lading.server.webhooks import payload
from lading.server.webhooks.send import Sender
from lading.storage.collections.deliveries import Delivery, State
from lading.storage.collections.manifests import new_id
from lading.storage.collections.webhooks import Webhook
from lading.storage.open import Storage

BY_ADMIN = "An admin disabled it."


class WebhookAdmin:
    """The webhooks of a server. Every method raises Unavailable, with an id also NotFound.

    `news` is set when there may be something to send.
    """

    def __init__(
        self, storage: Storage, sender: Sender, news: asyncio.Event, limits: WebhookLimits
    ) -> None:
        self._storage = storage
        self._sender = sender
        self._news = news
        self._limits = limits

    async def add(self, url: str, events: Sequence[str]) -> Webhook:
        """A new webhook, with its secret; raises InvalidArgument, Forbidden for too many."""
        await self._sender.check(url)
        now = self._storage.clock()
        if len(await self._storage.webhooks.all()) >= self._limits.most:
            raise Forbidden(f"There are {self._limits.most} webhooks; remove one first.")
        webhook = Webhook(
            id=new_id(now),
            url=url,
            events=_each_once(events),
            secret=protocol.secret_of(secrets.token_bytes(SECRET_BYTES)),
            created_at=now,
        )
        await self._storage.webhooks.insert(webhook)
        await self._look()
        return webhook

    async def _look(self) -> None:
        await self._storage.webhooks.look()
        self._news.set()

    async def all(self) -> list[Webhook]:
        """Every webhook, the oldest first."""
        return await self._storage.webhooks.all()

    async def get(self, webhook_id: str) -> Webhook:
        """One of them."""
        check_id(webhook_id)
        return _found(await self._storage.webhooks.get(webhook_id))

    async def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is not None; raises InvalidArgument.

        A webhook that is enabled again gets what it missed while the log still has it.
        """
        webhook = await self.get(webhook_id)
        if url is not None:
            await self._sender.check(url)
        chosen = None if events is None else _each_once(events)
        webhook = _found(await self._storage.webhooks.change(webhook_id, url=url, events=chosen))
        if enabled is not None and enabled is not webhook.enabled:
            webhook = await (self._enable if enabled else self._disable)(webhook)
        await self._look()
        return webhook

    async def _enable(self, webhook: Webhook) -> Webhook:
        # In this order: what is pending must not be deleted while it may be sent.
        await self._storage.deliveries.begin_again(webhook.id, self._storage.clock())
        return _found(await self._storage.webhooks.enable(webhook.id))

    async def _disable(self, webhook: Webhook) -> Webhook:
        now = self._storage.clock()
        await self._storage.deliveries.keep(webhook.id, now + self._limits.log_seconds)
        await self._storage.webhooks.disable(webhook.id, now, BY_ADMIN)
        return await self.get(webhook.id)

    async def remove(self, webhook_id: str) -> None:
        """Remove a webhook, and its log."""
        await self.get(webhook_id)
        await self._storage.webhooks.delete(webhook_id)
        await self._storage.deliveries.remove(webhook_id)
        await self._look()

    async def test(self, webhook_id: str) -> Delivery:
        """Send a webhook one event now, also when it is disabled; what became of it."""
        webhook = await self.get(webhook_id)
        now, subject = self._storage.clock(), new_id()
        text = payload.body(TEST, now, {"webhook_id": webhook.id})
        body, message_id = text.encode(), f"msg_{subject}_0"
        signed = protocol.headers(webhook.secret, message_id, int(now), body)
        outcome = await self._sender.send(webhook.url, signed, body)
        delivery = Delivery(
            id=new_id(now),
            webhook_id=webhook.id,
            event=TEST,
            subject=subject,
            number=0,
            body=text,
            created_at=now,
            due_at=now,
            state=State.DELIVERED if outcome.taken else State.FAILED,
            tries=1,
            begun_at=now,
            tried_at=now,
            status=outcome.status,
            error=outcome.error,
            seconds=outcome.seconds,
        )
        await self._storage.deliveries.add(delivery, now + self._limits.log_seconds)
        return delivery

    async def log(
        self, webhook_id: str, *, state: State | None, before: str | None, most: int
    ) -> list[Delivery]:
        """A webhook's deliveries, the newest first."""
        await self.get(webhook_id)
        return await self._storage.deliveries.log(webhook_id, state=state, before=before, most=most)


def _each_once(events: Sequence[str]) -> tuple[str, ...]:
    """The names of events in their usual order; raises InvalidArgument for one that is none."""
    known = [str(each) for each in Event]
    unknown = [each for each in events if each not in known]
    if unknown or not events:
        wrong = f"{unknown[0]!r} is no event" if unknown else "No event is named"
        raise InvalidArgument(f"{wrong}; name some of {', '.join(known)}.")
    return tuple(each for each in known if each in events)


def _found(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise NotFound("There is no such webhook.")
    return webhook
