"""The URLs in answers: absolute if `LADING_PUBLIC_URL` is set, otherwise relative."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import HTTPConnection

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


def origin(request: HTTPConnection) -> str:
    """The address that a request used, without a path."""
    return f"{request.url.scheme}://{request.url.netloc}"


def absolute(settings: Settings, base: str, path: str) -> str:
    """The URL of `path` with a host, for clients that cannot take a relative one.

    `base` is the address that the request used, without a path.
    """
    return f"{settings.public_url or base}{path}"


def medium_url(settings: Settings, upload_id: str) -> str:
    """The URL of a medium."""
    return url(settings, f"/v1/media/{upload_id}")


def medium_parts_url(settings: Settings, upload_id: str) -> str:
    """The URL of the parts of a medium."""
    return url(settings, f"/v1/media/{upload_id}/parts")


def grant_url(settings: Settings, token: str) -> str:
    """The URL to use a grant at, by its token."""
    return url(settings, f"/v1/g/{token}")


def link_url(settings: Settings, token: str) -> str:
    """The URL of a link, by its token."""
    return url(settings, f"/s/{token}")


def request_url(settings: Settings, token: str) -> str:
    """The URL of the page where people send what was asked for, by its token."""
    return url(settings, f"/r/{token}")


def invitation_url(settings: Settings, token: str) -> str:
    """The page where someone with the token of an invitation makes an account.

    The browser sends nothing behind the `#` to a server, so no log has it.
    """
    return url(settings, f"/#invite={token}")


def minted_grant_url(settings: Settings, grant_id: str) -> str:
    """The URL of a grant for its creator, by its id."""
    return url(settings, f"/v1/grants/{grant_id}")


def webhook_url(settings: Settings, webhook_id: str) -> str:
    """The URL of a webhook."""
    return url(settings, f"/v1/webhooks/{webhook_id}")


def tag_url(settings: Settings, name: str) -> str:
    """The URL of a tag."""
    return url(settings, f"/v1/tags/{quote(name, safe='')}")


def channel_url(settings: Settings) -> str:
    """The WebSocket channel: `ws` where the public address is `http`, `wss` where it is `https`."""
    return f"{(settings.public_url or '').replace('http', 'ws', 1)}/v1/ws"
