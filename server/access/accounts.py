"""`LADING_AUTH=accounts`: people with a name and a password, or whom an OpenID provider knows.

Whatever changes an account is written to it first, with another revision, and then ends its
sessions; `sessions.py` says why none is left.
Source: page 13 of the design, "Accounts"; docs/decisions/0071, 0072.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from lading.protocol.accounts import account_key, account_name, new_password, password_form
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    NameTaken,
    NotFound,
    Unauthorized,
)
from lading.protocol.grants import Grant
from lading.server.access.authenticate import ADMIN
from lading.server.access.guesses import Guesses
from lading.server.access.passwords import Passwords
from lading.server.access.principal import Principal
from lading.server.access.sessions import OpenSessions, SignedIn
from lading.server.access.visitor import Visitor
from lading.storage.collections.manifests import new_id
from lading.storage.collections.users import User
from lading.storage.open import Storage

log = structlog.get_logger()

DISABLED = "This account is disabled; ask the administrator of this server."


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom a provider knows. `names` are wishes for the name of an account.

    `scopes` are those that the provider's groups give; None where they say nothing.
    """

    issuer: str
    subject: str
    names: tuple[str, ...]
    scopes: tuple[str, ...] | None

    @property
    def key(self) -> str:
        """What no other person has, at this provider or another."""
        return f"{self.issuer} {self.subject}"


class Accounts:
    """The accounts of a server."""

    def __init__(
        self, storage: Storage, sessions: OpenSessions, passwords: Passwords, guesses: Guesses
    ) -> None:
        self._users = storage.users
        self._quotas = storage.quotas
        self._grants = storage.grants
        self._clock: Callable[[], float] = storage.clock
        self._passwords = passwords
        self._guesses = guesses
        self.sessions = sessions

    # -- accounts

    async def add(
        self,
        name: str,
        password: str | None = None,
        *,
        scopes: tuple[str, ...] = (),
        disabled: bool = False,
        identity: str | None = None,
    ) -> User:
        """Make an account; raises InvalidArgument, NameTaken."""
        name = account_name(name)
        user = User(
            name=name,
            password=None if password is None else await self._hash(password, name),
            scopes=scopes,
            disabled=disabled,
            revision=_fresh(),
            created_at=self._clock(),
            identity=identity,
        )
        await self._users.insert(user)
        return user

    async def change(self, name: str, *, password: str | None = None, **changes: Any) -> User:
        """Change `password`, `scopes` or `disabled`, and end the account's sessions.

        Raises NotFound, InvalidArgument.
        """
        if password is not None:
            changes["password"] = await self._hash(password, name)
        if changes:
            user = await self._users.change(name, _fresh(), changes)
        else:
            user = await self._users.get(name)
        if user is None:
            raise NotFound("There is no account of this name.")
        if changes:
            await self.sessions.end_all(name)
        return user

    async def page(self, *, after: str | None, most: int) -> list[User]:
        """The accounts by name, those after `after`."""
        return await self._users.page(after=after, most=most)

    async def _hash(self, password: str, name: str) -> str:
        return await self._passwords.hash(new_password(password, name))

    # -- passwords

    async def sign_in(self, name: str, password: str, visitor: Visitor) -> SignedIn:
        """Begin a session; raises Unauthorized, Forbidden (disabled), RateLimited."""
        return await self.sessions.begin(await self._proven(name, password, visitor), visitor)

    async def set_password(
        self, principal: Principal, password: str, changed: str, visitor: Visitor
    ) -> SignedIn:
        """Give the caller's account another password: all sessions end, and one begins.

        Raises what `sign_in` raises, and InvalidArgument.
        """
        if principal.session_id is None:
            raise Forbidden("Only someone who signed in with a password can change it here.")
        new_password(changed, principal.user_id)
        await self._proven(principal.user_id, password, visitor)
        user = await self.change(principal.user_id, password=changed)
        return await self.sessions.begin(user, visitor)

    async def check_owner(
        self, principal: Principal, password: str | None, visitor: Visitor
    ) -> None:
        """Raise unless the account itself asks: with its password, if it has one."""
        if principal.session_id is None:
            raise Forbidden("Only someone who signed in to an account can do this.")
        user = await self._users.get(principal.user_id)
        if user is not None and user.password is not None:
            await self._proven(user.name, password or "", visitor)

    async def begin(self, name: str, visitor: Visitor) -> SignedIn:
        """Begin a session for someone who proved to be this user in another way."""
        user = await self._users.get(name)
        if user is None:
            raise Unauthorized("There is no such account any more.")
        if user.disabled:
            raise Forbidden(DISABLED)
        return await self.sessions.begin(user, visitor)

    async def _proven(self, name: str, password: str, visitor: Visitor) -> User:
        """The account whose name and password these are."""
        password = password_form(password)
        guess = await self._guesses.at_password(name, visitor)
        user = await self._users.find(name)
        hashed = None if user is None else user.password
        if not await self._passwords.matches(hashed, password) or user is None or hashed is None:
            known = None if user is None else user.name
            log.warning("sign-in-refused", user_id=known, address=visitor.address)
            raise Unauthorized("The name or the password is wrong.")
        await self._guesses.was_right(guess)
        if user.disabled:
            raise Forbidden(DISABLED)
        if self._passwords.is_outdated(hashed):
            await self._users.rehash(user, await self._passwords.hash(password))
        return user

    # -- people who make their account themselves

    async def sign_up(
        self, name: str, password: str, grant: Grant | None, visitor: Visitor
    ) -> SignedIn:
        """Make an account for a visitor, with an invitation or without, and begin its session.

        Raises InvalidArgument, NameTaken, Forbidden (the invitation is used up), RateLimited.
        """
        name = account_name(name)
        new_password(password, name)
        await self._guesses.at_signup(visitor)
        await self._check_free(name)
        use = new_id(self._clock())
        if grant is not None:
            await self._grants.use(grant, use, self._clock())
        try:
            user = await self.add(name, password)
        except LadingError:
            if grant is not None:
                await self._grants.give_back(grant.id, use)
            raise
        return await self.sessions.begin(user, visitor)

    async def _check_free(self, name: str) -> None:
        """Raise NameTaken for a user who exists without an account, and has files perhaps."""
        known = account_key(name) == ADMIN or (await self._quotas.account(name)).known
        if known or await self._grants.acts_for(name):
            raise NameTaken("There is an account of this name.")

    async def enter(self, identity: Identity, visitor: Visitor) -> SignedIn:
        """Begin a session for somebody whom a provider knows; the first time with a new account.

        Raises Forbidden for an account that is disabled, and where all names are taken: whoever
        has such a name at the provider need not be whom the account belongs to.
        """
        user = await self._users.of_identity(identity.key)
        if user is None:
            user = await self._welcome(identity)
        if user.disabled:
            raise Forbidden(DISABLED)
        if identity.scopes is not None and identity.scopes != user.scopes:
            user = await self.change(user.name, scopes=list(identity.scopes))
        return await self.sessions.begin(user, visitor)

    async def _welcome(self, identity: Identity) -> User:
        for wish in identity.names:
            try:
                name = account_name(wish)
                await self._check_free(name)
                return await self.add(name, scopes=identity.scopes or (), identity=identity.key)
            except (InvalidArgument, NameTaken):
                # Perhaps the same person came in at another door at the same moment.
                found = await self._users.of_identity(identity.key)
                if found is not None:
                    return found
        raise Forbidden("Somebody else has your name here; ask the administrator of this server.")


def _fresh() -> str:
    return secrets.token_hex(8)
