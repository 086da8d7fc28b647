"""How an error looks outside: the one table from codes to statuses, and the problem documents.

It owns HTTP's view of the error tree. It refuses to know why something was refused.
Source: page 4 of the design, "Codes"; RFC 9457.
"""

from __future__ import annotations

import json
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from protocol.errors import (
    Forbidden,
    Internal,
    InvalidArgument,
    LadingError,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)
from server.grants import redact

log = structlog.get_logger()

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

_FROM_STATUS: dict[int, type[LadingError]] = {
    400: InvalidArgument,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    413: TooLarge,
    415: UnsupportedMediaType,
}


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


async def lading_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for what Lading refuses."""
    assert isinstance(error, LadingError)
    return problem_response(error)


async def http_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for what Starlette refuses: same shape, same codes."""
    assert isinstance(error, HTTPException)
    kind = _FROM_STATUS.get(error.status_code, Internal)
    detail = None if kind in (NotFound, MethodNotAllowed) else error.detail
    return problem_response(kind(detail), error.status_code, dict(error.headers or {}))


async def unexpected_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for faults: logged with its trace, answered without it."""
    log.error("fault", path=redact(request.url.path), method=request.method, exc_info=error)
    return problem_response(Internal())


def handlers() -> dict[Any, Any]:
    """The exception handlers of the application."""
    return {
        LadingError: lading_error,
        HTTPException: http_error,
        Exception: unexpected_error,
    }
