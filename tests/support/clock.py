"""The one fake clock: it moves when a test moves it."""

from __future__ import annotations

from dataclasses import dataclass

NOW = 1_790_000_000.0


@dataclass
class Clock:
    """A clock of the domain, the janitor and storage. Set `now`, in Unix seconds."""

    now: float = NOW
    settled: bool = True

    def __call__(self) -> float:
        return self.now

    async def settle(self) -> None:
        self.settled = True

    async def keep(self) -> None:
        return None
