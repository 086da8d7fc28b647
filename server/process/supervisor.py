"""Several server processes on one port: starts them, watches over them, and ends them.

The supervisor starts the embedded mongod, opens a listening socket for each worker, and holds the
table in which the workers count their connections. `worker.py` serves the requests.

All sockets listen on the same port, and the kernel spreads connections over them. They stay open
here, so that connections to a worker that died wait for the next one. Each worker reads from a pipe
whose other end is here: when this process ends, for whatever reason, the pipe ends, and the worker
drains and ends.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from lading.server.metrics import processes
from lading.server.net.connection_counts import ConnectionCounts, prepare, table_size
from lading.server.settings import Settings
from lading.storage.embedded.process import EmbeddedMongo

log = structlog.get_logger()

LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0
"""A worker that lived longer than this is started again at once."""

END_SECONDS = 10.0
"""How long a worker may take to end after its drain."""


class WorkerFailed(Exception):
    """A worker ended before it was ready, and printed why."""


@dataclass(slots=True)
class Worker:
    """A process, and the pipe that keeps it alive."""

    process: asyncio.subprocess.Process
    lifeline: int
    started: float

    def dismiss(self) -> None:
        """Let it drain and end."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1


class Workers:
    """The workers of one server, one for each listening socket."""

    def __init__(
        self,
        settings: Settings,
        listeners: list[socket.socket],
        url: str,
        metrics: socket.socket | None = None,
    ) -> None:
        """`url` is the database's address, `metrics` the socket for those who read metrics."""
        self._settings = settings
        self._listeners = listeners
        self._url = url
        self._workers: dict[int, Worker] = {}
        self._ending = False
        count = len(listeners)
        # No `with`: the workers use the file while they live; `end` closes it.
        self._file = tempfile.TemporaryFile(prefix="lading-")  # noqa: SIM115
        self._file.truncate(table_size(count))
        self._map = mmap.mmap(self._file.fileno(), table_size(count))
        prepare(memoryview(self._map))
        self._connection_counts = ConnectionCounts(memoryview(self._map), processes=count)
        self._metrics = metrics
        self._numbers = processes.make_directory()
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all and wait until they serve; raises WorkerFailed. Call `end` in any case."""
        numbers = range(len(self._listeners))
        await asyncio.gather(*(self._start(number) for number in numbers))
        self._keepers = [asyncio.create_task(self._keep(number)) for number in numbers]

    async def end(self) -> None:
        """Every worker drains and ends; those that take too long are killed."""
        self._ending = True
        for listener in (*self._listeners, *self._for_metrics):
            listener.close()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for worker in self._workers.values():
            worker.dismiss()
        waits = [asyncio.ensure_future(each.process.wait()) for each in self._workers.values()]
        if waits:
            await asyncio.wait(waits, timeout=self._settings.drain_seconds + END_SECONDS)
            self.kill()
            await asyncio.gather(*waits)
        self._file.close()
        shutil.rmtree(self._numbers, ignore_errors=True)

    @property
    def _for_metrics(self) -> tuple[socket.socket, ...]:
        return () if self._metrics is None else (self._metrics,)

    def kill(self) -> None:
        """Kill them at once."""
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                worker.process.kill()

    async def _start(self, number: int) -> None:
        """Start a worker and wait until it serves; raises WorkerFailed."""
        end, lifeline = os.pipe()
        ready, tell = os.pipe()
        listener = self._listeners[number].fileno()
        given = (listener, self._file.fileno(), end, tell)
        job: dict[str, int | None] = {"number": number, "count": len(self._listeners)}
        job |= dict(zip(("listener", "connection_counts", "lifeline", "ready"), given, strict=True))
        shared = tuple(each.fileno() for each in self._for_metrics)
        job["metrics"] = shared[0] if shared else None
        # -P: the current directory may hold a `json.py` of the operator's own.
        command = [sys.executable, "-P", "-m", "lading.server.process.worker", json.dumps(job)]
        environment = os.environ | {
            "LADING_DATABASE_URL": self._url,
            processes.DIRECTORY: self._numbers,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, pass_fds=(*given, *shared)
            )
        except BaseException:
            os.close(ready)
            os.close(lifeline)
            raise
        finally:
            os.close(end)
            os.close(tell)
        loop = asyncio.get_running_loop()
        self._workers[number] = Worker(process, lifeline, loop.time())
        if not await _told(ready):
            await process.wait()
            raise WorkerFailed

    async def _keep(self, number: int) -> None:
        """Start a worker again whenever it ends, after a pause that grows while it keeps ending."""
        loop, pause = asyncio.get_running_loop(), 0.0
        while True:
            worker = self._workers[number]
            code = await worker.process.wait()
            if self._ending:
                return
            worker.dismiss()
            self._connection_counts.clear(number)
            processes.forget(self._numbers, number)
            steady = loop.time() - worker.started > STEADY_SECONDS
            pause = 0.0 if steady else min(max(2 * pause, 0.1), LONGEST_PAUSE)
            log.error("worker-ended", number=number, code=code, again_in=pause)
            await asyncio.sleep(pause)
            with suppress(WorkerFailed):
                await self._start(number)


async def _told(ready: int) -> bool:
    """Wait for the byte that a worker writes when it serves; False if it ends before."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[bool] = loop.create_future()

    def read() -> None:
        loop.remove_reader(ready)
        if not found.done():
            found.set_result(os.read(ready, 1) != b"")

    loop.add_reader(ready, read)
    try:
        return await found
    finally:
        loop.remove_reader(ready)
        os.close(ready)


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The database's address: from the settings, or of a private one that is started here."""
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            yield settings.database_url
            return
        embedded = EmbeddedMongo(settings.data, mongod=settings.mongod)
        stack.push_async_callback(embedded.stop)
        yield await embedded.start()


async def serve_together(
    settings: Settings,
    listeners: list[socket.socket],
    ready: Callable[[], None],
    metrics: socket.socket | None = None,
) -> None:
    """Serve with a worker for each socket until SIGTERM or SIGINT; a second one kills them.

    Calls `ready` when all serve. Raises WorkerFailed, EmbeddedError.
    """
    async with database(settings) as url:
        workers = Workers(settings, listeners, url, metrics)
        told = _signals(workers)
        try:
            if await _before(told, workers.start()):
                ready()
                await told.wait()
        finally:
            await workers.end()


def _signals(workers: Workers) -> asyncio.Event:
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def hear() -> None:
        if told.is_set():
            workers.kill()
        told.set()

    for kind in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(kind, hear)
    return told


async def _before(told: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work was done before the event came; if not, it is cancelled."""
    tasks = [asyncio.create_task(work), asyncio.create_task(told.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not told.is_set():
            await tasks[0]
        return not told.is_set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
