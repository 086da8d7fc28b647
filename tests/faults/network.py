"""Network cut, stalled, trickled, corrupted, by a proxy between the client and the server.

All trials of a batch run at once, each on connections of its own, since what is stalled takes as
long as the server's deadlines: 5 s for HELLO, 20 s for a long message, 60 s for silence.
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
from tests.faults.uploader import Uploader
from tests.faults.worlds import CHUNK, World, send, serving, some_bytes
from tests.support.servers import until

LARGE = 4 * CHUNK
"""The cells: large enough for messages that need a share of the byte budget."""

SILENT_SECONDS = 60.0
LATE_SECONDS = 15.0
"""How long after its deadline a stalled connection may be seen to be closed."""

GREETING = 330
"""So many bytes a client sends until its HELLO is whole, and a few less."""

FLIPS = 2

BUDGET = 32 * 2**20
ROOM = 2 * BUDGET
"""What a server may grow by in bytes, however many connections there were."""


@dataclass
class Network:
    """A world, the memory of its server at first, and the digests of all files that were sent."""

    world: World
    resident: int
    sent: set[str] = field(default_factory=set)


@asynccontextmanager
async def world(base: Base, folder: Path) -> AsyncIterator[Network]:
    url = base.database(folder.name)
    async with serving(url, folder, chunk_size=LARGE, byte_budget=BUDGET) as made:
        yield Network(made, made.server.resident)


async def trial(network: Network, trial: Trial) -> None:
    """One kind of trouble for each number."""
    world, random = network.world, trial.random
    kinds = (cut_off, stalled, trickled, corrupted)
    data = some_bytes(random)
    network.sent.add(hashlib.sha256(data).hexdigest())
    async with Proxy(world.server.port) as proxy:
        made = World(world.vault, world.servers, proxy, world.server)
        file_id = await kinds[trial.number % len(kinds)](made, trial, data)
    await world.vault.whole(world.server, file_id, data)


async def settle(network: Network) -> None:
    """Nothing is left over, no file is one that nobody sent, and the server did not grow."""
    world = network.world
    await world.sound()
    for upload_id, state in (await world.vault.states()).items():
        if state == "ready":
            assert await world.vault.digest(upload_id) in network.sent
    await world.vault.clear()
    grown = world.server.resident - network.resident
    assert grown <= ROOM, f"the server grew by {grown >> 20} MiB"


async def by_client(world: World, trial: Trial, data: bytes) -> str:
    file = await send(world.proxied, data, f"network-{trial.number}", random=trial.random)
    return file.id


async def by_hand(world: World, trial: Trial, data: bytes, patience: float = 20) -> str:
    growing = trial.random.random() < 0.3
    uploader = Uploader(data, f"network-{trial.number}", trial.random, growing=growing)
    await uploader.run(lambda: world.proxied, patience=patience)
    await world.vault.keeps(uploader.id, uploader.acknowledged)
    return uploader.id


async def cut_off(world: World, trial: Trial, data: bytes) -> str:
    """Cut in either direction, several times, sometimes after a few bytes only."""
    random = trial.random
    for _ in range(random.randint(1, 4)):
        if random.random() < 0.7:
            most = min(len(data) + 1000, 10 ** random.randint(2, 7))
            world.proxy.plans.append((cut(random.randrange(most)), whole))
        else:
            world.proxy.plans.append((whole, cut(random.randrange(1500))))
    either = random.choice((by_client, by_hand))
    return await either(world, trial, data)


async def stalled(world: World, trial: Trial, data: bytes) -> str:
    """Nothing passes any more from some byte on, and nobody closes but the server.

    In the greeting, in the first piece, or anywhere. The upload is finished on another connection
    meanwhile.
    """
    most = (GREETING, GREETING + LARGE, GREETING + len(data))[trial.number // 4 % 3]
    place = trial.random.randrange(min(most, GREETING + len(data)))
    world.proxy.plans.append(freeze(place))
    file_id = await by_hand(world, trial, data, patience=2)
    link = world.proxy.links[0]
    await until(lambda: link.ended_by_server is not None, SILENT_SECONDS + LATE_SECONDS)
    return file_id


async def trickled(world: World, trial: Trial, data: bytes) -> str:
    """A slow line, in small packets: slow is not silent."""
    random = trial.random
    size = random.randint(50, 1400)
    pause = size * random.uniform(0.5, 4.0) / len(data)
    world.proxy.usual = (trickle(size, pause), trickle(random.randint(1, 20), 0.001))
    either = random.choice((by_client, by_hand))
    return await either(world, trial, data)


async def corrupted(world: World, trial: Trial, data: bytes) -> str:
    """A bit flips on the way there or back, on one connection or two.

    What does not break the connection is refused, or makes the client begin again; when it gives
    up, its user runs it again on a network that is whole.
    """
    random = trial.random
    for _ in range(random.randint(1, FLIPS)):
        # Of the client's connections the first asks over HTTP what is there already.
        world.proxy.plans += [CLEAR] * random.randint(0, 1)
        if random.random() < 0.7:
            plan: Plan = (flip(random.randrange(8 * (len(data) + 600))), whole)
        else:
            plan = (whole, flip(random.randrange(8 * 1200)))
        world.proxy.plans.append(plan)
    try:
        told = await by_client(world, trial, data)
    except LadingError:
        world.proxy.plans.clear()
        told = await by_client(world, trial, data)
    # Nothing sums what the server says (that is for TLS): on its way the id itself may be hit.
    stored = await world.vault.files(hashlib.sha256(data).hexdigest())
    meant = [file_id for file_id in stored if differing_bits(file_id, told) <= FLIPS]
    assert meant, f"told of {told!r}, stored are {stored}"
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
    world=world,
    trial=trial,
    settle=settle,
    at_once=100,
    seconds=400.0,
)
