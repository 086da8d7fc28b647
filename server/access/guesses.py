"""How often a password may be guessed: by an address, at a name, by a browser that is known.

Source: page 13 of the design, "Accounts"; docs/decisions/0071.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass

from lading.protocol.accounts import account_key
from lading.protocol.errors import RateLimited
from lading.server.access.session_tokens import SessionTokens
from lading.server.access.visitor import Visitor
from lading.server.limits import AccountLimits
from lading.storage.collections.attempts import Counted
from lading.storage.open import Storage


@dataclass(frozen=True, slots=True)
class Guess:
    """An attempt that was counted: for what, and when."""

    counted: tuple[Counted, ...]
    at: float


class Guesses:
    """Counts attempts before they are made."""

    def __init__(self, storage: Storage, tokens: SessionTokens, limits: AccountLimits) -> None:
        self._attempts = storage.attempts
        self._clock: Callable[[], float] = storage.clock
        self._tokens = tokens
        self._limits = limits

    async def at_password(self, name: str, visitor: Visitor) -> Guess:
        """Count an attempt to sign in; raises RateLimited, with `retry_after` in seconds."""
        limits, key = self._limits, account_key(name)
        device = self._tokens.read_device(visitor.device or "", name)
        if device is not None:
            return await self._count(Counted(f"device {device}", limits.tries_of_device))
        network = _network(visitor.address)
        # The narrow first, so that one address does not use up what all have.
        return await self._count(
            Counted(f"pair {network} {key}", limits.tries_of_pair),
            Counted(f"address {network}", limits.tries_of_address),
            Counted(f"name {key}", limits.tries_of_name),
        )

    async def at_signup(self, visitor: Visitor) -> None:
        """Count an account that is asked for; raises RateLimited."""
        asked = f"signup {_network(visitor.address)}"
        await self._count(Counted(asked, self._limits.signups_of_address))

    async def was_right(self, guess: Guess) -> None:
        """It succeeded, and does not count."""
        for each in guess.counted:
            await self._attempts.give_back(each, guess.at, self._limits.window_seconds)

    async def _count(self, *counted: Counted) -> Guess:
        at = self._clock()
        for each in counted:
            wait = await self._attempts.count(each, at, self._limits.window_seconds)
            if wait is not None:
                raise RateLimited(
                    "Too many attempts from here; wait before the next one.",
                    retry_after=math.ceil(wait),
                )
        return Guess(counted, at)


def _network(address: str) -> str:
    """The address, or the network that one customer usually has of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
