"""What `GET /v1/events` sends beside manifests."""

from __future__ import annotations

from typing_extensions import TypedDict

from lading.protocol.manifest import Manifest
from lading.server.http.schemas import types


class Gone(TypedDict):
    """A file or upload that is there no more."""

    _id: types.Id
    user_id: str
    name: str
    directory: str


def gone(manifest: Manifest) -> Gone:
    """What is told of it."""
    return Gone(
        _id=manifest.id,
        user_id=manifest.user_id,
        name=manifest.name,
        directory=manifest.directory,
    )
