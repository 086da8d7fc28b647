"""SIGTERM mid-upload: two uploads are running when the server is asked to end.

One is by `lading.Client`, one by the uploader that remembers every answer. In three of
four trials another process takes over behind the same proxy at once; in the fourth the server is
started again at the same address, after the first one has ended. In half of the trials the line is
so slow that a piece takes longer than a connection may be silent.
"""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lading import Client
from lading.client.backoff import Timing
from lading.client.types import Progress, State
from lading.client.upload import UploadTask
from tests.faults.fault import Base, Fault, Trial
from tests.faults.processes import TOKEN, ended
from tests.faults.proxy import Gate, at, trickle, whole
from tests.faults.setups import CHUNK, Setup, serving
from tests.faults.uploader import Uploader
from tests.support.servers import Process, Running, until

CELLS = 16
SLOW_CELLS = 4

DRAIN_SECONDS = 10.0
"""The servers' setting: a server must end within it."""

SLOW_SECONDS = 0.8
"""How long a piece takes on a slow line: longer than a draining connection may be silent."""

STEPS = 24
"""In how many parts a piece then arrives."""


@dataclass
class Watched:
    """An upload by `lading.Client`, and whether it noticed that the server stops."""

    data: bytes
    name: str
    upload: UploadTask | None = None
    reasons: list[str] = field(default_factory=list)
    """Why it waited before it connected again."""

    def watch(self, progress: Progress) -> None:
        if progress.state is State.WAITING and progress.reason is not None:
            self.reasons.append(progress.reason)

    @property
    def under_way(self) -> bool:
        """Whether it has a connection on which the upload is open."""
        return self.upload is not None and self.upload.progress.state is State.SENDING

    async def run(self, where: Running, timing: Timing) -> str:
        """The id of the finished file."""
        async with Client(where.url, TOKEN, patience=60, timing=timing) as client:
            what = io.BytesIO(self.data)
            self.upload = client.upload(what, name=self.name, on_progress=self.watch)
            return (await self.upload).id


@dataclass
class Strike:
    """The signal, sent once: when, and which uploads were open then."""

    setup: Setup
    watched: Watched
    uploader: Uploader
    successor: Process | None
    at: float = 0.0
    client_open: bool = False
    uploader_open: bool = False

    def __call__(self) -> None:
        if self.at:
            return  # two connections may reach the byte at once; a second signal ends it at once
        self.at = time.monotonic()
        self.client_open = self.watched.under_way
        self.uploader_open = bool(self.uploader.id) and not self.uploader.file
        self.setup.server.child.send_signal(signal.SIGTERM)
        if self.successor is not None:
            self.setup.proxy.target = self.successor.port


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Setup]:
    url = base.database(folder.name)
    async with serving(url, folder, drain_seconds=DRAIN_SECONDS) as made:
        yield made


async def trial(setup: Setup, trial: Trial) -> None:
    random, victim = trial.random, setup.server
    anew, slow = trial.number % 4 == 3, trial.number % 2 == 0
    most = (SLOW_CELLS if slow else CELLS) * CHUNK
    files = [random.randbytes(random.randint(2 * CHUNK, most)) for _ in range(2)]
    watched = Watched(files[0], f"term-{trial.number}-client")
    growing = random.random() < 0.3
    uploader = Uploader(files[1], f"term-{trial.number}-hand", random, growing=growing)
    successor = None if anew else await setup.servers.spare()
    strike = Strike(setup, watched, uploader, successor)
    gate = at(random.randrange(sum(map(len, files))), strike)
    setup.proxy.target = victim.port
    setup.proxy.usual = (behind(gate, trickle(CHUNK // STEPS, SLOW_SECONDS / STEPS)), whole)
    if not slow:
        setup.proxy.usual = (gate, whole)
    uploads = asyncio.gather(
        watched.run(setup.proxied, Timing(random=random.random)),
        uploader.run(lambda: setup.proxied),
    )
    try:
        await until(lambda: strike.at, 60)
        await gone(setup, victim, strike)
        setup.server = successor or await setup.servers.start(port=victim.port)
        file_id, _ = await uploads
    finally:
        uploads.cancel()
    await check(setup, strike, file_id)


def behind(first: Gate, second: Gate) -> Gate:
    """One gate behind the other."""
    return lambda blocks: second(first(blocks))


async def gone(setup: Setup, victim: Process, strike: Strike) -> None:
    """The server ends in time and with code 0."""
    code = await ended(victim.child, 2 * DRAIN_SECONDS)
    took = time.monotonic() - strike.at
    log = victim.log.read_text()
    assert code == 0, f"the server ended with {code}\n{log}"
    assert took <= DRAIN_SECONDS, f"it took {took:.1f} s"
    assert not any(word in log for word in ('"fault"', '"error"', "Traceback")), log
    setup.servers.running.remove(victim)


async def check(setup: Setup, strike: Strike, file_id: str) -> None:
    """Each open upload got GOAWAY, and all pieces that it had sent were answered."""
    watched, uploader = strike.watched, strike.uploader
    assert watched.upload is not None
    if strike.client_open and watched.upload.connections > 1:
        noticed = any("restarting" in reason for reason in watched.reasons)
        assert noticed, f"the client did not leave by itself: {watched.reasons}"
    if strike.uploader_open and uploader.connections > 1:
        assert uploader.goaways, "no GOAWAY was seen"
    unanswered = [pieces for pieces in uploader.goaways if pieces]
    assert not unanswered, f"pieces in flight were not answered: {unanswered}"
    assert not uploader.refusals, uploader.refusals
    sent, acknowledged = watched.upload.bytes_sent, watched.upload.bytes_acknowledged
    assert (sent, acknowledged) == (len(watched.data), len(watched.data)), "sent twice"
    await setup.inspector.check_acknowledged(uploader.id, uploader.acknowledged)
    for upload_id, data in ((file_id, watched.data), (uploader.id, uploader.data)):
        await setup.inspector.check_file(setup.server, upload_id, data)
    await setup.inspector.check_nothing_left(setup.server)
    await setup.inspector.clear()


FAULT = Fault(
    name="sigterm",
    title="SIGTERM mid-upload",
    how="SIGTERM when a random byte of two uploads has gone by, half of the time on a slow line; "
    "another process takes over, in every fourth trial one at the same address",
    holds="GOAWAY is seen, every piece in flight is acknowledged, none is sent twice, the uploads "
    "go on elsewhere, sha256 equal, exit 0 within LADING_DRAIN_SECONDS",
    trials=100,
    quick=10,
    few=2,
    setup=setup,
    trial=trial,
)
