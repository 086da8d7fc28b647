"""Real servers for the tests: each is `lading serve` itself, in a process of its own or in the
test's own loop. Knows how they are started and watched, and nothing of what they answer."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lading.imaging.made import Maker
from lading.server.app import create_app
from lading.server.limits import USUAL_LIMITS, Limits
from lading.server.process.serve import Note, address, listen
from lading.server.process.server import Server, configuration
from lading.server.services import Services
from lading.server.settings import load
from lading.storage.database import persist
from tests.support.usual_home import usual_home

READY_SECONDS = 30.0

NOWHERE = "mongodb://%2Fnowhere.sock"
"""No database is there. A socket's path, since PyMongo loses the socket of a TCP connection that it
gives up while it is being made."""

PROGRAM = "from lading.server.process.serve import serve; raise SystemExit(serve())"

IMPATIENT = "from lading.storage.database import persist; persist.__defaults__ = (0.1,)"
"""Python that runs before it: a database that is away is asked for 0.1 seconds instead of 20."""


def give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process."""
    monkeypatch.setattr(persist, "__defaults__", (0.1,))


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `condition` holds, by looking."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Running:
    """A server that takes requests."""

    url: str
    token: str | None
    data: Path

    @property
    def channel(self) -> str:
        """Where the WebSocket channel is."""
        return self.url.replace("http", "ws", 1) + "/v1/ws"

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A client that shows the server's token."""
        return httpx.AsyncClient(
            base_url=self.url, headers=self.headers, trust_env=False, **{"timeout": 30, **options}
        )


@dataclass(frozen=True)
class Process(Running):
    """A server in a process of its own."""

    child: subprocess.Popen[bytes]
    log: Path

    def forget_peak(self) -> None:
        """From here on `peak` measures."""
        Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")

    @property
    def peak(self) -> int:
        """The most memory that the process had resident since `forget_peak`, in bytes."""
        return self._memory("VmHWM")

    @property
    def resident(self) -> int:
        """The memory that the process has resident, in bytes."""
        return self._memory("VmRSS")

    @property
    def worked(self) -> float:
        """The seconds of a processor that the process has used; exact to a hundredth."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self, name: str) -> int:
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0]) * 1024
        raise AssertionError(f"no {name}: the server ended\n{self.log.read_text()}")


@contextmanager
def process(
    data: Path,
    database_url: str | None,
    *,
    folder: Any = None,
    python: Any = sys.executable,
    **settings: object,
) -> Iterator[Process]:
    """Run a server; `settings` are named like the variables, without `LADING_`, in lower case.

    Without a `database_url` it has a database of its own. It runs in `folder`, or in this one; a
    server of another version is that of another `python`.
    """
    chosen = {"data": data, "port": 0, "database_url": database_url, **settings}
    if database_url is not None:
        chosen.setdefault("blobs", usual_home(database_url))
    own = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    given = {name: value for name, value in chosen.items() if value is not None}
    own |= {f"LADING_{name.upper()}": str(value) for name, value in given.items()}
    data.mkdir(parents=True, exist_ok=True)
    log = data / "output"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [python, "-P", "-c", PROGRAM],
            cwd=folder,
            env=own,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        note = _ready(child, data / "server.json", log)
        yield Process(note["url"], note["token"], data, child, log)
    finally:
        child.terminate()
        try:
            child.wait(15)
        finally:
            child.kill()
            child.wait()


def _ready(child: subprocess.Popen[bytes], note: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while not note.exists():
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
    found: dict[str, Any] = json.loads(note.read_text())
    return found


@dataclass(frozen=True)
class Inside(Running):
    """A server in the test's own loop, with its parts open to view."""

    services: Services
    server: Server
    served: asyncio.Task[None]
    note: Note

    async def stop(self) -> None:
        """End it as a signal does."""
        self.server.should_exit = True
        await self.served
        self.note.remove()


@asynccontextmanager
async def inside(
    data: Path,
    database_url: str | None = None,
    *,
    client: Any = None,
    clock: Callable[[], float] = time.time,
    limits: Limits = USUAL_LIMITS,
    maker: Maker | None = None,
    **settings: object,
) -> AsyncIterator[Inside]:
    """Run a server in this loop; `settings` are named like the fields of `Settings`."""
    if database_url is not None:
        settings.setdefault("blobs", usual_home(database_url))
    chosen = load(data=data, port=0, database_url=database_url, **settings)
    (listener,) = listen(chosen)
    note = Note(chosen, address(listener))
    config = configuration(
        create_app(chosen, client=client, clock=clock, limits=limits, maker=maker),
        chosen.trusted_proxies,
    )
    server = Server(config, chosen, note.write)
    served = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started or served.done())
    if served.done():
        served.result()
    told = json.loads((data / "server.json").read_text())
    services: Services = server.lifespan.state["services"]
    running = Inside(told["url"], told["token"], data, services, server, served, note)
    try:
        yield running
    finally:
        await running.stop()
