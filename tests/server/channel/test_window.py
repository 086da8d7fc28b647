"""The window of a real connection: it grows where it holds a client up, and its share returns."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import inside, until
from tests.support.wire import PING, PONG, STORED, WINDOW, Wire, channel

CELL = 4096
BUDGET = 2**20
SHARED = BUDGET // 4


async def store(wire: Wire, first: int, count: int) -> list[int]:
    """So many pieces, each after the one before is stored; the windows that were told meanwhile."""
    windows = []
    for number in range(first, first + count):
        await wire.chunk(0, number * CELL, bytes(CELL))
        while (message := await wire.receive())[0] != STORED:
            assert message[0] == WINDOW
            windows.append(message[1])
    return windows


async def test_window_grows_until_the_client_is_idle(tmp_path: Path, database_url: str) -> None:
    async with inside(tmp_path, database_url, chunk_size=CELL, byte_budget=BUDGET) as server:
        windows = server.services.windows
        async with channel(server) as wire:
            assert wire.welcome["window"] == 4 * CELL
            await wire.create(0, 20 * CELL)
            # The first round, a window after the first piece, is as short as any was.
            assert await store(wire, 0, 5) == [8 * CELL]
            assert windows.most(object()) == SHARED // 2
            await wire.send(PING, 1)
            assert await wire.receive() == [WINDOW, 4 * CELL]
            assert await wire.receive() == [PONG, 1]
            assert windows.most(object()) == SHARED


async def test_share_of_a_connection_that_ends_goes_to_the_others(
    tmp_path: Path, database_url: str
) -> None:
    async with inside(tmp_path, database_url, chunk_size=CELL, byte_budget=BUDGET) as server:
        windows = server.services.windows
        async with channel(server) as wire:
            await wire.create(0, 20 * CELL)
            await store(wire, 0, 5)
            assert windows.most(object()) == SHARED // 2
        await until(lambda: windows.most(object()) == SHARED)
