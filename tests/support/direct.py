"""Clients that send their bytes to a bucket, as a site's back end and its browsers do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.server.limits import USUAL_LIMITS
from lading.storage.blobs.s3 import S3Blobs
from tests.support.seaweedfs import OWNER, SeaweedFS
from tests.support.servers import Inside, inside

PART = 5 * 2**20
"""S3 takes no smaller part, except as the last one."""

LIMITS = replace(
    USUAL_LIMITS,
    uploads=replace(
        USUAL_LIMITS.uploads, largest_put=11 * 2**20, direct_part=PART, todo_poll_seconds=0.2
    ),
)
"""Files of more than 11 MiB are sent in parts."""


@asynccontextmanager
async def site_with_bucket(
    data: Path,
    database_url: str,
    seaweed: SeaweedFS,
    home: str,
    monkeypatch: pytest.MonkeyPatch,
    **more: Any,
) -> AsyncIterator[Inside]:
    """A server in this loop whose files live in a bucket."""
    for name, value in OWNER.environment.items():
        monkeypatch.setenv(name, value)
    settings: dict[str, Any] = {"blobs": home, **seaweed.settings(), **more}
    async with inside(data, database_url, limits=LIMITS, **settings) as running:
        yield running


def bucket(site: Inside) -> S3Blobs:
    """The bucket of a site, bare."""
    homes = site.services.uploads._storage.blobs
    found = homes.bare(homes.home)
    assert isinstance(found, S3Blobs)
    return found


async def put(to: dict[str, Any], body: bytes) -> httpx.Response:
    """PUT to an address of a bucket, exactly as the server said; no other credential."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.put(to["url"], headers=to["headers"], content=body)
