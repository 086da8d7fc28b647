"""Bytes on their way: the body of a download, one piece after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse


def stream(
    request: Request,
    body: AsyncGenerator[bytes, None],
    size: int | None,
    status: int,
    headers: dict[str, str],
) -> Response:
    """The response with this body of `size` bytes; None is for a size that the end will tell."""
    if size is not None:
        headers["Content-Length"] = str(size)
    if request.method == "HEAD" or size == 0:
        response = Response(status_code=status, headers=headers)
        if size is None:
            del response.headers["content-length"]
        return response
    return StreamingResponse(paced(request, body), status, headers)


async def paced(request: Request, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The body; the next piece is read after the previous one was sent.

    Otherwise each client that does not read would hold two pieces in memory.
    """
    sent = request.scope.get("lading.sent")
    async with aclosing(body):
        async for data in body:
            yield data
            if sent is not None:
                await sent()
