"""Network cut, stalled, trickled, corrupted by a proxy between the client and the server.

All trials of a batch run at once, each on its own connections, since a stalled one takes as long
as the server's deadlines: 5 s for HELLO, 20 s for a long message, 60 s for silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lading.protocol.errors import LadingError
from tests.faults.fault import Base, Fault, Trial
from tests.faults.proxy import CLEAR, Plan, Proxy, cut, flip, freeze, trickle, whole
from tests.faults.setups import CHUNK, Setup, send, serving, some_bytes
from tests.faults.uploader import Uploader
from tests.support.servers import until

LARGE = 4 * CHUNK
"""The cells: large enough for messages that need a share of the byte budget."""

SILENT_SECONDS = 60.0
LATE_SECONDS = 15.0
"""How long after its deadline a stalled connection may be seen to be closed."""

HELLO_BYTES = 330
"""About how many bytes a client sends until its HELLO is complete."""

FLIPS = 2

BUDGET = 32 * 2**20
GROWTH = 2 * BUDGET
"""The most bytes by which a server may grow, however many connections there were."""


@dataclass
class Network:
    """A setup, the memory of its server at first, and the digests of all files that were sent."""

    setup: Setup
    resident: int
    sent: set[str] = field(default_factory=set)


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Network]:
    url = base.database(folder.name)
    async with serving(url, folder, chunk_size=LARGE, byte_budget=BUDGET) as made:
        yield Network(made, made.server.resident)


async def trial(network: Network, trial: Trial) -> None:
    """One kind of trouble for each number."""
    setup, random = network.setup, trial.random
    kinds = (cut_off, stalled, trickled, corrupted)
    data = some_bytes(random)
    network.sent.add(hashlib.sha256(data).hexdigest())
    async with Proxy(setup.server.port) as proxy:
        made = Setup(setup.inspector, setup.servers, proxy, setup.server)
        file_id = await kinds[trial.number % len(kinds)](made, trial, data)
    await setup.inspector.check_file(setup.server, file_id, data)


async def settle(network: Network) -> None:
    """Nothing is left over, no file is one that nobody sent, and the server did not grow."""
    setup = network.setup
    await setup.check_nothing_left()
    for upload_id, state in (await setup.inspector.states()).items():
        if state == "ready":
            assert await setup.inspector.digest(upload_id) in network.sent
    await setup.inspector.clear()
    grown = setup.server.resident - network.resident
    assert grown <= GROWTH, f"the server grew by {grown >> 20} MiB"


async def by_client(setup: Setup, trial: Trial, data: bytes) -> str:
    file = await send(setup.proxied, data, f"network-{trial.number}", random=trial.random)
    return file.id


async def by_hand(setup: Setup, trial: Trial, data: bytes, patience: float = 20) -> str:
    growing = trial.random.random() < 0.3
    uploader = Uploader(data, f"network-{trial.number}", trial.random, growing=growing)
    await uploader.run(lambda: setup.proxied, patience=patience)
    await setup.inspector.check_acknowledged(uploader.id, uploader.acknowledged)
    return uploader.id


async def cut_off(setup: Setup, trial: Trial, data: bytes) -> str:
    """Cut in either direction, several times, sometimes after only a few bytes."""
    random = trial.random
    for _ in range(random.randint(1, 4)):
        if random.random() < 0.7:
            most = min(len(data) + 1000, 10 ** random.randint(2, 7))
            setup.proxy.plans.append((cut(random.randrange(most)), whole))
        else:
            setup.proxy.plans.append((whole, cut(random.randrange(1500))))
    either = random.choice((by_client, by_hand))
    return await either(setup, trial, data)


async def stalled(setup: Setup, trial: Trial, data: bytes) -> str:
    """From some byte on nothing passes any more, and only the server closes.

    In HELLO, in the first piece, or anywhere. The upload is finished on another connection
    meanwhile.
    """
    most = (HELLO_BYTES, HELLO_BYTES + LARGE, HELLO_BYTES + len(data))[trial.number // 4 % 3]
    place = trial.random.randrange(min(most, HELLO_BYTES + len(data)))
    setup.proxy.plans.append(freeze(place))
    file_id = await by_hand(setup, trial, data, patience=2)
    link = setup.proxy.links[0]
    await until(lambda: link.ended_by_server is not None, SILENT_SECONDS + LATE_SECONDS)
    return file_id


async def trickled(setup: Setup, trial: Trial, data: bytes) -> str:
    """A slow line with small packets: slow is not silent."""
    random = trial.random
    size = random.randint(50, 1400)
    pause = size * random.uniform(0.5, 4.0) / len(data)
    setup.proxy.usual = (trickle(size, pause), trickle(random.randint(1, 20), 0.001))
    either = random.choice((by_client, by_hand))
    return await either(setup, trial, data)


async def corrupted(setup: Setup, trial: Trial, data: bytes) -> str:
    """A bit flips on the way there or back, on one connection or two.

    If the connection survives, the piece is refused, or the client starts again; if it gives up, it
    runs again on a good network.
    """
    random = trial.random
    for _ in range(random.randint(1, FLIPS)):
        # The client's first connection asks over HTTP what is already stored.
        setup.proxy.plans += [CLEAR] * random.randint(0, 1)
        if random.random() < 0.7:
            plan: Plan = (flip(random.randrange(8 * (len(data) + 600))), whole)
        else:
            plan = (whole, flip(random.randrange(8 * 1200)))
        setup.proxy.plans.append(plan)
    try:
        reported = await by_client(setup, trial, data)
    except LadingError:
        setup.proxy.plans.clear()
        reported = await by_client(setup, trial, data)
    # The server's messages have no checksum (TLS does that): the id itself may be changed.
    stored = await setup.inspector.files(hashlib.sha256(data).hexdigest())
    meant = [file_id for file_id in stored if differing_bits(file_id, reported) <= FLIPS]
    assert meant, f"reported {reported!r}, stored {stored}"
    return meant[0]


def differing_bits(one: str, other: str) -> int:
    pairs = zip(one.encode(), other.encode("utf-8", "surrogatepass"), strict=False)
    return sum((a ^ b).bit_count() for a, b in pairs) + 8 * abs(len(one) - len(other))


FAULT = Fault(
    name="network",
    title="network cut, stalled, trickled, corrupted",
    how="a TCP proxy: each kind in a quarter of the trials, at random bytes, both directions",
    holds="resume; the server's deadline closes what is stalled; flipped bits are never stored as "
    "the file; memory flat",
    trials=500,
    quick=40,
    few=4,
    setup=setup,
    trial=trial,
    settle=settle,
    at_once=100,
    seconds=400.0,
)
