"""How many bytes of chunks may be in memory at once, over all connections.

It owns the budget and its fair queue. It refuses to know what the bytes are for. A message takes
its share before its bytes are read and gives it back when they are stored or refused, so memory is
bounded by the budget however many connections there are.
Source: page 2 of the design; page 5, "memory is bounded".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

COPIES = 3
"""A piece on its way is in memory about three times: as it came, as bytes, and as sent on."""


class Hold:
    """A share of the budget. `release` may be called more than once."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self._budget = budget
        self.size = size

    def shrink(self, size: int) -> None:
        """Keep only `size` bytes."""
        if size < self.size:
            self._budget._give_back(self.size - size)
            self.size = size

    def release(self) -> None:
        self.shrink(0)


class ByteBudget:
    """`total` bytes, given out in the order in which they were asked for."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self._queue: deque[tuple[int, Callable[[Hold], None]]] = deque()

    def ask(self, message_size: int, granted: Callable[[Hold], None]) -> Callable[[], None]:
        """Call `granted` with a hold for a message of so many bytes, now or when there is room.

        Gives a function that withdraws the request. A message larger than the whole budget is
        let through alone, so that a small budget is slow and not stuck.
        """
        request = (min(message_size * COPIES, self.total), granted)
        self._queue.append(request)
        self._serve()

        def withdraw() -> None:
            if request in self._queue:
                self._queue.remove(request)
                self._serve()

        return withdraw

    async def acquire(self, message_size: int) -> Hold:
        """Wait for a hold for a message of so many bytes."""
        future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()

        def granted(hold: Hold) -> None:
            if future.cancelled():
                hold.release()
            else:
                future.set_result(hold)

        withdraw = self.ask(message_size, granted)
        try:
            return await future
        except asyncio.CancelledError:
            withdraw()
            if future.done() and not future.cancelled():
                future.result().release()
            raise

    def _serve(self) -> None:
        while self._queue and self._queue[0][0] <= self.free:
            size, granted = self._queue.popleft()
            self.free -= size
            granted(Hold(self, size))

    def _give_back(self, size: int) -> None:
        self.free += size
        self._serve()
