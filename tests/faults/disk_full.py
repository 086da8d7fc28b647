"""Disk full: mongod's files are on a small disk of their own, and something else fills it.

In nine of ten trials the server keeps a floor of free space and stops before mongod is harmed. In
the tenth there is no floor: the disk is full to the last block, mongod dies of it, and the server
whose embedded mongod it is starts it again when there is room.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx

from lading import Client
from lading.client.backoff import Timing
from lading.storage.embedded.mongod import find
from lading.storage.embedded.process import running
from tests.faults.fault import Base, Fault, NotHere, Trial
from tests.faults.processes import TOKEN, Mongod, Servers
from tests.faults.uploader import Uploader
from tests.faults.vault import Vault, eventually
from tests.faults.worlds import CHUNK, USUAL, World, serving
from tests.support.servers import Running
from tests.support.wire import CHUNK as SEND
from tests.support.wire import CREATE, PROBLEM, Wire, cells, channel, checksum

MIB = 2**20
DISK = 640 * MIB
FLOOR = 96 * MIB
CELLS = 12
REF = 4

LARGE = 4 * MIB
MOST_UPLOADS = 20

WRITTEN_SECONDS = 1.5

FULL_SECONDS = 2.0
"""For how long at most nobody makes room when mongod has died."""

EAGER = '#!/bin/sh\nexec "{mongod}" "$@" --syncdelay 1\n'
"""A mongod that writes its files every second: on a full disk it is dead within two."""


async def tool(*command: str) -> str | None:
    """Run a program of the system; what it complains of, None when all went well."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    _, complaint = await child.communicate()
    return None if child.returncode == 0 else complaint.decode(errors="replace").strip()


class Disk:
    """A file system of its own at `path`: ext4 on a loop device, or in memory without one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return shutil.disk_usage(self.path).free

    def fill(self, left: int) -> None:
        """Something else takes all but so many bytes."""
        self.clear()
        with self._ballast.open("wb") as ballast, suppress(OSError):
            if (size := self.free - left) > 0:
                os.posix_fallocate(ballast.fileno(), 0, size)
        if left:
            return
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def clear(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)


@asynccontextmanager
async def disk(folder: Path) -> AsyncIterator[Disk]:
    """A small disk at `folder`; NotHere when this machine allows none."""
    image = folder.with_name(f"{folder.name}.img")
    await asyncio.to_thread(folder.mkdir, mode=0o700)
    await asyncio.to_thread(image.write_bytes, b"")
    os.truncate(image, DISK)
    failed = await tool("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    failed = failed or await tool("mount", "-o", "loop", str(image), str(folder))
    if failed:
        again = await tool("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder))
        if again:
            raise NotHere(f"no small disk can be mounted here ({failed}; {again})")
    try:
        yield Disk(folder)
    finally:
        # A process that was killed a moment ago may not be quite gone.
        async def away() -> bool:
            return await tool("umount", str(folder)) is None

        await eventually(away)
        await asyncio.to_thread(image.unlink)


@dataclass
class Full:
    """A world on a small disk with a floor, and one without, made when it is first needed."""

    folder: Path
    stack: AsyncExitStack
    world: World
    disk: Disk
    bare: Bare | None = None


@dataclass
class Bare:
    """A server without a floor, whose embedded mongod has the small disk."""

    vault: Vault
    server: Running
    disk: Disk


@asynccontextmanager
async def world(_base: Base, folder: Path) -> AsyncIterator[Full]:
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(disk(folder / "f"))
        mongod = Mongod(folder / "m", database=small.path / "db")
        await stack.enter_async_context(mongod)
        made = serving(mongod.url("lading"), folder, free_space_floor=FLOOR)
        yield Full(folder, stack, await stack.enter_async_context(made), small)


async def bare(full: Full) -> Bare:
    """The world without a floor; the server's own log is on the full disk, too."""
    if full.bare is None:
        small = await full.stack.enter_async_context(disk(full.folder / "b"))
        eager = full.folder / "mongod"
        eager.write_text(EAGER.format(mongod=find()))
        eager.chmod(0o755)
        settings = USUAL | {"mongod": eager}
        servers = await full.stack.enter_async_context(Servers(small.path, None, **settings))
        server = await servers.start()
        url = running(server.data)
        assert url is not None
        vault = await full.stack.enter_async_context(Vault(url))
        full.bare = Bare(vault, server, small)
    return full.bare


async def trial(full: Full, trial: Trial) -> None:
    if trial.number % 10 == 1:
        await without_floor(await bare(full), trial)
    else:
        await with_floor(full, trial)


# -- with a floor


