"""What the server does to all open channels: visits at intervals, and the drain at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from lading.protocol.errors import LadingError
from lading.server.services import Services


def visits(server: Services) -> list[Coroutine[Any, Any, None]]:
    """The visits to open channels, each for as long as its task lives."""
    return [note_activity(server), watch_credentials(server), watch_budget(server)]


async def note_activity(server: Services) -> None:
    """Periodically keep uploads alive whose bytes are arriving."""
    seconds = min(server.settings.upload_ttl / 4, server.limits.channel.activity_seconds)
    while True:
        await asyncio.sleep(seconds)
        for channel in list(server.channels):
            await channel.note_activity()


async def watch_credentials(server: Services) -> None:
    """Periodically close channels whose grant was revoked, or whose session ended."""
    while True:
        await asyncio.sleep(server.limits.channel.grant_seconds)
        # Every other operation reports that the database is down.
        with suppress(LadingError):
            await _watch_grants(server)
        with suppress(LadingError):
            await _watch_sessions(server)


async def _watch_grants(server: Services) -> None:
    asked = {each.grant_id for each in server.channels if each.grant_id is not None}
    if asked:
        living = await server.grants.living(asked, server.clock())
        for channel in list(server.channels):
            if channel.grant_id in asked and channel.grant_id not in living:
                channel.revoke("The grant was revoked.")


async def _watch_sessions(server: Services) -> None:
    asked = {each.session_id for each in server.channels if each.session_id is not None}
    if asked and server.accounts is not None:
        living = await server.accounts.sessions.living(asked)
        for channel in list(server.channels):
            if channel.session_id in asked and channel.session_id not in living:
                channel.revoke("The session is over; sign in again.")


async def watch_budget(server: Services) -> None:
    """Periodically adjust the windows of open channels to the byte budget."""
    pressed = False
    while True:
        await asyncio.sleep(server.limits.channel.pressure_seconds)
        before, pressed = pressed, server.budget.pressed()
        if pressed or before:
            for channel in list(server.channels):
                channel.press(pressed)


async def drain(server: Services, seconds: float) -> None:
    """End every channel: store and answer what is in flight, start nothing new.

    On return, after at most `seconds`, each client was advised to reconnect elsewhere, and its
    channel is closed.
    """
    server.draining = True
    server.uploads.arrivals.stop()
    server.changes.stop()
    for channel in list(server.channels):
        channel.drain(retry_after=1)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    # A channel becomes idle by being quiet for a while, which no event reports.
    while loop.time() < end and not all(c.idle for c in server.channels):  # noqa: ASYNC110 - idle has no event
        await asyncio.sleep(0.02)
    for channel in list(server.channels):
        channel.restart()
    await server.wait(max(0.1, end - loop.time()))
