"""The embedded database: a private mongod child that makes `lading serve` one command.

The process is started on a unix socket in the data directory, started again when it ends by itself,
and ended with the server. To `storage/database.py` it is one more URL.

How the two processes are tied:
- The data directory's lock comes first. A second mongod on the same directory would remove the
  socket of the first before it notices, so nothing is started without the lock.
- A mongod that outlived a killed server (it ends by itself, by the death signal that
  `launch.py` asks for) is waited for before another one is started.
- The child has a session of its own: Ctrl-C in a terminal reaches the server only, which drains
  and then stops the child. A service manager that signals every process of a service does not
  wait for that; systemd needs `KillMode=mixed`.
- `start` belongs in the thread that lives as long as the server, see `launch.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import structlog

from lading.storage.embedded import launch
from lading.storage.embedded.data_directory import LOG_LIMIT, DataDirectory
from lading.storage.embedded.mongod import (
    SMALLEST_CACHE,
    EmbeddedError,
    arguments,
    explain,
    find,
    predecessor,
    serves,
    takes_connections,
)

__all__ = ["EmbeddedError", "EmbeddedLimits", "EmbeddedMongo"]


@dataclass(frozen=True, slots=True)
class EmbeddedLimits:
    """What starting and ending mongod may take. Times are seconds."""

    ready_seconds: float = 60.0
    """While it starts, mongod must answer or write to its log within this time."""
    recovery_seconds: float = 600.0
    """The longest start while the log grows: recovery after a crash takes time."""
    stop_seconds: float = 30.0
    """How long mongod may take to end after SIGTERM; then it is killed."""
    first_delay: float = 0.1
    """The pause before mongod is started again. It doubles up to `last_delay`."""
    last_delay: float = 10.0
    settled_seconds: float = 30.0
    """After this time without an end the pause is the first one again."""
    log_check_seconds: float = 60.0
    """How often the size of the log is checked."""
    log_limit: int = LOG_LIMIT
    """The log is put aside when it is larger than this, in bytes."""
    little_room: int = 128 * 2**20
    """With less free space, in bytes, mongod may not start, and a full disk hides the reason."""
    poll_seconds: float = 0.02


USUAL_LIMITS = EmbeddedLimits()

log = structlog.get_logger(__name__)


class EmbeddedMongo:
    """A private mongod on a data directory.

    `async with EmbeddedMongo(data) as mongo: connect(mongo.url)`. `url` is empty while it is not
    started. `failure` is None while mongod is up, else it says why it is down at the moment; it
    keeps being started again until `stop`.
    """

    def __init__(
        self,
        data: Path,
        *,
        mongod: str | None = None,
        cache_bytes: int = SMALLEST_CACHE,
        limits: EmbeddedLimits = USUAL_LIMITS,
    ) -> None:
        """`mongod` is a path or a name on PATH instead of the one that would be found;
        `cache_bytes` is WiredTiger's cache, at least 256 MiB (ValueError)."""
        if cache_bytes < SMALLEST_CACHE:
            raise ValueError(f"mongod takes no cache under {SMALLEST_CACHE} bytes")
        self.url = ""
        self.failure: str | None = None
        self._limits = limits
        self._directory = DataDirectory(data, limits.log_limit)
        self._explicit = mongod
        self._cache_bytes = cache_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id of the mongod that runs now, if one does."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def __aenter__(self) -> EmbeddedMongo:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> str:
        """Start mongod and wait until it takes connections; the URL to connect to.

        EmbeddedError when there is no mongod, when another server holds the data directory, or
        when mongod does not come up; nothing is left running then.
        """
        program = find(self._explicit)
        self._directory.claim()
        self._stopping.clear()
        try:
            await self._end_predecessor()
            await self._launch(program)
            await self._until_ready()
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError(f"mongod cannot be started: {error}") from error
            raise
        self._supervisor = asyncio.create_task(self._supervise(program), name="embedded mongod")
        self.url = _url(self._directory.socket)
        log.info("mongod is up", pid=self.pid, socket=str(self._directory.socket))
        return self.url

    async def stop(self) -> None:
        """End mongod and free the data directory; does nothing when nothing is started.

        mongod gets SIGTERM and up to `stop_seconds` to write what it holds, then SIGKILL. Not to be
        called while `start` runs: cancel that, and it cleans up.
        """
        self._stopping.set()
        await self._end()
        if self._supervisor is not None:
            await asyncio.wait([self._supervisor])
            await self._end()  # it may have been starting one
        self._directory.release()
        self._supervisor = None
        self.url = ""
        self.failure = None

    async def _end_predecessor(self) -> None:
        database, log_path = self._directory.database, self._directory.log
        pid = predecessor(database, log_path)
        if pid is None:
            return
        log.warning("waiting for the mongod of an earlier server to end", pid=pid)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = _now() + self._limits.stop_seconds
            while _now() < deadline:
                if not serves(pid, database, log_path):
                    return
                await asyncio.sleep(self._limits.poll_seconds)
        raise EmbeddedError(f"The mongod of an earlier server (pid {pid}) does not end.")

    async def _launch(self, program: Path) -> None:
        directory = self._directory
        command = arguments(
            database=directory.database,
            log=directory.log,
            address=directory.socket,
            cache_bytes=self._cache_bytes,
        )
        output = directory.open_log()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", launch.__file__),
                *(str(os.getpid()), str(program), *command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)

    async def _until_ready(self) -> None:
        """Wait until mongod takes connections; EmbeddedError when it ends or does not move."""
        process = self._process
        assert process is not None
        last, seen, moved = _now() + self._limits.recovery_seconds, -1, _now()
        while process.returncode is None:
            if takes_connections(self._directory.socket):
                return
            size = self._directory.log_size()
            if size != seen:
                seen, moved = size, _now()
            if _now() > min(last, moved + self._limits.ready_seconds):
                raise EmbeddedError(f"mongod does not answer; its log is {self._directory.log}.")
            await asyncio.sleep(self._limits.poll_seconds)
        raise EmbeddedError(self._why_it_ended())

    def _why_it_ended(self) -> str:
        returncode = self._process.returncode if self._process is not None else None
        lines = [explain(self._directory.log_since_open(), returncode)]
        free = self._directory.free_bytes()
        if free is not None and free < self._limits.little_room:
            lines.append(f"only {free >> 20} MiB are free on its disk, and it needs room to start")
        return "\n  ".join([*lines, f"its log: {self._directory.log}"])

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._limits.stop_seconds)
        except TimeoutError:
            log.error("mongod did not end in time and is killed", pid=process.pid)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _supervise(self, program: Path) -> None:
        """Start mongod again whenever it ends by itself, until `stop`."""
        delay, since, reason = self._limits.first_delay, _now(), None
        while True:
            if reason is None:
                if not await self._ended_by_itself():
                    return
                reason = self._why_it_ended()
                if _now() - since > self._limits.settled_seconds:
                    delay = self._limits.first_delay
            if self._stopping.is_set():
                return
            self.failure = reason
            log.error("mongod is down and will be started again", reason=reason, seconds=delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
                return
            delay = min(2 * delay, self._limits.last_delay)
            since, reason = _now(), await self._start_again(program)
            if reason is None:
                self.failure = None
                log.info("mongod is up again", pid=self.pid)

    async def _start_again(self, program: Path) -> str | None:
        """One attempt; the reason when it failed. No process is left then."""
        try:
            await self._launch(program)
            await self._until_ready()
        except (EmbeddedError, OSError) as error:
            await self._end()
            return str(error)
        return None

    async def _ended_by_itself(self) -> bool:
        """Wait until mongod ends or `stop` is called; whether it was the former."""
        process = self._process
        assert process is not None
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not ended.done() and not stopping.done():
                await asyncio.wait(
                    {ended, stopping},
                    timeout=self._limits.log_check_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not ended.done() and self._directory.put_log_aside():
                    with suppress(ProcessLookupError):
                        process.send_signal(signal.SIGUSR1)  # mongod opens its log anew
            return not self._stopping.is_set()
        finally:
            ended.cancel()
            stopping.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()


def running(data: Path) -> str | None:
    """The URL of the mongod that a server on this data directory runs now; None when none does."""
    place = DataDirectory(data).socket
    address = place.parent.resolve() / place.name
    return _url(address) if takes_connections(address) else None


def _url(address: Path) -> str:
    return f"mongodb://{quote(os.fsencode(address), safe='')}/?directConnection=true"
