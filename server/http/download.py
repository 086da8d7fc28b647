"""Downloads: conditional requests, ranges, and the headers of stored bytes.

Source: RFC 9110, sections 13 and 14; RFC 6266; RFC 9530.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lading.protocol.digests import format_digest_field
from lading.protocol.errors import RangeNotSatisfiable
from lading.protocol.manifest import MISSING_SHOWN, Manifest, Range, State
from lading.protocol.names import saved_name
from lading.protocol.ranges import content_range, parse
from lading.server.net.problems import problem_response
from lading.server.uploads import Uploads

SHOWN_INLINE = ("image/", "video/", "audio/")
"""Types that a browser may show; everything else is sent as an attachment."""

NEVER_INLINE = ("image/svg+xml",)
"""An image that can contain scripts."""


def etag(manifest: Manifest) -> str:
    """The strong entity tag of a finished file, whose bytes never change."""
    return f'"{manifest.id}-{manifest.crc32c:08x}"'


def disposition(manifest: Manifest, *, download: bool) -> str:
    """The `Content-Disposition` of a file, for any name (RFC 6266, RFC 8187).

    A long name is cut to what can be saved: proxies refuse headers of more than 4 KiB.
    """
    plain_type = manifest.mime_type.partition(";")[0].strip().lower()
    shown = plain_type.startswith(SHOWN_INLINE) and plain_type not in NEVER_INLINE
    kind = "inline" if shown and not download else "attachment"
    name = saved_name(manifest.name)
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    field = f'{kind}; filename="{plain}"'
    if plain != name:
        field += f"; filename*=UTF-8''{quote(name, safe='')}"
    return field


def _headers(manifest: Manifest, *, download: bool) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": manifest.mime_type,
        "Content-Disposition": disposition(manifest, download=download),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-site",
        "Cache-Control": "private, no-cache",
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


def _since(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_unchanged(request: Request, manifest: Manifest) -> bool:
    """Whether the client's copy is current (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in known or etag(manifest) in known
    since = _since(request.headers.get("if-modified-since"))
    return since is not None and int(manifest.updated_at) <= since.timestamp()


def _range_field(request: Request, manifest: Manifest) -> str | None:
    """The `Range` header, unless `If-Range` shows that the client has a part of another file.

    `Range` applies to GET only (RFC 9110, 14.2).
    """
    if request.method != "GET":
        return None
    condition = request.headers.get("if-range")
    if condition is None:
        return request.headers.get("range")
    if manifest.state is not State.READY:
        return None  # an upload in progress has no tag that could match
    if condition.startswith('"'):
        matches = condition == etag(manifest)
    else:
        since = _since(condition)
        matches = since is not None and since.timestamp() == int(manifest.updated_at)
    return request.headers.get("range") if matches else None


async def respond(request: Request, uploads: Uploads, manifest: Manifest) -> Response:
    """The answer to GET or HEAD of a file, or of an upload in progress."""
    download = request.query_params.get("download") == "1"
    headers = _headers(manifest, download=download)
    if manifest.state is not State.READY:
        return await _respond_unfinished(request, uploads, manifest, headers)
    assert manifest.size is not None
    if _is_unchanged(request, manifest):
        return Response(status_code=304, headers=headers)
    try:
        ranges = _apart(parse(_range_field(request, manifest), manifest.size))
    except RangeNotSatisfiable as error:
        return problem_response(error, headers={"Content-Range": f"bytes */{manifest.size}"})
    if ranges is not None and len(ranges) > 1:
        return _stream_parts(request, uploads, manifest, ranges, headers)
    start, end, status = 0, manifest.size, 200
    if ranges is not None:
        start, end = ranges[0]
        status = 206
        headers["Content-Range"] = content_range(start, end, manifest.size)
    return _stream(request, uploads.read(manifest, start, end), end - start, status, headers)


def _apart(ranges: list[Range] | None) -> list[Range] | None:
    """The requested ranges, joined where they overlap, so that no byte is sent twice."""
    if ranges is None or len(ranges) == 1:
        return ranges
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return ranges if len(joined) == len(ranges) else joined


def _stream_parts(
    request: Request,
    uploads: Uploads,
    manifest: Manifest,
    ranges: list[Range],
    headers: dict[str, str],
) -> Response:
    """Several ranges in one answer: `multipart/byteranges` (RFC 9110, 14.6)."""
    boundary = f"lading-{secrets.token_hex(16)}"  # random, so that no stored bytes can contain it
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {manifest.mime_type}\r\n"
        f"Content-Range: {content_range(start, end, manifest.size)}\r\n\r\n".encode("latin-1")
        for start, end in ranges
    ]
    last = f"\r\n--{boundary}--\r\n".encode()
    size = sum(len(head) + end - start for head, (start, end) in zip(heads, ranges, strict=True))
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"

    async def parts() -> AsyncGenerator[bytes, None]:
        for head, (start, end) in zip(heads, ranges, strict=True):
            yield head
            async for data in uploads.read(manifest, start, end):
                yield data
        yield last

    return _stream(request, parts(), size + len(last), 206, headers)


async def _respond_unfinished(
    request: Request, uploads: Uploads, manifest: Manifest, headers: dict[str, str]
) -> Response:
    """A range that is stored, otherwise 416 with what is stored."""
    stored = await uploads.coverage(manifest)
    growing = manifest.size is None
    size = manifest.size if manifest.size is not None else stored.end
    try:
        ranges = parse(_range_field(request, manifest), size, growing=growing)
        start, end = ranges[0] if ranges else (0, size)
        if any(gap_start < end and start < gap_end for gap_start, gap_end in stored.missing):
            raise RangeNotSatisfiable("These bytes have not arrived yet.")
        if ranges is None and growing:
            raise RangeNotSatisfiable("The file is still growing; ask for a range.")
    except RangeNotSatisfiable as error:
        error.extra["upload_size"] = stored.upload_size
        error.extra["missing"] = [list(gap) for gap in stored.missing[:MISSING_SHOWN]]
        total = "*" if growing else str(size)
        return problem_response(error, headers={"Content-Range": f"bytes */{total}"})
    status = 200
    if ranges is not None:
        status = 206
        headers["Content-Range"] = content_range(start, end, manifest.size)
    return _stream(request, uploads.read(manifest, start, end), end - start, status, headers)


def _stream(
    request: Request,
    body: AsyncGenerator[bytes, None],
    size: int,
    status: int,
    headers: dict[str, str],
) -> Response:
    headers["Content-Length"] = str(size)
    if request.method == "HEAD" or size == 0:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_paced(request, body), status, headers)


async def _paced(
    request: Request, body: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The body; the next piece is read after the previous one was sent.

    Otherwise each client that does not read would hold two pieces in memory.
    """
    sent = request.scope.get("lading.sent")
    async with aclosing(body):
        async for data in body:
            yield data
            if sent is not None:
                await sent()
