"""The processes that faults happen to: servers and mongods, started, stopped, killed and paused.

Each is a child that ends when this process ends, in whatever way, and is ended by its own pid.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from lading.storage.embedded.mongod import (
    SMALLEST_CACHE,
    SOCKET_NAME,
    arguments,
    find,
    takes_connections,
)
from tests.support.children import Child, free_port, start
from tests.support.servers import Process, until

START_SECONDS = 60.0
STOP_SECONDS = 60.0
TOKEN = "the-token-of-all-servers-of-the-faults"

COMMAND = "from lading.cli import main; main()"
PROGRAM = "from lading.server.process.serve import serve; raise SystemExit(serve())"


def kill(child: Child) -> None:
    """End a child at once, also one that is stopped or has ended."""
    child.kill()
    child.wait()


async def ended(child: Child, seconds: float = STOP_SECONDS) -> int:
    """Wait for a child to end by itself; its exit code."""
    await until(lambda: child.poll() is not None, seconds)
    assert child.returncode is not None
    return child.returncode


async def stop(child: Child) -> int:
    """Ask a child to end and wait for it; its exit code."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        child.send_signal(number)
    return await ended(child)


def clean_environment(**settings: object) -> dict[str, str]:
    """The environment with no settings of Lading but these, named without `LADING_`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    return own | {f"LADING_{name.upper()}": str(value) for name, value in settings.items()}


async def command(
    *words: str, before: str = "", **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a command of `lading` to its end; `before` is Python that runs before all else."""
    program = [sys.executable, "-c", f"{before}\n{COMMAND}", *words]
    return await asyncio.to_thread(
        subprocess.run,
        program,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )


class Servers:
    """Server processes on one database, with one token: each can continue for any other.

    `settings` are named like the variables, without `LADING_`, in lower case.
    """

    def __init__(self, folder: Path, database_url: str | None, **settings: object) -> None:
        self.url = database_url
        self.settings = settings
        self.running: list[Process] = []
        self._folder = folder
        self._numbers = itertools.count(1)
        self._spare: asyncio.Task[Process] | None = None
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._spare is not None:
            self._spare.cancel()
            await asyncio.gather(self._spare, return_exceptions=True)
        for child in self._children:
            # One with a database of its own must end it; no other has anything to lose.
            if self.url is None and child.poll() is None:
                await stop(child)
            kill(child)

    async def start(self, *, before: str = "", **settings: object) -> Process:
        """One more server; `before` is Python that runs in its process before all else."""
        data = self._folder / f"server{next(self._numbers)}"
        data.mkdir(mode=0o700, parents=True)
        (data / "admin-token").write_text(TOKEN)
        chosen: dict[str, object] = {"data": data, "port": 0, **self.settings, **settings}
        if self.url is not None:
            chosen["database_url"] = self.url
        log = data / "output"
        program = [sys.executable, "-c", f"{before}\n{PROGRAM}"]
        child = start(program, log, clean_environment(**chosen))
        self._children.append(child)
        note = data / "server.json"
        await until(lambda: note.exists() or child.poll() is not None, START_SECONDS)
        assert child.poll() is None, log.read_text()
        found: dict[str, Any] = json.loads(note.read_text())
        server = Process(found["url"], found["token"], data, child, log)
        self.running.append(server)
        return server

    async def spare(self, *, before: str = "") -> Process:
        """A server that was started in the background; the next one begins to start.

        `before` is the same each time.
        """
        if self._spare is None:
            self._spare = asyncio.create_task(self.start(before=before))
        spare = await self._spare
        self._spare = asyncio.create_task(self.start(before=before))
        return spare

    def check_logs(self) -> None:
        """No server logged an unexpected error."""
        for log in sorted(self._folder.glob("server*/output")):
            text = log.read_text()
            assert '"event": "fault"' not in text, text
            assert "Traceback" not in text, text

    def kill(self, server: Process) -> None:
        """End a server as a power cut would."""
        kill(server.child)
        self.running.remove(server)


SOON = [
    *("--setParameter", "oplogInitialFindMaxSeconds=5"),
    *("--setParameter", "oplogNetworkTimeoutBufferSeconds=2"),
    *("--setParameter", "maxSyncSourceLagSecs=10"),
]
"""What docs/operations.md recommends for a set: how soon a member gives up another that hangs."""


class Mongod:
    """A private mongod, started again on the same data as often as it is killed.

    On a unix socket in `folder`, whose path must be short; with `replica_set`, on a TCP port.
    `database` is where its files are, if not in `folder`.
    """

    def __init__(
        self, folder: Path, *, database: Path | None = None, replica_set: str | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.child: Child | None = None
        self.log = folder / "mongod.log"
        self._database = database or folder / "db"
        self._database.mkdir(exist_ok=True)
        self._socket = folder / SOCKET_NAME
        self._replica_set = replica_set
        self.port = free_port() if replica_set else 0

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self.child is not None:
            kill(self.child)

    @property
    def host(self) -> str:
        """How the members of a replica set call it."""
        return f"127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        """The address of a database that it holds."""
        return f"mongodb://{quote(str(self._socket), safe='')}/{name}?directConnection=true"

    def _arguments(self) -> list[str]:
        usual = arguments(
            database=self._database,
            log=self.log,
            address=self._socket,
            cache_bytes=SMALLEST_CACHE,
        )
        if self._replica_set is None:
            return usual
        usual[usual.index("--bind_ip") + 1] = "127.0.0.1"
        return [*usual, "--port", str(self.port), "--replSet", self._replica_set, *SOON]

    def _is_up(self) -> bool:
        if self._replica_set is None:
            return takes_connections(self._socket)
        return _listens(self.port)

    async def start(self) -> None:
        """Start it and wait until it takes connections."""
        await self.begin()
        assert self.child is not None
        if self.child.poll() is not None:
            raise AssertionError(self.log.read_text()[-3000:])

    async def begin(self) -> None:
        """Start it; returns when it takes connections, or has ended."""
        child = self.child = start([str(find()), *self._arguments()], self.log)
        await until(lambda: self._is_up() or child.poll() is not None, START_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.child is not None
        kill(self.child)

    def pause(self) -> None:
        """Stop it where it is; its connections stay open."""
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)

    def unpause(self) -> None:
        """Let it continue."""
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)


def _listens(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.connect(("127.0.0.1", port))
        return True
    return False
