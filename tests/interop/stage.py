"""A Lading behind a network in which everything happens: connections are cut, the server is killed.

What happens is drawn before: at which byte of the clients, counted over all their connections, and
whether it is a cut or a kill. A killed server is started again at once, on the same port.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.network import Network, network
from tests.support.servers import Process, process

LAST = 0.97
"""Nothing happens after this share of the file: a client might not notice it any more."""


@dataclass(frozen=True)
class Trouble:
    """How much happens to one file of `size` bytes."""

    size: int
    cuts: int
    kills: int


def marks(random: Random, trouble: Trouble) -> list[tuple[int, bool]]:
    """After how many bytes of the clients something happens; True is a kill."""
    happens = [False] * trouble.cuts + [True] * trouble.kills
    random.shuffle(happens)
    most = int(trouble.size * LAST)
    return list(zip(sorted(random.sample(range(1, most), len(happens))), happens, strict=True))


@dataclass
class Stage:
    """The server, the network before it, and what the clients have sent so far."""

    folder: Path
    database_url: str
    settings: dict[str, object]
    server: Process
    between: Network
    running: ExitStack
    carried: int = 0
    """Bytes that went up, with the heads of requests."""
    cuts: int = 0
    kills: int = 0
    _left: list[tuple[int, bool]] = field(default_factory=list)
    _ending: bool = False
    _restarts: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where clients send to."""
        return self.between.url

    def expect(self, left: list[tuple[int, bool]]) -> None:
        """Count anew; this is what will happen."""
        self.carried, self.cuts, self.kills = 0, 0, 0
        self._left = list(left)

    def carry(self, data: bytes) -> bytes:
        """Let bytes of a client pass; those after a mark are lost."""
        if self._ending:
            return b""
        if self._left and self.carried + len(data) >= self._left[0][0]:
            mark, kill = self._left.pop(0)
            data = data[: max(0, mark - self.carried)]
            # When these bytes are in the socket. Until then nothing may follow them.
            self._ending = True
            asyncio.get_running_loop().call_soon(self._kill if kill else self._cut)
        self.carried += len(data)
        return data

    def _cut(self) -> None:
        self.cuts += 1
        self._end()

    def _end(self) -> None:
        self.between.cut()
        self._ending = False

    def _kill(self) -> None:
        self.kills += 1
        os.kill(self.server.child.pid, signal.SIGKILL)
        self._end()
        task = asyncio.create_task(self._restart())
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _restart(self) -> None:
        await asyncio.to_thread(self.server.child.wait)
        await asyncio.to_thread((self.folder / "server.json").unlink)
        await asyncio.to_thread(self.start, self.server.port)

    def start(self, port: int) -> None:
        """Start the server, in place of the one before it."""
        self.server = self.running.enter_context(
            process(self.folder, self.database_url, **self.settings, port=port)
        )

    async def settle(self) -> None:
        """Wait until the server is there."""
        await asyncio.gather(*self._restarts)

    async def sha256(self, upload_id: str) -> str:
        """Of the file as it is read from the server."""
        digest = hashlib.sha256()
        async with self.server.http() as http, http.stream("GET", f"/v1/files/{upload_id}") as got:
            got.raise_for_status()
            async for data in got.aiter_bytes():
                digest.update(data)
        return digest.hexdigest()


@asynccontextmanager
async def stage(folder: Path, database_url: str, **settings: object) -> AsyncIterator[Stage]:
    """A stage while the context is open."""
    with ExitStack() as running:
        first = running.enter_context(process(folder, database_url, **settings))
        async with network(first.port) as between:
            found = Stage(folder, database_url, settings, first, between, running)
            between.damage = found.carry
            try:
                yield found
            finally:
                await found.settle()
