"""What a delivery says: the type of the event, its time, and the file or account that it is about.

The fields of `data` have the names and values that the HTTP API has for them. The facts of a file
come without its waveform and its placeholder, which are long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lading.protocol.manifest import Manifest

MEDIA = (
    "kind",
    "width",
    "height",
    "frames",
    "alpha",
    "duration",
    "frame_rate",
    "codecs",
    "moov_first",
    "title",
    "artist",
    "album",
)


def body(event: str, at: float, data: Mapping[str, Any]) -> str:
    """The JSON text of a delivery; every try sends the same."""
    content = {"type": event, "timestamp": moment(at), "data": data}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def file(manifest: Manifest, state: str) -> dict[str, Any]:
    """A file or upload, in a state."""
    media = manifest.media
    return {
        "_id": manifest.id,
        "user_id": manifest.user_id,
        "name": manifest.name,
        "directory": manifest.directory,
        "size": manifest.size,
        "mime_type": manifest.mime_type,
        "upload_size": manifest.upload_size,
        "state": state,
        "sha256": manifest.sha256,
        "crc32c": manifest.crc32c,
        "tags": list(manifest.tags),
        "kind": manifest.kind,
        "sender": manifest.sender,
        "public": manifest.public,
        "created_at": moment(manifest.created_at),
        "updated_at": moment(manifest.updated_at),
        "modified_at": None if manifest.modified_at is None else moment(manifest.modified_at),
        "media": None if media is None else {each: media.get(each) for each in MEDIA},
        "pictures": [_picture(name, manifest) for name in sorted(manifest.pictures)],
    }


def _picture(name: str, manifest: Manifest) -> dict[str, Any]:
    quality, _, crop = name.partition("-")
    picture = manifest.pictures[name]
    return {
        "quality": int(quality),
        "crop": "square" if crop else None,
        "width": picture.width,
        "height": picture.height,
        "size": picture.size,
    }


def moment(seconds: float) -> str:
    """A time as RFC 3339 in UTC, with milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
