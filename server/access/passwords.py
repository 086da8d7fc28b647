"""Passwords of people and links: hashed by argon2id, beside the event loop, a few at a time.

Source: RFC 9106, section 4, the second recommended choice; page 13 of the design, "Accounts".
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from lading.protocol.errors import RateLimited
from lading.server.limits import AccountLimits

T = TypeVar("T")


class Passwords:
    """Makes hashes of passwords, and compares passwords with them."""

    def __init__(self, limits: AccountLimits) -> None:
        self._hasher = PasswordHasher(
            limits.passes, limits.memory_kib, limits.lanes, hash_len=32, salt_len=16, type=Type.ID
        )
        self._most = limits.hashes_at_once + limits.hashes_waiting
        self._threads = ThreadPoolExecutor(limits.hashes_at_once, "argon2")
        self._asked = 0
        self._nobodys = ""

    async def prepare(self) -> None:
        """Make the hash that is compared with where there is no account."""
        self._nobodys = await self.hash(secrets.token_urlsafe(32))

    def close(self) -> None:
        """End the threads; what still waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash of a password, with a salt of its own; raises RateLimited."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether this is the password. Without a hash it takes the same time, and it is not.

        Raises RateLimited.
        """
        return await self._run(lambda: self._compare(hashed or self._nobodys, password)) and (
            hashed is not None
        )

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _compare(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._asked >= self._most:
            raise RateLimited("Many passwords are being compared right now; try again in a moment.")
        future = self._threads.submit(work)
        self._asked += 1
        try:
            # A thread cannot be stopped: whoever gives up leaves the place only when it is free.
            return await asyncio.shield(asyncio.wrap_future(future))
        finally:
            loop = asyncio.get_running_loop()
            future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))

    def _done(self) -> None:
        self._asked -= 1
