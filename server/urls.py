"""The URLs in answers: absolute if `LADING_PUBLIC_URL` is set, otherwise relative."""

from __future__ import annotations

from urllib.parse import quote

from lading.server.settings import Settings


def url(settings: Settings, path: str) -> str:
    """The URL of `path`, which starts with a slash."""
    return f"{settings.public_url or ''}{path}"


def file_url(settings: Settings, upload_id: str) -> str:
    """The URL of a file's bytes."""
    return url(settings, f"/v1/files/{upload_id}")


def upload_url(settings: Settings, upload_id: str) -> str:
    """The URL of an upload."""
    return url(settings, f"/v1/uploads/{upload_id}")


def medium_url(settings: Settings, upload_id: str) -> str:
    """The URL of a medium."""
    return url(settings, f"/v1/media/{upload_id}")


def medium_parts_url(settings: Settings, upload_id: str) -> str:
    """The URL of the parts of a medium."""
    return url(settings, f"/v1/media/{upload_id}/parts")


def grant_url(settings: Settings, token: str) -> str:
    """The URL to use a grant at, by its token."""
    return url(settings, f"/v1/g/{token}")


def minted_grant_url(settings: Settings, grant_id: str) -> str:
    """The URL of a grant for its creator, by its id."""
    return url(settings, f"/v1/grants/{grant_id}")


def tag_url(settings: Settings, name: str) -> str:
    """The URL of a tag."""
    return url(settings, f"/v1/tags/{quote(name, safe='')}")


def channel_url(settings: Settings) -> str:
    """The WebSocket channel: `ws` where the public address is `http`, `wss` where it is `https`."""
    return f"{(settings.public_url or '').replace('http', 'ws', 1)}/v1/ws"
