"""Sessions: begun by whoever proved who they are, renewed, listed, ended; and their principals.

A session is read with each request, so it ends at once. A session that begins looks at its account
once more after it is stored, and so does each renewal: no session outlives the account as it was
when the session began.
Source: page 13 of the design, "Accounts"; docs/decisions/0070.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

import structlog

from lading.protocol.errors import NotFound, Unauthorized
from lading.server.access.authenticate import Authenticator
from lading.server.access.principal import Principal
from lading.server.access.session_tokens import SessionTokens
from lading.server.access.visitor import Visitor
from lading.server.limits import AccountLimits
from lading.storage.collections.manifests import new_id
from lading.storage.collections.sessions import Session
from lading.storage.collections.users import User
from lading.storage.open import Storage

log = structlog.get_logger()

ENDED = "The session is over; sign in again."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session, with tokens for it."""

    session: Session
    access: str
    expires_at: float
    refresh: str
    device: str | None = None


class OpenSessions:
    """The sessions of all users."""

    def __init__(self, storage: Storage, tokens: SessionTokens, limits: AccountLimits) -> None:
        self._users = storage.users
        self._sessions = storage.sessions
        self._clock: Callable[[], float] = storage.clock
        self._tokens = tokens
        self._limits = limits

    async def begin(self, user: User, visitor: Visitor) -> SignedIn:
        """A new session for someone who proved to be this user; raises Unauthorized."""
        now = self._clock()
        session = Session(
            id=new_id(now),
            user_id=user.name,
            scopes=user.scopes,
            revision=user.revision,
            created_at=now,
            used_at=now,
            rotated_at=now,
            expires_at=now + self._limits.session_seconds,
            address=visitor.address,
            agent=visitor.agent,
        )
        await self._sessions.insert(session)
        if not await self._is_current(session):
            raise Unauthorized("The account was changed a moment ago; sign in again.")
        return self._signed_in(session, device=self._tokens.device(user.name))

    async def refresh(self, token: str | None, visitor: Visitor) -> SignedIn:
        """Tokens for the rest of a session, each time others; raises Unauthorized.

        A refresh token that comes a second time, beyond the time in which the first answer may have
        been lost or another tab may have asked, was stolen from one side or the other: the session
        ends for both.
        """
        given = self._tokens.read_refresh(token or "")
        if given is None:
            raise Unauthorized(ENDED)
        session_id, generation = given
        now = self._clock()
        session = await self._get(session_id)
        if not await self._is_current(session):
            raise Unauthorized(ENDED)
        if generation == session.generation:
            renewed = await self._sessions.rotate(
                session,
                now=now,
                expires_at=now + self._limits.session_seconds,
                address=visitor.address,
                agent=visitor.agent,
            )
            if renewed is not None:
                return self._signed_in(renewed)
            session = await self._get(session_id)
        late = now - session.rotated_at > self._limits.grace_seconds
        if generation != session.generation - 1 or late:
            await self._sessions.end(session.id, session.user_id)
            log.warning("session-stolen", user_id=session.user_id, address=visitor.address)
            raise Unauthorized(
                "This refresh token was used before. Somebody may have stolen it, so the session "
                "is over; sign in again."
            )
        return self._signed_in(session)

    async def _get(self, session_id: str) -> Session:
        session = await self._sessions.get(session_id, self._clock())
        if session is None:
            raise Unauthorized(ENDED)
        return session

    async def _is_current(self, session: Session) -> bool:
        """Whether the account is as it was when the session began; if not, the session ends."""
        user = await self._users.get(session.user_id)
        if user is not None and user.revision == session.revision:
            return True
        await self._sessions.end(session.id, session.user_id)
        return False

    def _signed_in(self, session: Session, device: str | None = None) -> SignedIn:
        expires_at = self._clock() + self._limits.access_seconds
        access = self._tokens.access(session, expires_at)
        return SignedIn(session, access, expires_at, self._tokens.refresh(session), device)

    # -- which there are, and how they end

    async def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions, the last used one first."""
        return await self._sessions.of_user(user_id, self._clock())

    async def living(self, session_ids: Collection[str]) -> set[str]:
        """The ids among these whose session is not over."""
        return await self._sessions.living(session_ids, self._clock())

    async def end(self, user_id: str, session_id: str) -> None:
        """End a session of a user; raises NotFound."""
        if not await self._sessions.end(session_id, user_id):
            raise NotFound(f"There is no session {session_id}.")

    async def end_all(self, user_id: str, *, but: str | None = None) -> int:
        """End a user's sessions, all or all `but` one; returns how many."""
        return await self._sessions.end_user(user_id, but=but)

    async def leave(self, access: str | None, refresh: str | None) -> None:
        """End the session of these tokens, if there is one."""
        given = self._tokens.read_refresh(refresh or "")
        session_id = None if given is None else given[0]
        if access is not None:
            with suppress(Unauthorized):
                session_id, _ = await self._tokens.read_access(access)
        if session_id is None:
            return
        session = await self._sessions.get(session_id, self._clock())
        if session is not None:
            await self._sessions.end(session.id, session.user_id)


class SessionAuthenticator:
    """The principals of access tokens; every other credential is `otherwise`'s, the admin token."""

    def __init__(self, storage: Storage, tokens: SessionTokens, otherwise: Authenticator) -> None:
        self._sessions = storage.sessions
        self._clock: Callable[[], float] = storage.clock
        self._tokens = tokens
        self._otherwise = otherwise

    async def principal(self, token: str | None, /) -> Principal:
        if token is None:
            raise Unauthorized("Sign in, or send a token.")
        if token.count(".") != 2:
            return await self._otherwise.principal(token)
        session_id, expires_at = await self._tokens.read_access(token)
        session = await self._sessions.get(session_id, self._clock())
        if session is None:
            raise Unauthorized(ENDED)
        admin = "admin" in session.scopes
        return Principal(
            session.user_id,
            admin=admin,
            may_grant=admin or "grant" in session.scopes,
            expires=expires_at,
            session_id=session.id,
        )
