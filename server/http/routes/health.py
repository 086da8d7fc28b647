"""`/livez`, `/readyz`, `/healthz`: whether the process lives, and whether it can serve."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import LadingError, ShuttingDown, Unavailable
from lading.server.http import schemas
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations, Reply
from lading.server.services import services
from lading.version import VERSION

api = Operations("Service")


@api.operation("GET /livez", "isAlive", common.ok(schemas.service.Status, "It does."), public=True)
async def live(_request: Request) -> schemas.service.Status:
    """Check whether the process answers."""
    return schemas.service.Status(status="ok", version=VERSION)


@api.operation(
    "GET /readyz",
    "isReady",
    common.ok(schemas.service.Status, "It can."),
    problems=(ShuttingDown, Unavailable),
    public=True,
)
async def ready(request: Request) -> schemas.service.Status:
    """Check whether the server can serve requests.

    The database must answer, and the server must not be shutting down.
    """
    server = services(request)
    if server.draining:
        raise ShuttingDown
    await server.database.ping()
    return schemas.service.Status(status="ok", version=VERSION)


@api.operation(
    "GET /healthz",
    "getHealth",
    {
        200: Reply("Everything works.", {JSON: schemas.service.Health}),
        503: Reply("A part does not work.", {JSON: schemas.service.Health}),
    },
    public=True,
)
async def healthy(request: Request) -> Answer:
    """Return the state of each part, for monitors that know one address only."""
    server = services(request)
    try:
        await server.database.ping()
        database = "ok"
    except LadingError as error:
        database = error.code
    well = database == "ok" and not server.draining
    health = schemas.service.Health(
        status="ok" if well else "unavailable",
        version=VERSION,
        database=database,
        draining=server.draining,
    )
    return Answer(health, 200 if well else 503)
