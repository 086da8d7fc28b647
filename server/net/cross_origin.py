"""What pages of other origins may ask and see (the WHATWG's Fetch, "CORS protocol").

Below the application, because refusals that are written to a socket directly need it too: without
these fields a page cannot tell a refusal from a broken network.
"""

from __future__ import annotations

from collections.abc import Collection

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

SENT = (
    "Authorization",
    "Content-Type",
    "Content-Digest",
    "Repr-Digest",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "Idempotency-Key",
    "Last-Event-ID",
    "Prefer",
    "X-Lading-Crc32c",
    "Content-Disposition",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Incomplete",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Want-Repr-Digest",
    "X-HTTP-Method-Override",
    "X-Request-Id",
)
SHOWN = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "X-Request-Id",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Expires",
    "Upload-Incomplete",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
)


def answer_fields(origin: str | None, allowed: Collection[str]) -> dict[str, str]:
    """The fields by which a page of `origin` may read an answer; none if it may not."""
    if origin is None or origin not in allowed:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(SHOWN),
        "Vary": "Origin",
    }


def preflight_fields(origin: str | None, allowed: Collection[str]) -> dict[str, str]:
    """The fields that let a page of `origin` send its request; none if it may not."""
    fields = answer_fields(origin, allowed)
    if fields:
        fields["Access-Control-Allow-Methods"] = ", ".join(METHODS)
        fields["Access-Control-Allow-Headers"] = ", ".join(SENT)
    return fields
