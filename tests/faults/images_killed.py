"""Who makes the images of a file is killed: the child at any moment, the server at any moment, and
the server before or during each write to the database or the directory that belongs to them.

Another server makes them to the end: all six are there, served whole, the account is exact, and no
child is left behind.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from bson import ObjectId

from lading.storage.blobs.directory import Directory
from lading.storage.collections.manifest_documents import from_document
from tests.faults.every_step import EveryStep, at_step, steps_in
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.lanes import VICTIM
from tests.faults.setups import Setup, serving
from tests.support.photos import jpeg
from tests.support.servers import Process

TRIALS = 200

ARMED = """
from lading.server.uploads.derive import Deriver
derive = Deriver.derive
async def arming(self, *arguments):
    open({log!r}, "a").close()
    await derive(self, *arguments)
Deriver.derive = arming
"""
"""The steps of a server count once it derives."""

SECONDS = 1.5
"""A kill strikes so soon after the upload: a child starts, and makes six images, within that."""


@dataclass
class Scene:
    """A server that lives on, and which step of deriving is whose turn."""

    setup: Setup
    folder: Path
    steps: EveryStep[str]
    numbers: Iterator[int] = field(default_factory=itertools.count)


@asynccontextmanager
async def scene(home: str, base: Base, folder: Path) -> AsyncIterator[Scene]:
    """A scene whose files live in MongoDB, or in a directory."""
    chosen: dict[str, Any] = {}
    if home == "file":
        Directory(str(folder / "files"), create=True).close()
        chosen["blobs"] = f"file://{folder / 'files'}"
    async with serving(base.database(folder.name), folder, **chosen) as setup:
        yield Scene(setup, folder, EveryStep(("deriving",), TRIALS // 3))


async def trial(scene: Scene, trial: Trial) -> None:
    random, setup = trial.random, scene.setup
    data = jpeg(random.randint(1, 1600), random.randint(1, 1200))
    if trial.number % 3 == 0:
        turn = replace(trial, number=trial.number // 3)
        last = await scene.steps.last(turn, lambda: _count(scene, data))
        await _at_step(scene, data, last, random.uniform(0, 0.01))
        return
    doomed = await setup.servers.spare()
    file_id = await _put(doomed, data)
    if trial.number % 3 == 1:
        kills = random.randint(1, 3)
        for _ in range(kills):
            await asyncio.sleep(random.random() * SECONDS / kills)
            for pid in _children(doomed.child.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    else:
        await asyncio.sleep(random.random() * SECONDS)
    await _goes_on(setup, doomed, file_id)


async def _count(scene: Scene, data: bytes) -> int:
    """The steps of deriving. None where another server was the first to claim the file."""
    while not (found := await _at_step(scene, data, 0, 0.0)):
        pass
    return found


async def _at_step(scene: Scene, data: bytes, last: int, moment: float) -> int:
    """Let a server die at step `last` of deriving, never at 0; returns its steps."""
    setup, log = scene.setup, scene.folder / f"steps{next(scene.numbers)}"
    with at_step("deriving", log):
        before = VICTIM.format(log=str(log), last=last, moment=moment) + ARMED.format(log=str(log))
        doomed = await setup.servers.start(before=before)
        file_id = await _put(doomed, data)
        await eventually(lambda: _is_over(setup, doomed, file_id), 30)
        await _goes_on(setup, doomed, file_id)
    return len(steps_in(log))


async def _goes_on(setup: Setup, doomed: Process, file_id: str) -> None:
    """Kill a server, if it lives; another one makes the images of the file, once."""
    survivor = setup.server
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


def _row(name: str, where: str, home: str, few: int) -> Fault:
    return Fault(
        name=name,
        title=f"killed while images are made: {where}",
        how="SIGKILL of the child up to three times, of the server, and of the server before or "
        "during each write while it derives; another server goes on",
        holds="six images in the end, each whole, usage exact, no child left behind",
        trials=TRIALS,
        quick=30,
        few=few,
        setup=partial(scene, home),
        trial=trial,
    )


ROWS = (
    _row("images-killed", "MongoDB", "mongo", 3),
    _row("images-killed-local", "directory", "file", 0),
)
