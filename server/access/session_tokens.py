"""The tokens of sessions: what a browser sends with each request, and what it gets a newer one for.

The server's secret makes all of them, so the database holds none that could be stolen there. An
access token is a JSON Web Token that names its session. A refresh token is the session, the number
of the token in it, and a code that only the server can make: so a token of long ago is told from an
invention, and the next one can be given again to whoever did not get it. A device token says that
somebody signed in to an account in this browser before.
Source: RFC 7519, RFC 9700; docs/decisions/0070.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable

from joserfc import jwt
from joserfc.jwk import OctKey

from lading.protocol.accounts import account_key
from lading.protocol.errors import Unauthorized
from lading.protocol.spec import ID
from lading.server.access.jwt import Verifier
from lading.server.access.kept_secrets import ServerSecret
from lading.server.access.keys import FixedKeys
from lading.storage.collections.sessions import Session

AUDIENCE = "lading-session"

_REFRESH = re.compile(r"ls_([0-9a-f]{24})_([0-9]{1,15})_([A-Za-z0-9_-]{43})")
_DEVICE = re.compile(r"([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


class SessionTokens:
    """Makes and reads tokens. `clock` is the database's."""

    def __init__(self, secret: ServerSecret, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._key = OctKey.import_key(secret.mac("session", ""))
        # Without leeway: these tokens are our own, and so is the clock.
        self._verifier = Verifier(FixedKeys([self._key]), audience=AUDIENCE, leeway=0, clock=clock)

    # -- access

    def access(self, session: Session, expires_at: float) -> str:
        """An access token of a session."""
        claims = {
            "sub": session.user_id,
            "sid": session.id,
            "aud": AUDIENCE,
            "exp": expires_at,
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    async def read_access(self, token: str) -> tuple[str, float]:
        """The id of the session, and when the token expires; raises Unauthorized."""
        claims = await self._verifier.claims(token)
        session_id = claims.get("sid")
        if not isinstance(session_id, str) or not ID.fullmatch(session_id):
            raise Unauthorized("The token names no session.")
        return session_id, float(claims["exp"])

    # -- refresh

    def refresh(self, session: Session) -> str:
        """The refresh token of a session that is good now."""
        return self._refresh(session.id, session.generation)

    def read_refresh(self, token: str) -> tuple[str, int] | None:
        """The session and the number of a token that was given out; None for an invention."""
        found = _REFRESH.fullmatch(token)
        if found is None:
            return None
        session_id, generation = found[1], int(found[2])
        if not hmac.compare_digest(token, self._refresh(session_id, generation)):
            return None
        return session_id, generation

    def _refresh(self, session_id: str, generation: int) -> str:
        code = self._code("refresh", f"{session_id} {generation}")
        return f"ls_{session_id}_{generation}_{code}"

    # -- device

    def device(self, name: str) -> str:
        """A fresh device token for an account."""
        device_id = secrets.token_hex(16)
        return f"{device_id}_{self._device_code(device_id, name)}"

    def read_device(self, token: str, name: str) -> str | None:
        """The id of the device, if somebody signed in there under this name."""
        found = _DEVICE.fullmatch(token)
        if found is None or not hmac.compare_digest(found[2], self._device_code(found[1], name)):
            return None
        return found[1]

    def _device_code(self, device_id: str, name: str) -> str:
        return self._code("device", f"{device_id} {account_key(name)}")

    def _code(self, purpose: str, text: str) -> str:
        return urlsafe_b64encode(self._secret.mac(purpose, text)).decode().rstrip("=")
