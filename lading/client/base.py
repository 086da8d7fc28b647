"""What every part of `Client` works with: the server, and requests that are retried."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lading.client import lookup
from lading.client.api import Api


class Base:
    """The connection of a client."""

    _api: Api
    _request_patience: float
    _patience: float

    async def _request(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        body: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """The answer. With a `key` it is carried out once, however often it is sent."""
        patience = self._request_patience
        return await self._api.json(method, path, params, body=body, patience=patience, key=key)

    def _entries(self, answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
        return lookup.entries(self._api, answer, key)


def segment(text: str) -> str:
    """Text as one segment of an address."""
    # Dots are escaped too: HTTP clients resolve `..` in an address.
    return quote(text, safe="").replace(".", "%2E")
