"""Who may open a channel: the checks before the upgrade to WebSocket."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    NotFound,
    ShuttingDown,
    TooManyConnections,
)
from lading.protocol.messages import SUBPROTOCOL, EarlyPieces
from lading.server.access.cookie import is_own_origin
from lading.server.channel.connection import Channel, first_window
from lading.server.net.problems import problem_response
from lading.server.net.record import REST, TEMPLATE, record_of
from lading.server.services import Services, services

ROUTE = "/v1/ws"


async def channel(websocket: WebSocket) -> None:
    """Serve one connection."""
    server = services(websocket)
    websocket.scope[TEMPLATE] = ROUTE
    refusal = _refusal(websocket, server)
    if refusal is not None:
        record_of(websocket.scope).code = refusal.code
        # Before an upgrade a full server answers 503: proxies then try another one.
        status = 503 if isinstance(refusal, TooManyConnections) else None
        await websocket.send_denial_response(problem_response(refusal, status))
        return
    await websocket.accept(subprotocol=_agreed(websocket, server))
    run = Channel(websocket, server).run
    if REST in websocket.scope:
        websocket.scope[REST] = run
    else:
        await run()


def _agreed(websocket: WebSocket, server: Services) -> str:
    """The first of the subprotocols that the client offers under which pieces may come early."""
    chunk_size, window = server.settings.chunk_size, first_window(server)
    for offered in websocket.scope["subprotocols"]:
        early = EarlyPieces.of(offered)
        if early is not None and early.chunk_size == chunk_size and early.window <= window:
            return str(offered)
    return SUBPROTOCOL


def not_found(otherwise: ASGIApp) -> ASGIApp:
    """What answers where there is no route: a handshake too gets a problem document."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            record_of(scope).code = NotFound.code
            await problem_response(NotFound())(scope, receive, send)
        else:
            await otherwise(scope, receive, send)

    return answer


def _refusal(websocket: WebSocket, server: Services) -> LadingError | None:
    if SUBPROTOCOL not in websocket.scope["subprotocols"]:
        return InvalidArgument(f"Ask for the WebSocket subprotocol {SUBPROTOCOL}.")
    origin = websocket.headers.get("origin")
    if origin is not None and not _is_allowed(origin, websocket, server):
        return Forbidden(f"Pages of {origin[:200]} may not connect here.")
    if server.draining:
        return ShuttingDown()
    return None


def _is_allowed(origin: str, websocket: WebSocket, server: Services) -> bool:
    """The server's own pages, and those of the allow-list, by exact comparison."""
    if origin in server.settings.allowed_origins:
        return True
    return is_own_origin(origin, websocket, server.settings.public_url)
