"""The local driver: its disk is full, a bit of a file flips."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.faults.bit_flip import (
    CELLS,
    REF,
    Context,
    downloaded,
    refused_finish,
    served_right,
    sha256_of,
    store,
)
from tests.faults.bit_flip import Damage as Damaged
from tests.faults.bit_flip import command as verify
from tests.faults.disk_full import REF as FULL_REF
from tests.faults.disk_full import Disk, beside, check, disk, refusals, until_stored
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.setups import CHUNK, Setup, serving
from tests.support.servers import Process
from tests.support.wire import CHUNK as SEND
from tests.support.wire import cells, channel, checksum

MIB = 2**20


def home_of(folder: Path) -> str:
    return f"file://{folder}/home"


# -- disk full

DISK = 48 * MIB
FLOOR = 4 * MIB


@dataclass
class Full:
    """A server that keeps a floor free, and one that does not, on a home with a small disk."""

    careful: Setup
    bold: Process
    disk: Disk


@asynccontextmanager
async def full_setup(base: Base, folder: Path) -> AsyncIterator[Full]:
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(disk(folder / "d", DISK))
        url, home = base.database(folder.name), home_of(small.path)
        made = serving(url, folder, blobs=home, free_space_floor=FLOOR)
        setup = await stack.enter_async_context(made)
        bold = await setup.servers.start(free_space_floor=0)
        yield Full(setup, bold, small)


async def full_trial(full: Full, trial: Trial) -> None:
    """Two of three trials keep a floor; in the third the disk is full to the last block."""
    random, setup = trial.random, full.careful
    floor = trial.number % 3 != 2
    server = setup.server if floor else full.bold
    data, other = (random.randbytes(random.randint(2 * CHUNK, CELLS * CHUNK)) for _ in range(2))
    pieces = cells(data, CHUNK)
    random.shuffle(pieces)
    before = random.randrange(len(pieces))
    async with server.http() as http, channel(server) as wire:
        await eventually(partial(_takes, http))  # it may not have seen the last trial's room yet
        upload = await wire.create(FULL_REF, len(data), name=f"full-{trial.number}")
        for start, piece in pieces[:before]:
            await wire.chunk(FULL_REF, start, piece)
            await wire.stored(1)
        full.disk.fill(random.randrange(FLOOR // 2) if floor else 0)
        try:
            if floor:
                await _refuses(http)
            refused = asyncio.create_task(beside(server, other, trial))
            if floor:
                left = await refusals(http, wire, upload["id"], pieces[before:], random)
            else:
                left = pieces[before:]
                await _full(http, wire, upload["id"], left)
            acknowledged = {start: len(piece) for start, piece in pieces[:before]}
            await setup.inspector.check_acknowledged(upload["id"], acknowledged)
            assert len(await setup.inspector.pieces(upload["id"])) == before
        finally:
            full.disk.clear()
        for start, piece in left:
            await until_stored(wire, start, piece)
        file = await wire.finish(FULL_REF)
        other_id = await refused
    await setup.inspector.check_file(server, file["id"], data)
    await setup.inspector.check_file(server, other_id, other)
    await setup.inspector.check_nothing_left(server)
    await setup.inspector.clear()


async def _takes(http: httpx.AsyncClient) -> bool:
    """Whether the server takes uploads; a refusal names the disk that is full."""
    answer = await http.post("/v1/uploads", json={"name": "probe", "size": 0})
    if answer.status_code == 201:
        await http.delete(answer.headers["location"])
        return True
    assert answer.status_code == 507
    check(answer.json())
    assert "directory" in answer.json()["detail"]
    return False


async def _refuses(http: httpx.AsyncClient) -> None:
    """Wait until the server has noticed that its disk is full."""

    async def refuses() -> bool:
        return not await _takes(http)

    await eventually(refuses)


async def _full(
    http: httpx.AsyncClient, wire: Any, upload_id: str, left: list[tuple[int, bytes]]
) -> None:
    """On a disk without one block a piece is refused, and is missing."""
    for start, piece in left:
        await wire.send(SEND, FULL_REF, start, checksum(piece), piece)
        check(await wire.refused(FULL_REF, start))
    listed = (await http.get(f"/v1/uploads/{upload_id}")).json()["missing"]
    assert sum(high - low for low, high in listed) == sum(len(piece) for _, piece in left)


# -- bit flip


@asynccontextmanager
async def flip_setup(base: Base, folder: Path) -> AsyncIterator[Context]:
    url = base.database(folder.name)
    async with serving(url, folder, blobs=home_of(folder)) as made:
        yield Context(made, url, folder)


async def flip_trial(context: Context, trial: Trial) -> None:
    """Every fifth upload is damaged before FINISH, all others when they are files."""
    random, setup = trial.random, context.setup
    data = random.randbytes(random.randint(1, CELLS * CHUNK))
    early = trial.number % 5 == 4
    async with channel(setup.server) as wire:
        upload_id = await store(wire, data, f"flip-{trial.number}")
        if not early:
            await wire.finish(REF)
        path = await _file(context.folder / "home", upload_id)
        damage = await asyncio.to_thread(_harm, path, random, data, upload_id)
        if early:
            await refused_finish(wire, data, sha256_of(data))
        await served_right(setup, random, data, damage, early=early)
        if not early:
            await downloaded(context, data, damage)
        await _audited(context, damage, by_command=trial.number % 10 == 0)
        await asyncio.to_thread(path.write_bytes, data)
        if early:
            await wire.finish(REF, sha256=sha256_of(data))
    await setup.inspector.check_file(setup.server, upload_id, data)


async def _file(home: Path, upload_id: str) -> Path:
    """The only file of an upload."""
    found = await asyncio.to_thread(lambda: list(home.glob(f"**/{upload_id}*")))
    (path,) = found
    return path / "0" if await asyncio.to_thread(path.is_dir) else path


def _harm(path: Path, random: Random, data: bytes, upload_id: str) -> Damaged:
    """Flip one bit of a random piece, or let the disk return zeros for its end."""
    start, piece = random.choice(cells(data, CHUNK))
    stored = bytearray(piece)
    kind = random.choice(("flipped", "zeroed"))
    if kind == "flipped":
        place, bit = divmod(random.randrange(8 * len(stored)), 8)
        stored[place] ^= 1 << bit
    else:
        first = random.randrange(len(stored))
        stored[first:] = bytes(len(stored) - first)
        if stored == piece:  # it ended with a zero
            stored[-1] ^= 1
    with path.open("r+b") as file:
        file.seek(start)
        file.write(stored)
    return Damaged("flipped", upload_id, start, start + len(piece), {})


async def _audited(context: Context, damage: Damaged, *, by_command: bool) -> None:
    """The audit names the piece, and nothing else."""
    if by_command:
        found = await verify(context.url)
    else:
        findings = await context.setup.inspector.findings()
        found = [(each.kind, each.id, each.detail) for each in findings]
    ((kind, upload_id, detail),) = found
    assert (kind, upload_id) == ("damaged", damage.upload_id)
    assert str(damage.start) in detail, f"{detail!r} does not name the piece at {damage.start}"


async def flip_settle(context: Context) -> None:
    await context.setup.inspector.check_nothing_left(context.setup.server)
    await context.setup.inspector.clear()


DISK_FULL = Fault(
    name="local-disk-full",
    title="disk full, local driver",
    how="the home is on a small ext4 (or memory) disk that something else fills up, to below the "
    "floor, or in every third trial to the last block without a floor",
    holds="507 `storage-full` that names the directory's disk, `missing` honest, the same uploads "
    "go on when there is room",
    trials=50,
    quick=6,
    few=3,
    setup=full_setup,
    trial=full_trial,
)

BIT_FLIP = Fault(
    name="local-bit-flip",
    title="bit flip in a local file",
    how="one bit of a random piece is flipped in its file, or the piece's end is zeros; every "
    "fifth upload before FINISH",
    holds="every read over it fails loudly or breaks off, ranges elsewhere are served, a damaged "
    "upload is not published, `lading janitor verify` names the piece",
    trials=100,
    quick=20,
    few=5,
    setup=flip_setup,
    trial=flip_trial,
    settle=flip_settle,
)
