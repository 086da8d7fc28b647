"""The credential of one channel, and the channel's place in the counts of connections."""

from __future__ import annotations

from starlette.websockets import WebSocket

from lading.protocol.errors import Forbidden, TooManyConnections
from lading.protocol.grants import Action
from lading.server.access.authenticate import authenticate
from lading.server.access.cookie import cookie_token
from lading.server.access.principal import Principal
from lading.server.channel.socket import Socket
from lading.server.net.record import record_of
from lading.server.services import Services


class Credential:
    """`principal` is the user, None until the first credential was accepted."""

    __slots__ = ("_counted_as", "_left", "_server", "_socket", "_websocket", "principal")

    def __init__(self, websocket: WebSocket, server: Services, socket: Socket | None) -> None:
        self._websocket = websocket
        self._server = server
        self._socket = socket
        self._counted_as: str | None = None
        self._left = False
        self.principal: Principal | None = None

    async def check(self, token: str | None) -> Principal:
        """Accept a credential in place of the one before; raises LadingError."""
        token = token or cookie_token(self._websocket, self._server.settings.public_url)
        principal = await authenticate(self._server.authenticator, token, Action.UPLOAD)
        if self.principal is None:
            self._enter(principal)
        else:
            _check_grant(self.principal, principal)
        self.principal = principal
        record_of(self._websocket.scope).user_id = principal.user_id
        if self._socket is not None:
            self._socket.owner = principal.user_id
        return principal

    def expires(self, now: float) -> float | None:
        """When the credential expires, on the clock of `now`."""
        principal = self.principal
        if principal is None or principal.expires is None:
            return None
        left = principal.expires - self._server.clock()
        late = principal.grant is not None and left <= 0
        return now + (self._server.limits.channel.resume_seconds if late else left)

    def leave(self) -> None:
        """The connection ended. What is still being checked counts no more."""
        self._left = True
        if self._counted_as is not None:
            self._server.connection_counts.leave(self._counted_as)
            self._counted_as = None

    def _enter(self, principal: Principal) -> None:
        if self._left:
            return
        mine = self._server.connection_counts.of(principal.user_id)
        if mine >= self._server.settings.max_user_connections:
            raise TooManyConnections(f"You have {mine} connections open.")
        self._counted_as = principal.user_id
        self._server.connection_counts.enter(principal.user_id)
        if self._socket is not None:
            self._socket.forget_handshake()
            for cached in ("_headers", "_cookies", "_url"):
                vars(self._websocket).pop(cached, None)


def _check_grant(before: Principal, after: Principal) -> None:
    """Raise Forbidden where a grant would replace another credential.

    What is open here belongs to the one before, and pieces are not authorized one by one.
    """
    if after.grant is None:
        return
    if before.grant is None or before.grant.id != after.grant.id:
        raise Forbidden("A grant cannot replace another credential; open a new connection.")
