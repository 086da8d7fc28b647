"""Webhooks, as an admin manages them. Entries are mappings, as the HTTP API sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from lading.client import lookup
from lading.client.api import Api
from lading.protocol.spec import check_id

Request = Callable[..., Awaitable[dict[str, Any]]]
"""`Client._request`."""

Entry = Mapping[str, Any]


class Webhooks:
    """The webhooks of a server; `Client.webhooks`. Every method is for admins."""

    def __init__(self, api: Api, request: Request) -> None:
        self._api = api
        self._request = request

    async def add(self, url: str, events: Sequence[str]) -> Entry:
        """Send events to `url` from now on. Only this answer has the `secret`."""
        body = {"url": url, "events": [*events]}
        return await self._request("POST", "/v1/webhooks", body=body)

    async def all(self) -> list[Entry]:
        """All webhooks, the oldest first."""
        answer = await self._request("GET", "/v1/webhooks")
        return [*lookup.entries(self._api, answer, "webhooks")]

    async def enable(self, webhook_id: str) -> Entry:
        """Let a webhook get events again, and what it missed."""
        return await self._request("PATCH", _path(webhook_id), body={"enabled": True})

    async def disable(self, webhook_id: str) -> Entry:
        """Let a webhook get nothing until it is enabled."""
        return await self._request("PATCH", _path(webhook_id), body={"enabled": False})

    async def remove(self, webhook_id: str) -> None:
        """Remove a webhook with its log."""
        await self._request("DELETE", _path(webhook_id))

    async def test(self, webhook_id: str) -> Entry:
        """Send a webhook the event `webhook.test` now; the delivery, with what became of it."""
        return await self._request("POST", f"{_path(webhook_id)}/test")

    async def log(self, webhook_id: str, state: str | None = None) -> AsyncIterator[Entry]:
        """The deliveries of a webhook, the newest first."""
        params: dict[str, Any] = {} if state is None else {"state": state}
        while True:
            answer = await self._request("GET", f"{_path(webhook_id)}/deliveries", params)
            for each in lookup.entries(self._api, answer, "deliveries"):
                yield each
            if not answer.get("cursor"):
                return
            params = {**params, "cursor": answer["cursor"]}


def _path(webhook_id: str) -> str:
    return f"/v1/webhooks/{check_id(webhook_id)}"
