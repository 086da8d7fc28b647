"""Finished files whose bytes pass the server by: a proxy sends them, or the bucket does.

Lading authorizes and judges the conditions either way. Then it names the file to the proxy, which
sends it with Lading's headers (`LADING_SENDFILE`), or the client is sent to a presigned address of
the bucket (`LADING_S3_REDIRECT`). Whatever the other side would judge otherwise than Lading,
Lading sends itself. Source: page 9 of the design, "Local directory" and "S3".
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import RangeNotSatisfiable
from lading.protocol.manifest import Manifest, Range
from lading.protocol.prefer import prefers_self
from lading.protocol.ranges import parse
from lading.server.http.download.headers import Keeping
from lading.server.net.record import record_of
from lading.server.services import Services
from lading.storage.blobs.base import ORIGINAL, Paths, Presigns
from lading.storage.homes import scheme

REDIRECT_SECONDS = 3600
"""How long a presigned address is good. A player may keep it for the whole of a film."""

_X_SENDFILE = "x-sendfile:"
_SHOWN = ("video", "audio", "image")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a finished file or its picture: the `Range` that applies, and the headers.

    `name` and `size` are those of what is asked for: the file's own, or those of the picture.
    """

    request: Request
    manifest: Manifest
    field: str | None
    headers: dict[str, str]
    keeping: Keeping
    size: int
    name: str = ORIGINAL


async def respond_elsewhere(server: Services, asked: Asked) -> Response | None:
    """The answer that leaves the bytes to others; None where Lading sends them itself."""
    request, manifest, settings = asked.request, asked.manifest, server.settings
    if request.method != "GET" or not asked.size:
        return None
    if prefers_self(request.headers.get("prefer")):
        return None
    if "if-match" in request.headers or "if-unmodified-since" in request.headers:
        return None  # they hold for Lading's validators, which the other side does not know
    if settings.sendfile is not None and manifest.blobs == settings.blobs:
        return await _hand_off(server, asked, settings.sendfile)
    if settings.s3_redirect and scheme(manifest.blobs) == "s3":
        return await _redirect(server, asked)
    return None


async def _hand_off(server: Services, asked: Asked, sendfile: str) -> Response | None:
    """The headers for a proxy, which puts the bytes to them: all, or one range."""
    manifest = asked.manifest
    ranges = _ranges(asked)
    if ranges == []:
        return None
    if "range" in asked.request.headers and (ranges is None or len(ranges) > 1):
        return None  # a proxy would send something else than Lading does
    driver = server.homes.bare(manifest.blobs)
    path = await driver.path(manifest.stored, asked.name) if isinstance(driver, Paths) else None
    if path is None:
        return None
    # nginx and Caddy take a location, Apache and lighttpd a path on their disk.
    where = f"{sendfile.removeprefix(_X_SENDFILE).rstrip('/')}/{path}"
    record_of(asked.request.scope).note_elsewhere("proxy", _length(asked, ranges))
    name = "X-Sendfile" if sendfile.startswith(_X_SENDFILE) else "X-Accel-Redirect"
    headers = {**asked.headers, name: where}
    headers.pop("Accept-Ranges", None)  # each of them adds its own
    return Response(headers=headers)


def _ranges(asked: Asked) -> list[Range] | None:
    """The ranges that are asked for: None for all of it, none where no byte satisfies them."""
    try:
        return parse(asked.field, asked.size)
    except RangeNotSatisfiable:
        return []


def _length(asked: Asked, ranges: list[Range] | None) -> int:
    """How many bytes the answer has."""
    if ranges is None:
        return asked.size
    return sum(end - start for start, end in ranges)


async def _redirect(server: Services, asked: Asked) -> Response | None:
    """The way to a presigned address, which ends with the right to the file at the latest."""
    fields = asked.request.headers
    if "if-range" in fields and asked.field is not None:
        return None  # the client has Lading's tag, and the bucket has one of its own
    if fields.get("sec-fetch-site") == "same-origin" and fields.get("sec-fetch-dest") in _SHOWN:
        return None  # the policy of Lading's page lets it show what is of its own origin only
    seconds, keeping = REDIRECT_SECONDS, asked.keeping
    if keeping.seconds is not None and not keeping.shared:
        seconds = min(seconds, keeping.seconds)
    driver = server.homes.bare(asked.manifest.blobs)
    if seconds < 1 or not isinstance(driver, Presigns):
        return None
    headers = asked.headers
    url = await driver.presigned_get(
        asked.manifest.stored,
        seconds,
        headers["Content-Type"],
        headers["Content-Disposition"],
        asked.name,
    )
    # Kept for half of its time, so that a copy that the browser has is found again by its address.
    kept = "no-store" if keeping.seconds is None else keeping.age(seconds // 2)
    record_of(asked.request.scope).note_elsewhere("bucket", _length(asked, _ranges(asked)))
    more = {"Location": url, "ETag": headers["ETag"], "Cache-Control": kept}
    return Response(status_code=307, headers=more)
