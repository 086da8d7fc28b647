"""`GET /metrics`: what Prometheus reads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import Forbidden
from lading.server.http.openapi.operation import Operations, Reply
from lading.server.net.record import OPEN
from lading.server.services import services

api = Operations("Service")

_TEXT = {"type": "string"}


@api.operation(
    "GET /metrics",
    "getMetrics",
    {
        200: Reply(
            "The metrics, in the format that `Accept` asks for.",
            {"text/plain": _TEXT, "application/openmetrics-text": _TEXT},
        )
    },
    problems=(Forbidden,),
)
async def metrics(request: Request) -> Response:
    """Return the metrics of all processes of this server, for Prometheus.

    Only an admin can read them here; at the port `LADING_METRICS_PORT` no credential is needed.
    """
    server = services(request)
    if not request.scope.get(OPEN) and not (await server.principal(request)).admin:
        raise Forbidden("Only an admin can read the metrics.")
    text = await server.exposition.write(request.headers.get("accept", ""))
    headers = {"Content-Type": text.media_type, "Cache-Control": "no-store"}
    return Response(text.body, headers=headers)