async def with_floor(full: Full, trial: Trial) -> None:
    """All is refused honestly while there is no room, and goes on where it was afterwards."""
    random, world, small = trial.random, full.world, full.disk
    data, other = (random.randbytes(random.randint(2 * CHUNK, CELLS * CHUNK)) for _ in range(2))
    pieces = cells(data, CHUNK)
    random.shuffle(pieces)
    before = random.randrange(len(pieces))
    async with world.server.http() as http, channel(world.server) as wire:
        upload = await wire.create(REF, len(data), name=f"full-{trial.number}")
        for start, piece in pieces[:before]:
            await wire.chunk(REF, start, piece)
            await wire.stored(1)
        small.fill(FLOOR - random.randint(MIB, FLOOR // 2))
        await answers(http, 507)
        refused = asyncio.create_task(beside(world.server, other, trial))
        left = await refusals(http, wire, upload["id"], pieces[before:], random)
        await world.vault.keeps(upload["id"], {s: len(p) for s, p in pieces[:before]})
        assert len(await world.vault.pieces(upload["id"])) == before
        small.clear()
        for start, piece in left:
            await until_stored(wire, start, piece)
        file = await wire.finish(REF)
        other_id = await refused
    await world.vault.whole(world.server, file["id"], data)
    await world.vault.whole(world.server, other_id, other)
    await world.vault.sound(world.server)
    await world.vault.clear()


async def answers(http: httpx.AsyncClient, status: int) -> None:
    """Wait until a new upload is answered so; it is deleted again."""

    async def asked() -> bool:
        answer = await http.post("/v1/uploads", json={"name": "probe", "size": 0})
        if answer.status_code == 201:
            await http.delete(answer.headers["location"])
        return answer.status_code == status

    await eventually(asked)


async def beside(server: Running, data: bytes, trial: Trial) -> str:
    """The client that users have begins while there is no room, and has patience."""
    timing = Timing(random=trial.random.random)
    async with Client(server.url, TOKEN, patience=60, timing=timing) as client:
        file = await client.upload(io.BytesIO(data), name=f"beside-{trial.number}")
    return file.id


async def refusals(
    http: httpx.AsyncClient,
    wire: Wire,
    upload_id: str,
    left: list[tuple[int, bytes]],
    random: Random,
) -> list[tuple[int, bytes]]:
    """Nothing is taken by any way in, each says why, and what is missing is told as it is."""
    start, piece = random.choice(left)
    await wire.chunk(REF, start, piece)
    check(await wire.refused(REF, start))
    await wire.send(CREATE, REF + 1, {"name": "late", "size": 1})
    check(await wire.problem(REF + 1))
    put = await http.put(f"/v1/uploads/{upload_id}/chunks/{start}", content=piece)
    small = await http.post("/v1/files?name=late", content=b"late")
    new = await http.post("/v1/uploads", json={"name": "late", "size": 1})
    for answer in (put, small, new):
        assert answer.status_code == 507, answer.text
        check(answer.json())
    told = (await http.get(f"/v1/uploads/{upload_id}")).json()["missing"]
    missing = {byte for low, high in told for byte in range(low, high, CHUNK)}
    assert missing == {start for start, _ in left}, f"missing is told to be {told}"
    assert sum(high - low for low, high in told) == sum(len(piece) for _, piece in left)
    return left


def check(problem: dict[str, Any]) -> None:
    assert problem["code"] == "storage-full"
    assert problem["retryable"] is True


async def until_stored(wire: Wire, start: int, piece: bytes) -> None:
    """Send a piece again until the server has seen that there is room."""

    async def stored() -> bool:
        await wire.send(SEND, REF, start, checksum(piece), piece)
        message = await wire.receive()
        assert message[0] != PROBLEM, message
        if len(message) > 2 and isinstance(message[2], list):
            return True
        check(message[3])
        return False

    await eventually(stored)


# -- without one


async def without_floor(made: Bare, trial: Trial) -> None:
    """mongod dies; nothing that was acknowledged is lost; when there is room all goes on."""
    uploaders: list[Uploader] = []
    # Its log is on the full disk, too, and may not tell of its end.
    process = Path("/proc", (made.server.data / "db" / "mongod.lock").read_text().strip())
    made.disk.fill(0)
    try:
        async with asyncio.TaskGroup() as uploads:
            # What was deleted leaves room within its files: it may take more than one upload.
            while not uploaders or not await died(process):
                assert len(uploaders) < MOST_UPLOADS, "mongod lives on a full disk"
                data = trial.random.randbytes(LARGE)
                name = f"bare-{trial.number}-{len(uploaders)}"
                uploaders.append(Uploader(data, name, trial.random))
                uploads.create_task(uploaders[-1].run(lambda: made.server, seconds=90))
            # It is started again in vain meanwhile, and even the server's log cannot be written.
            await asyncio.sleep(trial.random.uniform(0, FULL_SECONDS))
            made.disk.clear()
    finally:
        made.disk.clear()
    await ready(made.server)
    for uploader in uploaders:
        await made.vault.keeps(uploader.id, uploader.acknowledged)
        await made.vault.whole(made.server, uploader.id, uploader.data)
    await made.vault.sound(made.server, crashed=True)
    await made.vault.clear()


async def ready(server: Running) -> None:
    """Wait until mongod is up again; the uploads may have been finished before it died."""

    async def asked() -> bool:
        return (await http.get("/readyz")).status_code == 200

    async with server.http() as http:
        await eventually(asked, 60)


async def died(process: Path) -> bool:
    """Whether it ends within the time in which it writes its files."""
    with suppress(AssertionError):
        await eventually(lambda: asyncio.to_thread(lambda: not process.exists()), WRITTEN_SECONDS)
        return True
    return False


FAULT = Fault(
    name="disk-full",
    title="disk full",
    how="mongod on a small ext4 (or memory) disk that something else fills up to below the "
    "floor; in every tenth trial to the last block and without a floor, so that mongod dies",
    holds="507 `storage-full` on every way in, `missing` honest, the same uploads go on when there "
    "is room; mongod that died is started again, no acknowledged piece lost",
    trials=100,
    quick=10,
    few=2,
    world=world,
    trial=trial,
)
