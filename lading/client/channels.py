"""The open channels of one client that wait for their next upload.

Opening one takes three round trips or more: TCP's, TLS's, the upgrade's, HELLO's. So an upload that
ended well leaves its channel to the next one, and one that must look something up first opens its
channel meanwhile. A channel carries one upload at a time here.
Source: page 3 of the design, "Connection"; decision 101.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from lading.client.backoff import Timing
    from lading.client.channel import Channel

REST_SECONDS = 15.0
"""A channel that carried nothing for so long is not used again. Less than a heartbeat, since nobody
sends one for it meanwhile."""

MOST = 16

Dial = Callable[[], Awaitable["Channel"]]


class Channels:
    """Keeps at most `MOST` of them."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._resting: list[tuple[Channel, float]] = []

    async def take(self, dial: Dial) -> tuple[Channel, float]:
        """A channel for one upload, and since when it rests. Raises what `dial` does."""
        while self._resting:
            channel, since = self._resting.pop()
            if self.is_fit(channel, since):
                return channel, since
            await channel.close()
        return await dial(), self._timing.clock()

    async def give(self, channel: Channel, since: float | None = None) -> None:
        """Take a channel back: its upload ended well, or it carried none and rests `since` then."""
        since = self._timing.clock() if since is None else since
        if self.is_fit(channel, since) and len(self._resting) < MOST:
            self._resting.append((channel, since))
        else:
            await channel.close()

    def is_fit(self, channel: Channel, since: float) -> bool:
        """Whether a channel that rests since then may carry an upload."""
        return channel.usable and self.is_fresh(since)

    def is_fresh(self, since: float) -> bool:
        """Whether one that rests since then rests for a short time only."""
        return self._timing.clock() - since < REST_SECONDS

    async def close(self) -> None:
        """Close those that rest."""
        resting, self._resting = self._resting, []
        await asyncio.gather(*(channel.close() for channel, _ in resting))


class Early:
    """A channel that is opened while other things are done, if it is `wanted`.

    What nobody took until the end of the block is kept for another upload; an error is forgotten.
    """

    def __init__(self, channels: Channels, dial: Dial, *, wanted: bool) -> None:
        self._channels = channels
        self._dial = dial
        self._wanted = wanted
        self._opening: asyncio.Task[tuple[Channel, float]] | None = None

    async def __aenter__(self) -> Self:
        if self._wanted:
            self._opening = asyncio.create_task(self._channels.take(self._dial))
        return self

    async def take(self) -> Channel:
        """The channel. Raises what `dial` does."""
        opening, self._opening = self._opening, None
        if opening is not None:
            channel, since = await opening
            # Why the server closed one before WELCOME, only that one can say.
            is_new = not channel.welcomed and self._channels.is_fresh(since)
            if is_new or self._channels.is_fit(channel, since):
                return channel
            await channel.close()
        channel, _ = await self._channels.take(self._dial)
        return channel

    async def __aexit__(self, *_error: object) -> None:
        if self._opening is None:
            return
        self._opening.cancel()
        (found,) = await asyncio.gather(self._opening, return_exceptions=True)
        if not isinstance(found, BaseException):
            await self._channels.give(*found)
