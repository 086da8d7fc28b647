"""Exception handlers: whatever a route raises becomes a problem document."""

from __future__ import annotations

from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import (
    Forbidden,
    Internal,
    InvalidArgument,
    LadingError,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    RequestTimeout,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)
from lading.server.access.grants import redact
from lading.server.http.download.refusal import refusal
from lading.server.net.problems import problem_response

log = structlog.get_logger()

_FROM_STATUS: dict[int, type[LadingError]] = {
    400: InvalidArgument,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    412: PreconditionFailed,
    413: TooLarge,
    415: UnsupportedMediaType,
}


async def lading_error(request: Request, error: Exception) -> Response:
    """The handler for errors of Lading."""
    assert isinstance(error, LadingError)
    return refusal(request, error)


async def http_error(_request: Request, error: Exception) -> Response:
    """The handler for errors of Starlette, with the same JSON and codes."""
    assert isinstance(error, HTTPException)
    kind = _FROM_STATUS.get(error.status_code, Internal)
    detail = None if kind in (NotFound, MethodNotAllowed) else error.detail
    return problem_response(kind(detail), error.status_code, dict(error.headers or {}))


async def unexpected_error(request: Request, error: Exception) -> Response:
    """The handler for faults: the trace goes to the log, not into the answer."""
    log.error("fault", path=redact(request.url.path), method=request.method, exc_info=error)
    return problem_response(Internal())


def handlers() -> dict[Any, Any]:
    """The exception handlers of the application."""
    return {
        LadingError: lading_error,
        HTTPException: http_error,
        Exception: unexpected_error,
    }
