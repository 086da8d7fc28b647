"""mongod killed under load: SIGKILL while pieces are being stored, then started again.

In nine of ten trials the test starts it again; in the tenth it is the server's embedded mongod, and
the server starts it again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lading.storage.embedded.process import running
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import Inspector
from tests.faults.processes import Mongod, Servers
from tests.faults.proxy import at, whole
from tests.faults.setups import CHUNK, USUAL, Setup, serving
from tests.faults.uploader import Uploader
from tests.support.servers import Running, until

AT_ONCE = 3
CELLS = 24


@dataclass
class Own:
    """A setup with its own mongod, and a folder for setups with an embedded one."""

    setup: Setup
    mongod: Mongod
    folder: Path
    numbers: count[int]


@asynccontextmanager
async def setup(_base: Base, folder: Path) -> AsyncIterator[Own]:
    async with AsyncExitStack() as stack:
        mongod = await stack.enter_async_context(Mongod(folder / "m"))
        made = await stack.enter_async_context(serving(mongod.url("lading"), folder))
        yield Own(made, mongod, folder, count(1))


async def trial(own: Own, trial: Trial) -> None:
    if trial.number % 10 == 3:
        await embedded(own, trial)
        return

    async def strike() -> None:
        own.mongod.kill()
        await own.mongod.begin()

    await load(own.setup, trial, own.setup.proxied, strike)
    await own.setup.inspector.clear()


async def embedded(own: Own, trial: Trial) -> None:
    """The mongod of a fresh server is killed, and the server starts it again."""
    folder = own.folder / f"e{next(own.numbers)}"
    folder.mkdir()
    async with Servers(folder, None, **USUAL) as servers:
        server = await servers.start()

        async def strike() -> None:
            pid = int((server.data / "db" / "mongod.lock").read_text())
            os.kill(pid, signal.SIGKILL)

        url = running(server.data)
        assert url is not None
        async with Inspector(url) as inspector:
            own.setup.proxy.target = server.port
            try:
                made = Setup(inspector, servers, own.setup.proxy, server)
                await load(made, trial, made.proxied, strike)
            finally:
                own.setup.proxy.target = own.setup.server.port


async def load(
    setup: Setup, trial: Trial, where: Running, strike: Callable[[], Awaitable[None]]
) -> None:
    """Concurrent uploads, a fault when a random byte of them was passed on, and what must hold."""
    random = trial.random
    files = [random.randbytes(random.randint(CHUNK, CELLS * CHUNK)) for _ in range(AT_ONCE)]
    uploaders = [
        Uploader(data, f"load-{trial.number}-{place}", random) for place, data in enumerate(files)
    ]
    struck: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal struck
        struck = asyncio.ensure_future(strike())

    setup.proxy.usual = (at(random.randrange(sum(map(len, files))), begin), whole)
    await asyncio.gather(*(uploader.run(lambda: where) for uploader in uploaders))
    await until(lambda: struck is not None)
    assert struck is not None
    await struck
    for uploader in uploaders:
        await setup.inspector.check_acknowledged(uploader.id, uploader.acknowledged)
        await setup.inspector.check_file(setup.server, uploader.id, uploader.data)
    await setup.check_nothing_left(crashed=True)


FAULT = Fault(
    name="mongod-killed",
    title="mongod killed under load",
    how="SIGKILL while three uploads store pieces; started again by the test, in every tenth "
    "trial by the server whose embedded mongod it is",
    holds="no acknowledged piece lost, uploads go on by themselves",
    trials=100,
    quick=10,
    few=2,
    setup=setup,
    trial=trial,
)
