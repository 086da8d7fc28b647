"""Manifests for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lading.protocol.manifest import Manifest
from lading.storage.collections.manifests import new_id

NOW = 1_790_000_000.25
HOUR = 3600.0


def begun(**changes: Any) -> Manifest:
    """The manifest of an upload that was begun at NOW and lives for an hour."""
    plain = Manifest(
        id=new_id(),
        user_id="ann",
        name="film.mp4",
        size=100,
        chunk_size=4096,
        created_at=NOW,
        updated_at=NOW,
        expires_at=NOW + HOUR,
    )
    return replace(plain, **changes)
