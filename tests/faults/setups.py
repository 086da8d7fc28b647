"""The setups that several faults share: a database, servers on it, a proxy before them, and uploads
by `lading.Client`."""

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
from tests.faults.inspector import Inspector
from tests.faults.processes import TOKEN, Servers
from tests.faults.proxy import Proxy
from tests.support.seaweedfs import SeaweedFS, seaweedfs
from tests.support.servers import Process, Running

CHUNK = 64 * 1024
"""The servers' cell size: small, so that a small file has many pieces."""

USUAL: dict[str, object] = {"chunk_size": CHUNK, "free_space_floor": 0}


@dataclass
class Setup:
    """Servers on one database, a proxy, and an inspector. `server` is the one in use."""

    inspector: Inspector
    servers: Servers
    proxy: Proxy
    server: Process

    @property
    def proxied(self) -> Running:
        """The server behind the proxy, whichever that is."""
        return Running(self.proxy.url, TOKEN, self.server.data)

    async def check_nothing_left(self, *, crashed: bool = False) -> None:
        """Nothing is left over, and no server logged an unexpected error; see Inspector."""
        await self.inspector.check_nothing_left(self.server, crashed=crashed)
        self.servers.check_logs()


@asynccontextmanager
async def serving(
    url: str, folder: Path, *, before: Sequence[str] = ("",), **settings: object
) -> AsyncIterator[Setup]:
    """A setup on the database at `url`, which is cleared first: a server for each of `before`,
    which is Python that runs in its process before all else."""
    async with AsyncExitStack() as stack:
        home = settings.get("blobs")
        local = home if isinstance(home, str) and home.startswith("file:") else None
        inspector = await stack.enter_async_context(Inspector(url, local))
        await inspector.clear()
        servers = await stack.enter_async_context(Servers(folder, url, **(USUAL | settings)))
        await asyncio.gather(*(servers.start(before=each) for each in before))
        server = servers.running[0]
        proxy = await stack.enter_async_context(Proxy(server.port))
        yield Setup(inspector, servers, proxy, server)


@asynccontextmanager
async def one_server(base: Base, folder: Path) -> AsyncIterator[Setup]:
    """One server on a database of the shared mongod."""
    async with serving(base.database(folder.name), folder) as setup:
        yield setup


@asynccontextmanager
async def two_servers(base: Base, folder: Path) -> AsyncIterator[Setup]:
    """Two servers on a database of the shared mongod."""
    async with serving(base.database(folder.name), folder, before=("", "")) as setup:
        yield setup


async def store(base: Base, folder: Path, stack: AsyncExitStack) -> SeaweedFS:
    """A SeaweedFS that nothing happens to: the one that all share, or one of the setup's own."""
    if base.seaweed is not None:
        return base.seaweed()
    return await asyncio.to_thread(stack.enter_context, seaweedfs(folder / "weed"))


def some_bytes(random: Random, cells: int = 16) -> bytes:
    """The bytes of a file of up to so many cells; the last one is seldom whole."""
    if random.random() < 0.1:
        return random.randbytes(random.randint(1, cells) * CHUNK)
    return random.randbytes(random.randint(1, cells * CHUNK))


async def send(
    where: Running, data: bytes, name: str, *, patience: float = 60.0, random: Random | None = None
) -> File:
    """Upload by `lading.Client`; returns the finished file."""
    timing = Timing() if random is None else Timing(random=random.random)
    async with Client(where.url, TOKEN, patience=patience, timing=timing) as client:
        return await client.upload(io.BytesIO(data), name=name)
