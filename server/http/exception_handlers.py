"""Exception handlers: whatever a route raises becomes a problem document, or a page for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
from lading.server.http.people.messages import explain, opens_page
from lading.server.http.tus import answers as tus
from lading.server.net.cross_origin import answer_fields
from lading.server.net.problems import problem_response
from lading.server.net.record import record_of

Handler = Callable[[Request, Exception], Awaitable[Response]]

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
    if tus.speaks_tus(request):
        return tus.refusal(request, error)
    if opens_page(request):
        return explain(request, error)
    return refusal(request, error)


async def http_error(request: Request, error: Exception) -> Response:
    """The handler for errors of Starlette, with the same JSON and codes."""
    assert isinstance(error, HTTPException)
    kind = _FROM_STATUS.get(error.status_code, Internal)
    record_of(request.scope).code = kind.code
    detail = None if kind in (NotFound, MethodNotAllowed) else error.detail
    headers = dict(error.headers or {})
    if tus.speaks_tus(request):
        response = tus.refusal(request, kind(detail), error.status_code)
        response.headers.update(headers)
        return response
    if opens_page(request):
        response = explain(request, kind(detail), error.status_code)
        response.headers.update(headers)
        return response
    return problem_response(kind(detail), error.status_code, headers)


def unexpected_error(origins: tuple[str, ...]) -> Handler:
    """The handler for faults: the trace goes to the log, not into the answer.

    It runs outside of the middleware, so it lets pages of `origins` read the answer itself.
    """

    async def handle(request: Request, error: Exception) -> Response:
        log.error("fault", path=redact(request.url.path), method=request.method, exc_info=error)
        fields = answer_fields(request.headers.get("origin"), origins)
        return problem_response(Internal(), headers=fields)

    return handle


def handlers(origins: tuple[str, ...] = ()) -> dict[Any, Handler]:
    """The exception handlers of the application. Pages of `origins` may read what it answers."""
    return {
        LadingError: lading_error,
        HTTPException: http_error,
        Exception: unexpected_error(origins),
    }
