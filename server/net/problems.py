"""Problem documents (RFC 9457).

Below the application, because refusals that are written to a socket directly need them too.
Source: page 4 of the design, "Codes".
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from lading.protocol.codes import STATUSES
from lading.protocol.errors import LadingError
from lading.server.net.record import HEADER, current

STATUS = {code: row.http for code, row in STATUSES.items()}
"""The HTTP status of each error code."""

RETRY_AFTER = {202: "2", 429: "5", 503: "2", 507: "60"}


def problem_document(error: LadingError, status: int | None = None) -> dict[str, Any]:
    """The fields of an error's problem document."""
    status = status or STATUS[error.code]
    return {"type": f"urn:lading:problem:{error.code}", "status": status, **error.problem()}


def problem_response(
    error: LadingError,
    status: int | None = None,
    headers: dict[str, str] | None = None,
    request_id: str | None = None,
) -> Response:
    """The problem document of an error, with the headers that its status calls for.

    `request_id` is needed only below the application; above, the task knows it.
    """
    status = status or STATUS[error.code]
    request_id = request_id or current()
    body = problem_document(error, status)
    more: dict[str, str] = {"Cache-Control": "no-store", **(headers or {})}
    if request_id is not None:
        body["request_id"] = more[HEADER] = request_id
    if "accept_encoding" in error.extra:
        more["Accept-Encoding"] = error.extra["accept_encoding"]  # RFC 9110, 12.5.3
    if status == 401:
        more["WWW-Authenticate"] = 'Bearer realm="lading"'
    if error.retryable and status in RETRY_AFTER:
        more["Retry-After"] = str(error.extra.get("retry_after", RETRY_AFTER[status]))
    return Response(
        json.dumps(body, default=str), status, more, media_type="application/problem+json"
    )
