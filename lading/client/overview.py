"""The part of `Client` that shows admins what the server does, and what all users have open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lading.client import lookup
from lading.client.base import Base
from lading.client.types import IssuedGrant, Upload


class Overview(Base):
    """What all users do; every method is for admins."""

    async def overview(self) -> dict[str, Any]:
        """Connections, traffic, uploads, the outbox and the janitor, as the server sends them."""
        return await self._request("GET", "/v1/overview")

    async def all_uploads(self, limit: int = 100) -> tuple[Upload, ...]:
        """The unfinished uploads of all users, those first that were active last."""
        answer = await self._request("GET", "/v1/overview/uploads", {"limit": limit})
        found = self._entries(answer, "uploads")
        return tuple(lookup.read(self._api, Upload.of, raw) for raw in found)

    async def all_grants(self) -> AsyncIterator[IssuedGrant]:
        """The grants of all users that are in force, the newest first."""
        params: dict[str, Any] = {"limit": lookup.LONG_PAGE}
        while True:
            answer = await self._request("GET", "/v1/overview/grants", params)
            for raw in self._entries(answer, "grants"):
                yield lookup.read(self._api, IssuedGrant.of, raw)
            if not answer.get("cursor"):
                return
            params = {**params, "cursor": answer["cursor"]}
