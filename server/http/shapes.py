"""The shapes of answers: manifests, lists and addresses, as page 4 of the design gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from lading.protocol.manifest import Coverage, Manifest, Piece
from lading.storage.contents import identity


def moment(seconds: float | None) -> str | None:
    """A time as RFC 3339 in UTC, with milliseconds."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def manifest_shape(manifest: Manifest) -> dict[str, Any]:
    """A manifest without its chunks."""
    return {
        "_id": manifest.id,
        "user_id": manifest.user_id,
        "name": manifest.name,
        "directory": manifest.directory,
        "size": manifest.size,
        "mime_type": manifest.mime_type,
        "upload_size": manifest.upload_size,
        "upload_end": manifest.upload_end,
        "state": str(manifest.state),
        "chunk_size": manifest.chunk_size,
        "sha256": manifest.sha256,
        "crc32c": manifest.crc32c,
        "tags": list(manifest.tags),
        "created_at": moment(manifest.created_at),
        "updated_at": moment(manifest.updated_at),
        "expires_at": moment(manifest.expires_at),
    }


def upload_shape(manifest: Manifest, stored: Coverage) -> dict[str, Any]:
    """An unfinished upload: its manifest, exact, and the ranges that are missing."""
    return {
        **manifest_shape(manifest),
        "upload_size": stored.upload_size,
        "fingerprint": manifest.fingerprint,
        "missing": [list(gap) for gap in stored.missing],
    }


def chunk_shape(manifest: Manifest, piece: Piece) -> dict[str, Any]:
    """One entry of a manifest's `chunks`."""
    return {
        "object_id": identity(manifest, piece).hex(),
        "slice_start": piece.slice_start,
        "size": piece.size,
    }


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    more = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, more, media_type="application/json")
