"""Downloads of finished files: one range, several, or all of it.

Source: RFC 9110, section 14.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import RangeNotSatisfiable
from lading.protocol.manifest import Manifest, Range
from lading.protocol.ranges import content_range, parse
from lading.server.http.download.refusal import refusal
from lading.server.http.download.stream import stream
from lading.server.uploads import Uploads


def respond_finished(
    request: Request,
    uploads: Uploads,
    manifest: Manifest,
    field: str | None,
    headers: dict[str, str],
) -> Response:
    """The bytes that the `Range` field asks for; all of them without one."""
    assert manifest.size is not None
    try:
        ranges = _apart(parse(field, manifest.size))
    except RangeNotSatisfiable as error:
        return refusal(request, error, {"Content-Range": f"bytes */{manifest.size}"})
    if ranges is not None and len(ranges) > 1:
        return _parts(request, uploads, manifest, ranges, headers)
    start, end, status = 0, manifest.size, 200
    if ranges is not None:
        start, end = ranges[0]
        status = 206
        headers["Content-Range"] = content_range(start, end, manifest.size)
    return stream(request, uploads.read(manifest, start, end), end - start, status, headers)


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


def _parts(
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

    return stream(request, parts(), size + len(last), 206, headers)
