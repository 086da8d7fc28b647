"""The worlds that several faults share: a look into the database, servers on it, a proxy before
them, and how an upload is made in them by either client."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lading import Client, File
from lading.client.backoff import Timing
from tests.faults.fault import Base
from tests.faults.processes import TOKEN, Servers
from tests.faults.proxy import Proxy
from tests.faults.vault import Vault
from tests.support.servers import Process, Running

CHUNK = 64 * 1024
"""The servers' cells: small, so that a small file has many pieces."""

USUAL: dict[str, object] = {"chunk_size": CHUNK, "free_space_floor": 0}


@dataclass
class World:
    """Servers on one database, a proxy, and a look past them. `server` is the one in use."""

    vault: Vault
    servers: Servers
    proxy: Proxy
    server: Process

    @property
    def proxied(self) -> Running:
        """The server behind the proxy, whichever that is."""
        return Running(self.proxy.url, TOKEN, self.server.data)

    async def sound(self, *, crashed: bool = False) -> None:
        """Nothing is left over, and no server met what it did not expect; see `Vault.sound`."""
        await self.vault.sound(self.server, crashed=crashed)
        self.servers.check_logs()


@asynccontextmanager
async def serving(
    url: str, folder: Path, *, before: Sequence[str] = ("",), **settings: object
) -> AsyncIterator[World]:
    """A world on the database at `url`, which is cleared first: a server for each of `before`,
    which is Python that runs in its process before all else."""
    async with AsyncExitStack() as stack:
        vault = await stack.enter_async_context(Vault(url))
        await vault.clear()
        servers = await stack.enter_async_context(Servers(folder, url, **(USUAL | settings)))
        await asyncio.gather(*(servers.start(before=each) for each in before))
        server = servers.running[0]
        proxy = await stack.enter_async_context(Proxy(server.port))
        yield World(vault, servers, proxy, server)


@asynccontextmanager
async def one_server(base: Base, folder: Path) -> AsyncIterator[World]:
    """One server on a database of the shared mongod."""
    async with serving(base.database(folder.name), folder) as world:
        yield world


@asynccontextmanager
async def two_servers(base: Base, folder: Path) -> AsyncIterator[World]:
    """Two servers on a database of the shared mongod."""
    async with serving(base.database(folder.name), folder, before=("", "")) as world:
        yield world


def some_bytes(random: Random, cells: int = 16) -> bytes:
    """The bytes of a file of up to so many cells; the last one is seldom whole."""
    if random.random() < 0.1:
        return random.randbytes(random.randint(1, cells) * CHUNK)
    return random.randbytes(random.randint(1, cells * CHUNK))


async def send(
    where: Running, data: bytes, name: str, *, patience: float = 60.0, random: Random | None = None
) -> File:
    """Upload by the client that users have."""
    timing = Timing() if random is None else Timing(random=random.random)
    async with Client(where.url, TOKEN, patience=patience, timing=timing) as client:
        return await client.upload(io.BytesIO(data), name=name)
