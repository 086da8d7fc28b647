"""The parts of a running server, for routes and channels; `app.py` puts them together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import HTTPConnection

from lading.protocol.errors import LadingError
from lading.protocol.grants import Action
from lading.server.access.authenticate import Authenticator, authenticate
from lading.server.access.cookie import bearer
from lading.server.access.principal import Principal
from lading.server.background import Tasks
from lading.server.limits import Limits
from lading.server.net.bounds import Bounds
from lading.server.net.byte_budget import ByteBudget
from lading.server.net.connection_counts import ConnectionCounts
from lading.server.settings import Settings
from lading.server.uploads import Uploads
from lading.server.uploads.files import Library
from lading.storage.collections.grants import Grants
from lading.storage.collections.quotas import Quotas
from lading.storage.collections.tags import Tags
from lading.storage.database import Database


class Drainable(Protocol):
    """A connection that can be asked to end."""

    def drain(self, retry_after: int) -> None:
        """Announce the shutdown; answer what is in flight."""
        ...

    async def note_activity(self) -> None:
        """Keep uploads alive whose bytes are arriving, though no piece is complete yet."""
        ...

    def restart(self) -> None:
        """Close after answering what is in flight."""
        ...

    def revoke(self) -> None:
        """Close: the grant that the connection authenticated with was revoked."""
        ...

    def press(self, pressed: bool) -> None:
        """Grant a small window while the byte budget is pressed, else the usual one."""
        ...

    @property
    def grant_id(self) -> str | None:
        """The grant that the connection authenticated with, if any."""
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
    uploads: Uploads
    library: Library
    quotas: Quotas
    grants: Grants
    tags: Tags
    authenticator: Authenticator
    budget: ByteBudget
    connection_counts: ConnectionCounts
    max_message: int
    clock: Callable[[], float] = time.time
    limits: Limits = field(default_factory=Limits)
    channels: set[Drainable] = field(default_factory=set)
    draining: bool = False
    _tasks: Tasks = field(default_factory=Tasks)

    def bounds(self) -> Bounds:
        """The limits for uvicorn's protocol classes."""
        most = self.settings.max_connections
        return Bounds(self.budget, self.connection_counts, self.max_message, most, self.limits.net)

    async def principal(self, connection: HTTPConnection, *actions: Action) -> Principal:
        """The principal of a request; raises what `authenticate` raises."""
        token = bearer(connection, self.settings.public_url)
        return await authenticate(self.authenticator, token, *actions)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` to its end even if its connection closes."""
        return self._tasks.spawn(work)

    async def note_activity(self, seconds: float) -> None:
        """Periodically keep uploads alive whose bytes are arriving."""
        while True:
            await asyncio.sleep(min(seconds, self.limits.channel.activity_seconds))
            for channel in list(self.channels):
                await channel.note_activity()

    async def watch_grants(self) -> None:
        """Periodically close connections whose grant was revoked."""
        while True:
            await asyncio.sleep(self.limits.channel.grant_seconds)
            held = {channel.grant_id for channel in self.channels}
            asked = [grant_id for grant_id in held if grant_id is not None]
            if not asked:
                continue
            try:
                living = await self.grants.living(asked, self.clock())
            except LadingError:
                continue  # every other operation reports that the database is down
            for channel in list(self.channels):
                if channel.grant_id in asked and channel.grant_id not in living:
                    channel.revoke()

    async def watch_budget(self) -> None:
        """Every so often, adjust the windows of open connections to the byte budget."""
        pressed = False
        while True:
            await asyncio.sleep(self.limits.channel.pressure_seconds)
            before, pressed = pressed, self.budget.pressed()
            if pressed or before:
                for channel in list(self.channels):
                    channel.press(pressed)

    async def drain(self, seconds: float) -> None:
        """End every connection: store and answer what is in flight, start nothing new.

        On return, after at most `seconds`, each connection got the advice to reconnect elsewhere
        and was closed.
        """
        self.draining = True
        self.uploads.arrivals.stop()
        for channel in list(self.channels):
            channel.drain(retry_after=1)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # Polling, once in a server's life and for a limited time, is simpler than events.
        while loop.time() < end and not all(c.idle for c in self.channels):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for channel in list(self.channels):
            channel.restart()
        await self._tasks.wait(max(0.1, end - loop.time()))

    async def settle(self) -> None:
        """Wait for work whose connection closed."""
        await self._tasks.settle()
        await self.uploads.settle()


def services(connection: HTTPConnection) -> Services:
    """The services of the application that `connection` belongs to."""
    found: Services = connection.app.state.services
    return found
