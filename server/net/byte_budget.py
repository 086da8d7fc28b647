"""How many bytes of chunks may be in memory at once, over all connections.

A message takes its share of the budget before its bytes are read, and returns it when they are
stored or refused. So memory is bounded by the budget, however many connections there are. Those who
wait stand in a fair queue.
Source: page 2 of the design; page 5, "memory is bounded".
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from lading.server.limits import NetLimits

COPIES = 4
"""A piece on its way is in memory about three times: as received, as bytes, and as sent on. What
the allocator cannot reuse between pieces adds about one more."""

PRESSED_SECONDS = NetLimits().pressed_seconds


class Reservation:
    """A share of the budget. `release` may be called more than once."""

    __slots__ = ("_budget", "owner", "size")

    def __init__(self, budget: ByteBudget, size: int, owner: str) -> None:
        self._budget = budget
        self.owner = owner
        self.size = size

    def shrink(self, size: int) -> None:
        """Keep only `size` bytes."""
        if size < self.size:
            spare, self.size = self.size - size, size
            self._budget._give_back(spare, self.owner)

    def widen(self, message_size: int) -> bool:
        """Make it the share of a longer message, if that is possible without waiting."""
        return self._budget._widen(self, message_size)

    def release(self) -> None:
        self.shrink(0)


class Throttle:
    """At most `rate` events a second, in bursts of as many."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = 0.0

    def delay(self, now: float) -> float:
        """Count one event at `now`; returns the seconds to wait before it is served."""
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        return max(0.0, -self._tokens / self._rate)


@dataclass(eq=False, slots=True)
class _Request:
    size: int
    owner: str
    granted: Callable[[Reservation], None]
    since: float


class ByteBudget:
    """`total` bytes, granted in the order in which they were asked for.

    No owner holds more than `per_owner` of them; others overtake an owner at that limit. A request
    that waits longer than `pressed_seconds` presses. `clock` returns seconds of a steady clock.
    `waited` gets the seconds that each request waited.
    """

    def __init__(
        self,
        total: int,
        per_owner: int | None = None,
        *,
        pressed_seconds: float = PRESSED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] | None = None,
    ) -> None:
        self.total = total
        self.free = total
        self._per_owner = min(per_owner or total, total)
        self._pressed_seconds = pressed_seconds
        self._clock = clock
        self._waited = waited
        self._held: Counter[str] = Counter()
        self._queue: deque[_Request] = deque()

    def ask(
        self, message_size: int, granted: Callable[[Reservation], None], owner: str
    ) -> Callable[[], None]:
        """Call `granted` with a reservation for a message of `message_size` bytes, now or later.

        Returns a function that withdraws the request. A message larger than the whole budget is
        let through alone, so that a small budget is slow and not stuck.
        """
        size = min(message_size * COPIES, self._per_owner)
        request = _Request(size, owner, granted, self._clock())
        self._queue.append(request)
        self._serve()

        def withdraw() -> None:
            if request in self._queue:
                self._queue.remove(request)
                self._serve()

        return withdraw

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def pressed(self, owner: str | None = None) -> bool:
        """Whether others have waited for long, so that whoever holds a share must use it soon.

        With an `owner`, requests of that owner count too that wait for its own connections.
        """
        late = self._clock() - self._pressed_seconds
        return any(
            request.since < late and (request.owner == owner or self._is_within_part(request))
            for request in self._queue
        )

    def _is_within_part(self, request: _Request) -> bool:
        return self._held[request.owner] + request.size <= self._per_owner

    async def acquire(self, message_size: int, owner: str) -> Reservation:
        """Wait for a reservation for a message of so many bytes."""
        future: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()

        def granted(reservation: Reservation) -> None:
            if future.cancelled():
                reservation.release()
            else:
                future.set_result(reservation)

        withdraw = self.ask(message_size, granted, owner)
        try:
            return await future
        except asyncio.CancelledError:
            withdraw()
            if future.done() and not future.cancelled():
                future.result().release()
            raise

    def _serve(self) -> None:
        waiting: list[_Request] = []
        at_limit: set[str] = set()
        while self._queue:
            request = self._queue[0]
            if not self._is_within_part(request):
                at_limit.add(request.owner)
            if request.owner in at_limit:
                waiting.append(self._queue.popleft())
                continue
            if request.size > self.free:
                break
            self._queue.popleft()
            self.free -= request.size
            self._held[request.owner] += request.size
            if self._waited is not None:
                self._waited(self._clock() - request.since)
            request.granted(Reservation(self, request.size, request.owner))
        self._queue.extendleft(reversed(waiting))

    def _widen(self, reservation: Reservation, message_size: int) -> bool:
        more = min(message_size * COPIES, self._per_owner) - reservation.size
        if more <= 0:
            return True
        # Two that hold a share and wait for another could wait for each other for ever.
        room = min(self.free, self._per_owner - self._held[reservation.owner])
        if self._queue or more > room:
            return False
        reservation.size += more
        self.free -= more
        self._held[reservation.owner] += more
        return True

    def _give_back(self, size: int, owner: str) -> None:
        self.free += size
        self._held[owner] -= size
        if not self._held[owner]:
            del self._held[owner]
        self._serve()
