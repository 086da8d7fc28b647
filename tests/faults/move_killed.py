"""A file moves, and who moves it is killed at every step: before or after any command to the
database, call to the file system, or request to the bucket.

A server is read all the time. Afterwards the same command, and the server beside it, move the file
to its end: it is whole, at one home, and when it is deleted nothing is left at any.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId

from lading.janitor.verify import Auditor
from lading.storage.blobs.base import Moved
from lading.storage.blobs.directory import Directory
from lading.storage.free_space import FreeSpace
from lading.storage.open import Storage, assemble_storage
from tests.faults.fault import Base, Fault, NotHere, Trial
from tests.faults.inspector import eventually
from tests.faults.processes import command
from tests.faults.setups import CHUNK, Setup, send, serving, some_bytes
from tests.support.children import environment
from tests.support.seaweedfs import BUCKET, OWNER, program, seaweedfs

KILLED = -9

MOST_STEPS = 24
"""A move of a few pieces has about so many; beyond the last one the command ends by itself."""

STRIKE = """
import os, signal
from pymongo import monitoring
left = {steps}
def strike():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
class Listener(monitoring.CommandListener):
    def started(self, event):
        if event.command_name in ("update", "findAndModify", "delete"):
            strike()
    def succeeded(self, event):
        self.started(event)
    def failed(self, event):
        pass
monitoring.register(Listener())
def around(call):
    def striking(*arguments, **options):
        strike()
        result = call(*arguments, **options)
        strike()
        return result
    return striking
for name in ("rename", "unlink", "rmdir", "pwrite", "fdatasync"):
    setattr(os, name, around(getattr(os, name)))
from lading.storage.blobs import s3_client
request = s3_client.S3Client.call
async def striking(self, *arguments, **options):
    strike()
    result = await request(self, *arguments, **options)
    strike()
    return result
s3_client.S3Client.call = striking
"""


@dataclass
class Moving:
    """A server, the homes, and storage that reaches all of them."""

    setup: Setup
    homes: tuple[str, ...]
    storage: Storage
    settings: dict[str, object]

    async def move(self, file_id: str, target: str, *, before: str = "") -> int:
        """`lading move` as a process of its own; its exit code."""
        done = await command("move", "--to", target, file_id, before=before, **self.settings)
        assert done.returncode in (0, KILLED), done.stdout + done.stderr
        return done.returncode


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Moving]:
    if not program().exists():
        raise NotHere("SeaweedFS is not installed; run scripts/install test")
    url = base.database(folder.name)
    async with AsyncExitStack() as stack:
        node = stack.enter_context(seaweedfs(folder / "weed"))
        stack.enter_context(environment(OWNER.environment))
        directory = folder / "files"
        Directory(str(directory), create=True).close()
        settings: dict[str, Any] = {"janitor_pace": 0, **node.settings()}
        made = await stack.enter_async_context(serving(url, folder, before=("",), **settings))
        inspector = made.inspector
        storage = assemble_storage(
            inspector.database,
            inspector.clock,
            FreeSpace(inspector.database),
            s3=node.options(),
        )
        stack.push_async_callback(storage.blobs.close)
        homes = ("mongo", f"file://{directory}", f"s3://{BUCKET}/moved")
        yield Moving(made, homes, storage, {"database_url": url, "data": folder, **settings})


async def trial(moving: Moving, trial: Trial) -> None:
    pairs = list(itertools.permutations(moving.homes, 2))
    source, target = pairs[trial.number % len(pairs)]
    setup, random = moving.setup, trial.random
    data = some_bytes(random, 3)
    file_id = (await send(setup.server, data, f"moved-{trial.number}")).id
    if source != "mongo":
        await moving.move(file_id, source)
    steps = 1 + trial.number // len(pairs) * 7 % MOST_STEPS  # early and late ones in turn
    async with _reading(setup, file_id, data):
        await moving.move(file_id, target, before=STRIKE.format(steps=steps))
        await _let_claims_end(setup, file_id)
        await moving.move(file_id, target)
        await eventually(lambda: _is_at_home(moving, file_id, target), 30)
    assert await _homes_with_bytes(moving, file_id, len(data)) == [target]
    assert await _findings(moving) == []
    async with setup.server.http() as client:
        assert (await client.delete(f"/v1/files/{file_id}")).status_code == 204
    await eventually(lambda: _is_nowhere(moving, file_id), 30)
    await setup.check_nothing_left()
    await setup.inspector.clear()


@asynccontextmanager
async def _reading(setup: Setup, file_id: str, data: bytes) -> AsyncIterator[None]:
    """Read the file all the time; every answer is the whole file."""
    over = asyncio.Event()

    async def read() -> None:
        async with setup.server.http() as client:
            while not over.is_set():
                answer = await client.get(f"/v1/files/{file_id}")
                assert (answer.status_code, answer.content == data) == (200, True), answer
                await asyncio.sleep(0.01)

    reader = asyncio.create_task(read())
    try:
        yield
    finally:
        over.set()
        await reader


async def _let_claims_end(setup: Setup, file_id: str) -> None:
    """The claim of who was killed ends in 30 seconds; let it end now."""
    await setup.inspector.database.manifests.update_one(
        {"_id": ObjectId(file_id), "todo.0": {"$exists": True}}, {"$set": {"todo_at": 0.0}}
    )


async def _is_at_home(moving: Moving, file_id: str, target: str) -> bool:
    found = await moving.storage.manifests.get(file_id)
    assert found is not None
    return (found.blobs, found.move_to, found.drop_at, found.todo) == (target, None, (), ())


async def _homes_with_bytes(moving: Moving, file_id: str, size: int) -> list[str]:
    found: list[str] = []
    first = await moving.storage.chunks.at(file_id, 0)
    if first is None:
        return found
    assert first.size == min(size, CHUNK)
    for home in moving.homes:
        try:
            await moving.storage.blobs[home].read(file_id, [first])
        except Moved:
            continue
        found.append(home)
    return found


async def _is_nowhere(moving: Moving, file_id: str) -> bool:
    for home in moving.homes:
        if file_id in [each async for each in moving.storage.blobs[home].uploads()]:
            return False
    return True


async def _findings(moving: Moving) -> list[str]:
    storage = moving.storage
    auditor = Auditor(
        storage.manifests, storage.chunks, storage.blobs, storage.quotas, storage.clock
    )
    return [json.dumps([each.kind, each.detail]) async for each in auditor.findings()]


FAULT = Fault(
    name="move-killed",
    title="killed at every step of a move",
    how="SIGKILL of `lading move` before or after each command to the database, call to the file "
    "system and request to the bucket, between MongoDB, a directory and SeaweedFS, each way",
    holds="the file is read all the time and whole, ends at one home, nothing is left elsewhere",
    trials=200,
    quick=24,
    few=3,
    setup=setup,
    trial=trial,
)
