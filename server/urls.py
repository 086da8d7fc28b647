"""The addresses that answers name: absolute where the public address is known, else relative."""

from __future__ import annotations

from urllib.parse import quote

from lading.server.settings import Settings


def url(settings: Settings, path: str) -> str:
    """The address of `path`, which begins with a slash."""
    return f"{settings.public_url or ''}{path}"


def file_url(settings: Settings, upload_id: str) -> str:
    """Where a file is fetched."""
    return url(settings, f"/v1/files/{upload_id}")


def upload_url(settings: Settings, upload_id: str) -> str:
    """Where an upload is resumed over HTTP."""
    return url(settings, f"/v1/uploads/{upload_id}")


def medium_url(settings: Settings, upload_id: str) -> str:
    """Where a medium is found."""
    return url(settings, f"/v1/media/{upload_id}")


def grant_url(settings: Settings, token: str) -> str:
    """Where a grant is used, by its token."""
    return url(settings, f"/v1/g/{token}")


def minted_grant_url(settings: Settings, grant_id: str) -> str:
    """Where whoever created a grant finds it, by its id."""
    return url(settings, f"/v1/grants/{grant_id}")


def tag_url(settings: Settings, name: str) -> str:
    """Where a tag is found."""
    return url(settings, f"/v1/tags/{quote(name, safe='')}")


def channel_url(settings: Settings) -> str:
    """The WebSocket channel: `ws` where the public address is `http`, `wss` where it is `https`."""
    return f"{(settings.public_url or '').replace('http', 'ws', 1)}/v1/ws"
