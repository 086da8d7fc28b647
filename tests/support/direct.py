"""Clients that send their bytes to a bucket, as a site's back end and its browsers do."""

from __future__ import annotations

from typing import Any

import httpx


async def put(to: dict[str, Any], body: bytes) -> httpx.Response:
    """PUT to an address of a bucket, exactly as the server said; no other credential."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.put(to["url"], headers=to["headers"], content=body)
