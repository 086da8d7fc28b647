"""The headers of stored bytes: what they are, and what a browser may do with them.

Whoever uploads a file chooses its bytes, so a browser must never run them as a page of this server.
Types that hold no program are shown in a tab; all others are saved. Source: RFC 6266, RFC 8187,
RFC 9530; page 5 of the design, security list, item 22; docs/decisions/0038.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from starlette.requests import Request

from lading.protocol.conditions import Validators
from lading.protocol.digests import format_digest_field
from lading.protocol.manifest import Manifest, State
from lading.protocol.names import saved_name

LOCKED = "default-src 'none'; sandbox"
"""The policy of everything that a browser could run, and of what needs nothing else."""

MEDIA = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"
"""A tab that shows a film is a page made by the browser, which fetches the film once more. It has
no sandbox, which would make that the request of another origin."""

IMAGE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The browser's page around an image has styles of its own, and fetches nothing."""

PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"
"""Browsers show a PDF by a viewer of their own, apart from this origin; a sandbox stops some."""

_SHOWN = (
    ("video/", MEDIA),
    ("audio/", MEDIA),
    ("image/", IMAGE),
    ("text/plain", LOCKED),
    ("application/pdf", PDF),
)

_NEVER_SHOWN = ("image/svg+xml",)
"""An image that can contain scripts."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a copy of a finished file may be used without asking again.

    With `seconds` None the server is asked each time. A `shared` file is for everyone, so a cache
    may give its copy to others.
    """

    seconds: int | None = None
    shared: bool = False

    @property
    def control(self) -> str:
        """The `Cache-Control` of the bytes, which never change."""
        return "private, no-cache" if self.seconds is None else f"{self.age()}, immutable"

    def age(self, seconds: int | None = None) -> str:
        """The same for an answer that is good for so long; for the file's own time if None."""
        who = "public" if self.shared else "private"
        return f"{who}, max-age={self.seconds if seconds is None else seconds}"


EACH_TIME = Keeping()


def etag(manifest: Manifest) -> str:
    """The strong entity tag of a finished file's bytes, which change only when it is replaced."""
    if manifest.crc32c is None:  # its bytes went to the bucket itself
        return f'"{manifest.key}-{manifest.sha256}"'
    return f'"{manifest.key}-{manifest.crc32c:08x}"'


def manifest_etag(manifest: Manifest) -> str:
    """The strong entity tag of a finished file's manifest, which changes with each change."""
    return f'"{manifest.id}-m{manifest.revision}"'


def validators(manifest: Manifest) -> Validators:
    """By what the bytes are known; an upload in progress has nothing yet."""
    if manifest.state is not State.READY:
        return Validators()
    return Validators((etag(manifest),), manifest.updated_at)


def is_player(request: Request) -> bool:
    """Whether a browser's player asks, or someone who says so: `<video>` can send no fields.

    `Sec-Fetch-Dest` is sent to https and loopback addresses only.
    """
    asked_by = request.headers.get("sec-fetch-dest")
    return asked_by in ("video", "audio") or request.query_params.get("play") == "1"


def _policy(manifest: Manifest) -> str | None:
    """The policy for a type that a tab may show; None for all others."""
    plain = manifest.mime_type.partition(";")[0].strip().lower()
    if plain in _NEVER_SHOWN:
        return None
    for prefix, policy in _SHOWN:
        if plain == prefix or (prefix.endswith("/") and plain.startswith(prefix)):
            return policy
    return None


def disposition(manifest: Manifest, *, download: bool) -> str:
    """The `Content-Disposition` of a file, for any name (RFC 6266, RFC 8187).

    A long name is cut to what can be saved: proxies refuse headers of more than 4 KiB.
    """
    kind = "attachment" if download or _policy(manifest) is None else "inline"
    return _named(kind, manifest.name)


def saved_as(name: str) -> str:
    """The `Content-Disposition` of what is saved under this name."""
    return _named("attachment", name)


def _named(kind: str, name: str) -> str:
    name = saved_name(name)
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    field = f'{kind}; filename="{plain}"'
    if plain != name:
        field += f"; filename*=UTF-8''{quote(name, safe='')}"
    return field


def file_headers(
    manifest: Manifest, *, download: bool, keeping: Keeping = EACH_TIME
) -> dict[str, str]:
    """The headers of a file or of an upload in progress, whatever part of it is sent."""
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": manifest.mime_type,
        "Content-Disposition": disposition(manifest, download=download),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _policy(manifest) or LOCKED,
        "Cross-Origin-Resource-Policy": "same-site",
        "Cache-Control": keeping.control,
    }
    if manifest.state is State.READY:
        changed = datetime.fromtimestamp(int(manifest.updated_at), UTC)
        headers["ETag"] = etag(manifest)
        headers["Last-Modified"] = format_datetime(changed, usegmt=True)
        if manifest.sha256 is not None:
            headers["Repr-Digest"] = format_digest_field("sha-256", bytes.fromhex(manifest.sha256))
    else:
        headers["Cache-Control"] = "no-store"
    return headers
