"""`GET /v1/ws` without an upgrade: the address of the channel, for whoever opens it as a page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import InvalidArgument, ShuttingDown
from lading.server.http.openapi.operation import Operations, Reply
from lading.server.net.problems import problem_response

api = Operations("Uploads")


@api.operation(
    "GET /v1/ws",
    "openChannel",
    {101: Reply("The channel is open.")},
    problems=(ShuttingDown,),
    public=True,
)
async def not_an_upgrade(_request: Request) -> Response:
    """Open the WebSocket channel, for files of any size.

    The subprotocol is `lading.v1`; see `docs/wire-protocol.md`. Its first message carries the
    credential.
    """
    # RFC 9110, section 15.5.22; RFC 6455, section 4.4.
    return problem_response(
        InvalidArgument("This address is a WebSocket; connect with an Upgrade request."),
        426,
        {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
    )
