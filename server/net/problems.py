"""Problem documents (RFC 9457), and the one table from error codes to HTTP statuses.

Below the application, because refusals that are written to a socket directly need them too.
Source: page 4 of the design, "Codes".
"""

from __future__ import annotations

import json

from starlette.responses import Response

from lading.protocol.errors import LadingError

STATUS = {
    "invalid-message": 400,
    "invalid-argument": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "request-timeout": 408,
    "chunk-conflict": 409,
    "incomplete": 409,
    "already-complete": 409,
    "offset-mismatch": 409,
    "name-taken": 409,
    "gone": 410,
    "too-large": 413,
    "unsupported-media-type": 415,
    "range-not-satisfiable": 416,
    "out-of-bounds": 422,
    "unprocessable-image": 422,
    "checksum-mismatch": 422,
    "rate-limited": 429,
    "too-many-connections": 429,
    "window-exceeded": 400,
    "internal": 500,
    "unavailable": 503,
    "shutting-down": 503,
    "quota-exceeded": 507,
    "storage-full": 507,
}

RETRY_AFTER = {429: "5", 503: "2", 507: "60"}


def problem_response(
    error: LadingError, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """The problem document of an error, with the headers that its status calls for."""
    status = status or STATUS[error.code]
    body = {"type": f"urn:lading:problem:{error.code}", "status": status, **error.problem()}
    more: dict[str, str] = {"Cache-Control": "no-store", **(headers or {})}
    if status == 401:
        more["WWW-Authenticate"] = 'Bearer realm="lading"'
    if error.retryable and status in RETRY_AFTER:
        more["Retry-After"] = RETRY_AFTER[status]
    return Response(
        json.dumps(body, default=str), status, more, media_type="application/problem+json"
    )
