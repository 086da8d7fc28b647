"""Disk full: mongod's files are on a small disk of their own, and something else fills it.

In nine of ten trials the server keeps a floor of free space and stops before mongod is harmed. In
the tenth there is no floor: the disk is full to the last block, mongod dies, and the server that
embeds it starts it again when there is space.
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
from tests.faults.inspector import Inspector, eventually
from tests.faults.processes import TOKEN, Mongod, Servers
from tests.faults.setups import CHUNK, USUAL, Setup, serving
from tests.faults.uploader import Uploader
from tests.support.servers import Running
from tests.support.wire import CHUNK as SEND
from tests.support.wire import CREATE, PROBLEM, WINDOW, Wire, cells, channel, checksum

MIB = 2**20
DISK = 640 * MIB
MARGIN = 96 * MIB
"""What the server keeps free of the disk itself, however much its database can reuse."""
FLOOR = 2 * MARGIN
CELLS = 12
REF = 4

LARGE = 4 * MIB
MOST_UPLOADS = 20

WRITTEN_SECONDS = 1.5

FULL_SECONDS = 2.0
"""The longest time without free space after mongod died."""

EAGER = '#!/bin/sh\nexec "{mongod}" "$@" --syncdelay 1\n'
"""A mongod that writes its files every second: on a full disk it dies within two."""


async def tool(*command: str) -> str | None:
    """Run a program of the system; returns its error text, or None if it succeeded."""
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
        """Fill the disk with another file, except for `left` bytes."""
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
        """Free the space again."""
        self._ballast.unlink(missing_ok=True)


@asynccontextmanager
async def disk(folder: Path, size: int = DISK) -> AsyncIterator[Disk]:
    """A small disk at `folder`; NotHere when this machine allows none."""
    image = folder.with_name(f"{folder.name}.img")
    await asyncio.to_thread(folder.mkdir, mode=0o700)
    await asyncio.to_thread(image.write_bytes, b"")
    os.truncate(image, size)
    failed = await tool("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    failed = failed or await tool("mount", "-o", "loop", str(image), str(folder))
    if failed:
        again = await tool("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        if again:
            raise NotHere(f"no small disk can be mounted here ({failed}; {again})")
    try:
        yield Disk(folder)
    finally:
        # A process that was killed a moment ago may still hold the disk.
        async def away() -> bool:
            return await tool("umount", str(folder)) is None

        await eventually(away)
        await asyncio.to_thread(image.unlink)


@dataclass
class Full:
    """A setup on a small disk with a floor, and one without, made when it is first needed."""

    folder: Path
    stack: AsyncExitStack
    setup: Setup
    disk: Disk
    bare: Bare | None = None


@dataclass
class Bare:
    """A server without a floor, whose embedded mongod has the small disk."""

    inspector: Inspector
    server: Running
    disk: Disk


@asynccontextmanager
async def setup(_base: Base, folder: Path) -> AsyncIterator[Full]:
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(disk(folder / "f"))
        mongod = Mongod(folder / "m", database=small.path / "db")
        await stack.enter_async_context(mongod)
        made = serving(mongod.url("lading"), folder, free_space_floor=FLOOR)
        yield Full(folder, stack, await stack.enter_async_context(made), small)


async def bare(full: Full) -> Bare:
    """The setup without a floor; the server's own log is on the full disk, too."""
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
        inspector = await full.stack.enter_async_context(Inspector(url))
        full.bare = Bare(inspector, server, small)
    return full.bare


async def trial(full: Full, trial: Trial) -> None:
    if trial.number % 10 == 1:
        await without_floor(await bare(full), trial)
    else:
        await with_floor(full, trial)


# -- with a floor


