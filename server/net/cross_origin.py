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
    "Prefer",
    "X-Lading-Crc32c",
)
SHOWN = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Repr-Digest",
    "Retry-After",
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
