"""Who makes the images of a file is killed: the child at any moment, the server at any moment, and
the server before and after each write to the database that belongs to them.

Another server makes them to the end: all six are there, served whole, the account is exact, and no
child is left behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx
from bson import ObjectId

from lading.storage.collections.manifest_documents import from_document
from tests.faults.fault import Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.setups import Setup, one_server
from tests.support.photos import jpeg
from tests.support.servers import Process

MOST_STEPS = 26
"""Deriving writes about a dozen times; a kill before and one after each. Beyond them it ends."""

STRIKE = """
import os, signal
from pymongo import monitoring
armed, left = False, {steps}
class Listener(monitoring.CommandListener):
    def started(self, event):
        global left
        if armed and event.command_name in ("update", "findAndModify"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    def succeeded(self, event):
        self.started(event)
    def failed(self, event):
        pass
monitoring.register(Listener())
from lading.server.uploads.derive import Deriver
derive = Deriver.derive
async def arming(self, *arguments):
    global armed
    armed = True
    await derive(self, *arguments)
Deriver.derive = arming
"""

SECONDS = 1.5
"""A kill strikes so soon after the upload: a child starts, and makes six images, within that."""


async def trial(setup: Setup, trial: Trial) -> None:
    random, survivor = trial.random, setup.server
    data = jpeg(random.randint(1, 1600), random.randint(1, 1200))
    match trial.number % 3:
        case 0:
            doomed, kills = await setup.servers.spare(), random.randint(1, 3)
            file_id = await _put(doomed, data)
            for _ in range(kills):
                await asyncio.sleep(random.random() * SECONDS / kills)
                for pid in _children(doomed.child.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        case 1:
            steps = 1 + trial.number // 3 % MOST_STEPS
            doomed = await setup.servers.start(before=STRIKE.format(steps=steps))
            file_id = await _put(doomed, data)
            # It kills itself, or comes to the end.
            await eventually(lambda: _is_over(setup, doomed, file_id), 30)
        case _:
            doomed = await setup.servers.spare()
            file_id = await _put(doomed, data)
            await asyncio.sleep(random.random() * SECONDS)
    left = _children(doomed.child.pid)
    setup.servers.kill(doomed)
    await _let_claims_end(setup, file_id)
    await eventually(lambda: _is_made(setup, survivor, file_id), 60)
    await eventually(lambda: _are_gone(left), 10)
    await setup.check_nothing_left(crashed=True)
    async with survivor.http() as client:
        assert (await client.delete(f"/v1/files/{file_id}")).status_code == 204
    query = {"upload_id": ObjectId(file_id)}
    assert await setup.inspector.database.pictures.count_documents(query) == 0
    await setup.check_nothing_left()
    await setup.inspector.clear()


async def _put(server: Process, data: bytes) -> str:
    """Upload a photo; the server may be killed as soon as it has answered."""
    async with server.http() as client:
        answer = await client.post(
            "/v1/files", content=data, headers={"Content-Type": "image/jpeg"}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["_id"])


def _children(pid: int) -> list[int]:
    """The processes whose parent this is."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(ValueError, OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(folder.name))
    return found


async def _are_gone(pids: list[int]) -> bool:
    return not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that ended and was not reaped yet has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


async def _is_over(setup: Setup, server: Process, file_id: str) -> bool:
    found = await setup.inspector.manifests.get(file_id)
    assert found is not None
    return server.child.poll() is not None or not found.todo


async def _let_claims_end(setup: Setup, file_id: str) -> None:
    """The claim of who was killed ends in 30 seconds; let it end now."""
    await setup.inspector.database.manifests.update_one(
        {"_id": ObjectId(file_id), "todo.0": {"$exists": True}}, {"$set": {"todo_at": 0.0}}
    )


async def _is_made(setup: Setup, server: Process, file_id: str) -> bool:
    """Whether all images are there and served; until then each may be 202, and nothing else."""
    async with server.http() as client:
        answers = [await client.get(f"/v1/files/{file_id}/{quality}") for quality in range(1, 7)]
    document = await setup.inspector.database.manifests.find_one({"_id": ObjectId(file_id)})
    assert document is not None
    found = from_document(document)
    if any(answer.status_code == 202 for answer in answers) or found.todo:
        return False
    assert found.picture_debt is None
    assert set(found.pictures) == {"1", "2", "3", "4", "5", "6"}
    for quality, answer in enumerate(answers, 1):
        _check(answer, found.pictures[str(quality)].size)
    return True


def _check(answer: httpx.Response, size: int) -> None:
    assert answer.status_code == 200, answer.text
    assert (answer.content[:4], answer.content[8:12]) == (b"RIFF", b"WEBP")
    assert len(answer.content) == size


FAULT = Fault(
    name="images-killed",
    title="killed while images are made",
    how="SIGKILL of the child up to three times, of the server, and of the server before and after "
    "each write to the database while it derives; another server goes on",
    holds="six images in the end, each whole, usage exact, no child left behind",
    trials=200,
    quick=30,
    few=3,
    setup=one_server,
    trial=trial,
)