async def with_floor(full: Full, trial: Trial) -> None:
    """Everything is refused with its reason while there is no space, and resumes afterwards."""
    random, setup, small = trial.random, full.setup, full.disk
    data, other = (random.randbytes(random.randint(2 * CHUNK, CELLS * CHUNK)) for _ in range(2))
    pieces = cells(data, CHUNK)
    random.shuffle(pieces)
    before = random.randrange(len(pieces))
    async with setup.server.http() as http, channel(setup.server) as wire:
        upload = await wire.create(REF, len(data), name=f"full-{trial.number}")
        for start, piece in pieces[:before]:
            await wire.chunk(REF, start, piece)
            await wire.stored(1)
        small.fill(MARGIN - random.randint(MIB, MARGIN // 2))
        await answers(http, 507)
        refused = asyncio.create_task(beside(setup.server, other, trial))
        left = await refusals(http, wire, upload["id"], pieces[before:], random)
        await setup.inspector.check_acknowledged(
            upload["id"], {s: len(p) for s, p in pieces[:before]}
        )
        assert len(await setup.inspector.pieces(upload["id"])) == before
        small.clear()
        for start, piece in left:
            await until_stored(wire, start, piece)
        file = await wire.finish(REF)
        other_id = await refused
    await setup.inspector.check_file(setup.server, file["id"], data)
    await setup.inspector.check_file(setup.server, other_id, other)
    await setup.inspector.check_nothing_left(setup.server)
    await setup.inspector.clear()


async def answers(http: httpx.AsyncClient, status: int) -> None:
    """Wait until the server answers a new upload with `status`; the upload is deleted again."""

    async def asked() -> bool:
        answer = await http.post("/v1/uploads", json={"name": "probe", "size": 0})
        if answer.status_code == 201:
            await http.delete(answer.headers["location"])
        return answer.status_code == status

    await eventually(asked)


async def beside(server: Running, data: bytes, trial: Trial) -> str:
    """Start `lading.Client` while there is no space; it retries until there is."""
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
    """Every route refuses new bytes and says why; `missing` lists exactly what is missing."""
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
    listed = (await http.get(f"/v1/uploads/{upload_id}")).json()["missing"]
    missing = {byte for low, high in listed for byte in range(low, high, CHUNK)}
    assert missing == {start for start, _ in left}, f"missing is {listed}"
    assert sum(high - low for low, high in listed) == sum(len(piece) for _, piece in left)
    return left


def check(problem: dict[str, Any]) -> None:
    assert problem["code"] == "storage-full"
    assert problem["retryable"] is True


async def until_stored(wire: Wire, start: int, piece: bytes) -> None:
    """Send a piece again until the server has noticed that there is space."""

    async def stored() -> bool:
        await wire.send(SEND, REF, start, checksum(piece), piece)
        while (message := await wire.receive())[0] == WINDOW:
            pass
        assert message[0] != PROBLEM, message
        if len(message) > 2 and isinstance(message[2], list):
            return True
        check(message[3])
        return False

    await eventually(stored)


# -- without a floor


async def without_floor(made: Bare, trial: Trial) -> None:
    """mongod dies; no acknowledged byte is lost; when there is space, uploads resume."""
    uploaders: list[Uploader] = []
    # Its log is on the full disk, too, and may not show its end.
    process = Path("/proc", (made.server.data / "db" / "mongod.lock").read_text().strip())
    made.disk.fill(0)
    try:
        async with asyncio.TaskGroup() as uploads:
            # Deleted pieces left space inside its files: it may take more than one upload.
            while not uploaders or not await died(process):
                assert len(uploaders) < MOST_UPLOADS, "mongod survives on a full disk"
                data = trial.random.randbytes(LARGE)
                name = f"bare-{trial.number}-{len(uploaders)}"
                uploaders.append(Uploader(data, name, trial.random))
                uploads.create_task(uploaders[-1].run(lambda: made.server, seconds=90))
            # Meanwhile restarts fail, and even the server's log cannot be written.
            await asyncio.sleep(trial.random.uniform(0, FULL_SECONDS))
            made.disk.clear()
    finally:
        made.disk.clear()
    await ready(made.server)
    for uploader in uploaders:
        await made.inspector.check_acknowledged(uploader.id, uploader.acknowledged)
        await made.inspector.check_file(made.server, uploader.id, uploader.data)
    await made.inspector.check_nothing_left(made.server, crashed=True)
    await made.inspector.clear()


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
    "margin; in every tenth trial to the last block and without a floor, so that mongod dies",
    holds="507 `storage-full` on every way in, `missing` honest, the same uploads go on when there "
    "is room; mongod that died is started again, no acknowledged piece lost",
    trials=100,
    quick=10,
    few=2,
    setup=setup,
    trial=trial,
)
