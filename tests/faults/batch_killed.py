"""A server is killed while hundreds of tiny files go to it, many of them in each request.

`lading.Client` sends them as `lading put` does. The kill strikes at a byte of what is sent, or a
moment after it: then their writes are under way, those of several files in one operation.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from lading import Client
from lading.client.backoff import Timing
from lading.protocol.batch import MOST_FILES
from tests.faults.fault import Fault, Trial
from tests.faults.processes import TOKEN
from tests.faults.proxy import at, whole
from tests.faults.setups import Setup, one_server

LARGEST = 3000

AROUND = 200
"""About what is said of a file beside its bytes."""

MOMENT = 0.1
"""Seconds in which a server here stores a batch."""


async def trial(setup: Setup, trial: Trial) -> None:
    random, directory = trial.random, f"batch-{trial.number}"
    count = random.randint(2, MOST_FILES + 50)
    files = {f"{n}.bin": random.randbytes(random.randint(0, LARGEST)) for n in range(count)}
    size = sum(map(len, files.values())) + count * AROUND
    wait = random.choice((0.0, random.random() * MOMENT))
    victim, successor = setup.server, await setup.servers.spare()
    killed = False

    async def strike() -> None:
        nonlocal killed
        await asyncio.sleep(wait)  # the writes go on: this is what is tried, and not a wait for it
        killed = True
        setup.servers.kill(victim)
        setup.proxy.target = successor.port

    setup.proxy.target = victim.port
    setup.proxy.usual = (at(random.randrange(size), strike), whole)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), files)
        sent = await _put(setup, Path(folder), directory, list(files), Timing(random=random.random))
    if not killed:  # all was there already: then that must survive
        setup.servers.kill(victim)
        setup.proxy.target = successor.port
    setup.server = successor
    async with Client(successor.url, TOKEN) as client:
        there = [(each.name, each.id) async for each in client.list(directory=directory)]
    assert sorted(there) == sorted(sent.items()), "each is there once, under the id that was told"
    for name in random.sample(sorted(files), min(count, 20)):
        await setup.inspector.check_file(successor, sent[name], files[name])
    await setup.check_nothing_left(crashed=True)
    await setup.inspector.clear()


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


async def _put(
    setup: Setup, folder: Path, directory: str, names: list[str], timing: Timing
) -> dict[str, str]:
    """Send the files at once; the id of each."""
    async with Client(setup.proxy.url, TOKEN, patience=60.0, timing=timing) as client:
        listing = client.listing({directory: names})
        uploads = [
            client.upload(folder / name, one_request=True, directory=directory, listing=listing)
            for name in names
        ]
        files = await asyncio.gather(*uploads)
    return {name: file.id for name, file in zip(names, files, strict=True)}


FAULT = Fault(
    name="batch-killed",
    title="server killed while tiny files go together",
    how="SIGKILL when a random byte of up to 300 files has reached it, or a moment later; another "
    "process goes on",
    holds="each file is there once, under the id that its client was told, with its bytes; nothing "
    "else is left, the account is exact",
    trials=200,
    quick=20,
    few=2,
    setup=one_server,
    trial=trial,
)
