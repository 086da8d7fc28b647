"""`/livez`, `/readyz`, `/healthz`: whether the process lives, and whether it can do its work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import LadingError, ShuttingDown
from lading.server.http.shapes import answer
from lading.server.services import services
from lading.version import VERSION


async def live(_request: Request) -> Response:
    """The process answers."""
    return answer({"status": "ok", "version": VERSION})


async def ready(request: Request) -> Response:
    """The database answers, and the server is not going away."""
    server = services(request)
    if server.draining:
        raise ShuttingDown
    await server.database.ping()
    return answer({"status": "ok", "version": VERSION})


async def healthy(request: Request) -> Response:
    """Both in one, for monitors that know one address only; always answers the parts."""
    server = services(request)
    try:
        await server.database.ping()
        database = "ok"
    except LadingError as error:
        database = error.code
    well = database == "ok" and not server.draining
    parts = {"database": database, "draining": server.draining}
    status = "ok" if well else "unavailable"
    return answer({"status": status, "version": VERSION, **parts}, 200 if well else 503)
