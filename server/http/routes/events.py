"""`/v1/events`: what changes, as server-sent events, for pages that show it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import LadingError, ShuttingDown, TooManyConnections
from lading.protocol.events import Event
from lading.server.access.cookie import bearer
from lading.server.http import schemas
from lading.server.http.download.stream import stream
from lading.server.http.endpoints import adapter
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter, Reply
from lading.server.services import Services, services
from lading.server.uploads.changes import Change, Stream

api = Operations("Files")

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # nginx would keep events back until it has a buffer full of them.
    "X-Accel-Buffering": "no",
}

_write_manifest = adapter(schemas.files.Manifest).dump_json
_write_gone = adapter(schemas.events.Gone).dump_json


@api.operation(
    "GET /v1/events",
    "streamEvents",
    {
        200: Reply(
            "Events, until the client or the server ends the stream. Their data is JSON.",
            {"text/event-stream": {"type": "string"}},
        )
    },
    parameters=(
        Parameter(
            "user_id",
            "The user whose files are meant. Only an admin can name one, and hears of all users "
            "otherwise.",
            common.USER.schema,
        ),
        common.header("Last-Event-ID", "The `id` of the last event; what came since is sent."),
    ),
    problems=(ShuttingDown, TooManyConnections),
)
async def events(request: Request) -> Response:
    """Stream what changes among the user's files and uploads, as server-sent events.

    `file.changed` and `upload.changed` carry the manifest, `file.deleted` and `upload.ended` what
    is gone. After `resync` read your lists again.
    """
    server = services(request)
    principal = await server.acting(request)
    everybody = principal.admin and "user_id" not in request.query_params
    user_id = None if everybody else principal.user_id
    body = _body(request, server, user_id, principal.who)
    if request.method != "HEAD":
        # What refuses the stream must be known before the answer begins.
        first = await anext(body)
        body = _after(first, body)
    return stream(request, body, None, 200, dict(HEADERS))


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for each in rest:
            yield each
    finally:
        await rest.aclose()


async def _body(
    request: Request, server: Services, user_id: str | None, reader: str
) -> AsyncGenerator[bytes, None]:
    """The events of a user, or of all users with None, for as long as the reader may have them."""
    limits, loop = server.limits.events, asyncio.get_running_loop()
    with server.changes.open(user_id, reader) as source:
        missed = await server.changes.begin(source, _position(request))
        yield f"retry: {round(limits.retry_seconds * 1000)}\n\n".encode()
        for text in [*_texts(server, missed), _mark(source)]:
            yield text
        beat = loop.time() + limits.beat_seconds
        while not source.ended:
            # Behind the last of them how far the reader has come: not before it has all.
            taken = await source.take(beat - loop.time())
            for text in [*_texts(server, taken), *([_mark(source)] if taken else [])]:
                yield text
            if loop.time() >= beat:
                if not await _is_good(request, server):
                    return
                yield _mark(source)
                beat = loop.time() + limits.beat_seconds


def _texts(server: Services, changes: list[Change]) -> Iterator[bytes]:
    for each in changes:
        server.changes.observe(each.event)
        yield _text(each)


def _mark(source: Stream) -> bytes:
    return f"id: {source.position:.6f}\n\n".encode()


def _text(change: Change) -> bytes:
    data = b"{}"
    if change.manifest is not None:
        is_there = change.event in (Event.FILE_CHANGED, Event.UPLOAD_CHANGED)
        data = (
            _write_manifest(schemas.files.manifest_of(change.manifest))
            if is_there
            else _write_gone(schemas.events.gone(change.manifest))
        )
    return b"event: %b\ndata: %b\n\n" % (change.event.encode(), data)


def _position(request: Request) -> float | None:
    """The position in `Last-Event-ID`. An unknown one is that of somebody who missed everything:
    a browser could do nothing about a refusal."""
    text = request.headers.get("last-event-id")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return 0.0


async def _is_good(request: Request, server: Services) -> bool:
    """Whether the credential is still good: it may have expired, or its session ended."""
    try:
        await server.authenticator.principal(bearer(request, server.settings.public_url))
    except LadingError as error:
        # While the database is away nobody can tell.
        return error.retryable
    return True
