"""Which steps must follow when new bytes are those of a file."""

from __future__ import annotations

from lading.protocol.manifest import Manifest
from lading.server.uploads.derive import has_pictures
from lading.storage.collections.outbox import DERIVE, MOVE, PLACE
from lading.storage.homes import Homes


def follows(blobs: Homes, manifest: Manifest) -> str | None:
    """The step that brings the bytes to where they belong, if any."""
    if manifest.blobs != blobs.home:
        return MOVE
    return PLACE if blobs[blobs.home].traits.path else None


def pictured(mime_type: str) -> tuple[str, ...]:
    """The step that makes pictures, for a file of which there may be some."""
    return (DERIVE,) if has_pictures(mime_type) else ()
