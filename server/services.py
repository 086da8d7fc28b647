"""The parts of a running server, for routes and channels; `app.py` puts them together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import HTTPConnection, Request

from lading.protocol.errors import NotFound
from lading.protocol.grants import Action
from lading.server.access.authenticate import Authenticator, authenticate
from lading.server.access.cookie import bearer
from lading.server.access.grants import check_token
from lading.server.access.kept_secrets import ServerSecret
from lading.server.access.passwords import Passwords
from lading.server.access.principal import Principal
from lading.server.background import Tasks
from lading.server.limits import Limits
from lading.server.metrics.exposition import Exposition
from lading.server.net.bounds import Bounds
from lading.server.net.byte_budget import ByteBudget
from lading.server.net.connection_counts import ConnectionCounts
from lading.server.net.record import Observe, record_of, unobserved
from lading.server.net.windows import Windows
from lading.server.settings import Settings
from lading.server.uploads import Uploads
from lading.server.uploads.append import Appends
from lading.server.uploads.archive import Archives
from lading.server.uploads.changes import Changes
from lading.server.uploads.concat import Concatenation
from lading.server.uploads.files import Library
from lading.server.uploads.users import Users
from lading.server.webhooks.manage import WebhookAdmin
from lading.storage.collections.grants import Grants
from lading.storage.collections.idempotency import IdempotencyKeys
from lading.storage.collections.quotas import Quotas
from lading.storage.collections.tags import Tags
from lading.storage.database import Database
from lading.storage.homes import Homes

if TYPE_CHECKING:
    from lading.server.access.accounts import Accounts
    from lading.server.access.oidc import OpenIdProvider
    from lading.server.access.passkeys import PasskeyService


class OpenChannel(Protocol):
    """What `channel/drain.py` asks of an open channel."""

    def drain(self, retry_after: int) -> None:
        """Announce the shutdown; answer what is in flight."""
        ...

    async def note_activity(self) -> None:
        """Keep uploads alive whose bytes are arriving, though no piece is complete yet."""
        ...

    def restart(self) -> None:
        """Close after answering what is in flight."""
        ...

    def revoke(self, reason: str) -> None:
        """Close: the credential that the connection authenticated with is good no more."""
        ...

    def press(self, pressed: bool) -> None:
        """Grant a small window while the byte budget is pressed, else the usual one."""
        ...

    @property
    def grant_id(self) -> str | None:
        """The grant that the connection authenticated with, if any."""
        ...

    @property
    def session_id(self) -> str | None:
        """The session that it authenticated with, if any."""
        ...

    @property
    def idle(self) -> bool:
        """Whether no message waits for an answer."""
        ...


@dataclass(slots=True)
class Services:
    """The parts of a running server."""

    settings: Settings
    database: Database
    homes: Homes
    uploads: Uploads
    appends: Appends
    concatenation: Concatenation
    library: Library
    users: Users
    archives: Archives
    changes: Changes
    quotas: Quotas
    grants: Grants
    tags: Tags
    idempotency: IdempotencyKeys
    webhooks: WebhookAdmin
    secret: ServerSecret
    accounts: Accounts | None
    provider: OpenIdProvider | None
    passkeys: PasskeyService | None
    authenticator: Authenticator
    budget: ByteBudget
    windows: Windows
    connection_counts: ConnectionCounts
    max_message: int
    exposition: Exposition
    passwords: Passwords
    clock: Callable[[], float] = time.time
    limits: Limits = field(default_factory=Limits)
    observe: Observe = unobserved
    channels: set[OpenChannel] = field(default_factory=set)
    draining: bool = False
    _tasks: Tasks = field(default_factory=Tasks)

    def bounds(self) -> Bounds:
        """The limits for uvicorn's protocol classes."""
        return Bounds(
            self.budget,
            self.connection_counts,
            self.max_message,
            self.settings.max_connections,
            self.limits.net,
            self.settings.allowed_origins,
            self.observe,
        )

    async def principal(self, connection: HTTPConnection, *actions: Action) -> Principal:
        """The principal of a request; raises what `authenticate` raises."""
        token = bearer(connection, self.settings.public_url)
        return _noted(connection, await authenticate(self.authenticator, token, *actions))

    async def credential(self, connection: HTTPConnection) -> Principal:
        """The principal of a request, whatever it may do; raises Unauthorized.

        An address that has the token of a grant needs no other credential.
        """
        token = connection.path_params.get("token")
        if token is None:
            token = bearer(connection, self.settings.public_url)
        else:
            check_token(token)
        return _noted(connection, await self.authenticator.principal(token))

    async def acting(self, request: Request, *actions: Action) -> Principal:
        """The same as it acts for the user in the query parameter `user_id`; raises NotFound."""
        principal = await self.principal(request, *actions)
        return principal.acting_for(request.query_params.get("user_id"))

    def need_accounts(self) -> Accounts:
        """The accounts; raises NotFound where the server has none."""
        if self.accounts is None:
            raise NotFound("This server has no accounts; LADING_AUTH=accounts gives it some.")
        return self.accounts

    def need_passkeys(self) -> PasskeyService:
        """The passkeys; raises NotFound where there are no accounts."""
        self.need_accounts()
        assert self.passkeys is not None
        return self.passkeys

    def need_provider(self) -> tuple[Accounts, OpenIdProvider]:
        """The accounts and the OpenID provider; raises NotFound where there is none."""
        if self.accounts is None or self.provider is None:
            raise NotFound("This server knows no OpenID provider; see LADING_OIDC_ISSUER.")
        return self.accounts, self.provider

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` to its end even if its connection closes."""
        return self._tasks.spawn(work)

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds` for work whose connection closed."""
        await self._tasks.wait(seconds)

    async def settle(self) -> None:
        """Wait for work whose connection closed, however long it takes."""
        await self._tasks.settle()
        await self.uploads.settle()


def _noted(connection: HTTPConnection, principal: Principal) -> Principal:
    record_of(connection.scope).user_id = principal.user_id
    return principal


def services(connection: HTTPConnection) -> Services:
    """The services of the application that `connection` belongs to."""
    found: Services = connection.app.state.services
    return found
