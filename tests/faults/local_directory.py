"""The local driver: its disk is full, a bit of a file flips, a server is killed at every step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
from bson import ObjectId

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


async def _refuses(http: httpx.AsyncClient) -> None:
    """Wait until the server has noticed, and names the disk that is full."""

    async def asked() -> bool:
        answer = await http.post("/v1/uploads", json={"name": "probe", "size": 0})
        if answer.status_code == 201:
            await http.delete(answer.headers["location"])
            return False
        check(answer.json())
        assert "directory" in answer.json()["detail"]
        return answer.status_code == 507

    await eventually(asked)


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


# -- a server killed at every step

EAGER = """
from lading.server.limits import USUAL_LIMITS
object.__setattr__(USUAL_LIMITS.uploads, "todo_poll_seconds", 0.05)
"""

MORTAL = """
import os, signal
from lading.storage import database
from lading.storage.blobs import directory

steps = {steps}

def step():
    global steps
    if os.path.exists({armed!r}):
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)

class Mortal:
    def __getattr__(self, name):
        found = getattr(os, name)
        if name not in {calls!r}:
            return found
        def call(*arguments, **options):
            step()
            result = found(*arguments, **options)
            step()
            return result
        return call

persist = database.persist
async def mortal(operation, *arguments, **options):
    async def stepped():
        step()
        result = await operation()
        step()
        return result
    return await persist(stepped, *arguments, **options)

directory.os = Mortal()
for module in {modules!r}:
    __import__("importlib").import_module(module).persist = mortal
"""
"""A server that dies at the n-th step after a file appeared: before or after any write of the
database, and any system call that changes the directory."""

CALLS = ("rename", "fsync", "fdatasync", "mkdir", "ftruncate", "unlink", "rmdir", "pwrite")

COLLECTIONS = "lading.storage.collections"
MODULES = tuple(f"{COLLECTIONS}.{each}" for each in ("chunks", "manifests", "quotas", "tags"))

PUBLISH_STEPS, DELETE_STEPS = 44, 44


@asynccontextmanager
async def killed_setup(base: Base, folder: Path) -> AsyncIterator[Setup]:
    url = base.database(folder.name)
    async with serving(url, folder, before=(EAGER,), blobs=home_of(folder)) as made:
        yield made


async def killed_trial(setup: Setup, trial: Trial) -> None:
    """Half of the trials kill during FINISH, half during DELETE."""
    random, successor = trial.random, setup.server
    data = random.randbytes(random.randrange(3 * CHUNK))
    armed = successor.data / f"armed-{trial.number}"
    deleting = bool(trial.number % 2)
    steps = random.randrange(DELETE_STEPS if deleting else PUBLISH_STEPS)
    mortal = MORTAL.format(steps=steps, armed=str(armed), calls=CALLS, modules=MODULES)
    victim = await setup.servers.start(before=mortal)
    async with victim.http() as http:
        answer = await http.post("/v1/uploads", json={"name": "victim", "size": len(data)})
        upload_id = answer.json()["_id"]
        for start, piece in cells(data, CHUNK):
            put = await http.put(f"/v1/uploads/{upload_id}/chunks/{start}", content=piece)
            assert put.status_code in (200, 201), put.text
        if deleting:
            (await http.post(f"/v1/uploads/{upload_id}/finish", json={})).raise_for_status()
        await asyncio.to_thread(armed.touch)
        with suppress(httpx.TransportError):
            if deleting:
                await http.delete(f"/v1/files/{upload_id}")
            else:
                await http.post(f"/v1/uploads/{upload_id}/finish", json={})
    setup.servers.kill(victim)
    if deleting:
        await _deleted(setup, upload_id, data)
    else:
        await _published(setup, upload_id, data)
    await setup.check_nothing_left(crashed=True)
    await setup.inspector.clear()


async def _published(setup: Setup, upload_id: str, data: bytes) -> None:
    """Another server finishes it with the same answer, and brings it to its place."""
    async with setup.server.http() as http:
        answers = [await http.post(f"/v1/uploads/{upload_id}/finish", json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    await setup.inspector.check_file(setup.server, upload_id, data)
    await _worked_off(setup, upload_id)
    home = setup.inspector.home
    assert home is not None
    placed = Path(home.directory.root, "private", upload_id[-2:], upload_id, "0")
    assert await asyncio.to_thread(placed.read_bytes) == data
    await setup.inspector.check_file(setup.server, upload_id, data)


async def _deleted(setup: Setup, upload_id: str, data: bytes) -> None:
    """It is a file or it is gone, and a second DELETE leaves nothing of it."""
    async with setup.server.http() as http:
        found = await http.get(f"/v1/files/{upload_id}")
        assert found.status_code in (200, 404), found.text
        if found.status_code == 200:
            assert found.content == data
            (await http.delete(f"/v1/files/{upload_id}")).raise_for_status()
        assert (await http.get(f"/v1/files/{upload_id}")).status_code == 404
    await _worked_off(setup, upload_id)
    assert await setup.inspector.pieces(upload_id) == {}


async def _worked_off(setup: Setup, upload_id: str) -> None:
    """What the dead server had claimed is free again, as when its lease ends, and is done."""
    manifests, key = setup.inspector.database.manifests, {"_id": ObjectId(upload_id)}

    async def done() -> bool:
        manifest = await manifests.find_one(key)
        return manifest is None or not manifest.get("todo")

    due = {"$set": {"todo_at": setup.inspector.clock()}}
    await manifests.update_one({**key, "todo.0": {"$exists": True}}, due)
    await eventually(done)


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

KILLED = Fault(
    name="local-killed",
    title="server killed while it publishes or deletes, local driver",
    how="SIGKILL before or after a random write of the database or change of the directory",
    holds="another server gives the same answers; the file is whole in its place, or gone; no "
    "file and no piece is left over, the account is exact",
    trials=200,
    quick=20,
    few=4,
    setup=killed_setup,
    trial=killed_trial,
)
