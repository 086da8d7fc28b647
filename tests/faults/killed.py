"""A server is killed at every step of publishing, moving and deleting, with each driver.

It works off its own outbox, and dies right before, or during, a step of that. Then another server
answers what it was asked, and works off what is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx

from lading.storage.blobs.local import LocalBlobs
from tests.faults.every_step import Context, EveryStep, at_step, steps_in, trial_of
from tests.faults.fault import Base, Fault
from tests.faults.inspector import eventually
from tests.faults.lanes import Lane, lanes, until_done
from tests.faults.setups import CHUNK
from tests.support.servers import Process

MIB = 2**20

TRIALS = 200

AT_ONCE = 3


class Act(StrEnum):
    """What the server is asked, or finds in its outbox, when it dies."""

    PUBLISH = "FINISH"
    ABORT = "DELETE before FINISH"
    SHOW = "make public"
    MOVE = "move"
    DELETE = "DELETE"
    DELETE_MOVING = "DELETE in the middle of a move"


@dataclass(frozen=True, slots=True)
class Scenario:
    """An act on a file of so many cells that lives at `source`, and at `target` afterwards."""

    act: Act
    source: str = ""
    target: str = ""
    cells: float = 2.5

    def __str__(self) -> str:
        return f"{self.act} {self.source or 'new'} to {self.target or 'nothing'}, {self.cells}"


MONGO = (
    Scenario(Act.PUBLISH, "", "mongo"),
    Scenario(Act.DELETE, "mongo"),
    Scenario(Act.ABORT),
    Scenario(Act.MOVE, "file", "mongo"),
    Scenario(Act.MOVE, "s3", "mongo"),
)

LOCAL = (
    Scenario(Act.PUBLISH, "", "file"),
    Scenario(Act.SHOW, "file", "file"),
    Scenario(Act.DELETE, "file"),
    Scenario(Act.ABORT),
    Scenario(Act.MOVE, "mongo", "file"),
    Scenario(Act.MOVE, "s3", "file"),
)

S3_CHUNK = MIB

S3 = (
    Scenario(Act.PUBLISH, "", "s3"),
    Scenario(Act.PUBLISH, "", "s3", 9.5),  # in two parts
    Scenario(Act.MOVE, "file", "s3"),
    Scenario(Act.DELETE, "s3"),
    Scenario(Act.DELETE_MOVING, "mongo", "s3"),
)


@asynccontextmanager
async def _setup(
    home: str, chunk: int, scenarios: tuple[Scenario, ...], base: Base, folder: Path
) -> AsyncIterator[Context[Scenario]]:
    async with lanes(base, folder, AT_ONCE, home=home, chunk=chunk) as made:
        yield Context(made, EveryStep(scenarios, TRIALS))


async def strike(lane: Lane, scenario: Scenario, random: Random, last: int) -> int:
    """Let a server die at step `last` of a scenario, check what follows; returns its steps."""
    data = random.randbytes(int(scenario.cells * lane.chunk) - random.randrange(lane.chunk // 2))
    log = lane.log()
    with at_step(scenario, log):
        file_id = await _prepare(lane, scenario, data)
        watching = lane.reading(file_id, data) if scenario.act in READ else nullcontext()
        async with watching:
            with lane.holding():
                async with lane.victim(log, last, random.uniform(0, 0.01)) as victim:
                    told = await _act(lane, scenario, victim, file_id)
                    await until_done(lane, victim, file_id)
                await lane.end_claim(file_id)
            if scenario.act in READ:
                await lane.check_lives_at(file_id, lane.homes[scenario.target])
        if scenario.act in DELETED:
            await _check_deleted(lane, scenario, file_id)
        else:
            await _check_file(lane, scenario, file_id, data, told)
        await lane.check_nothing_left()
        await lane.setup.inspector.clear()
    return len(steps_in(log))


READ = (Act.MOVE, Act.SHOW)
DELETED = (Act.ABORT, Act.DELETE, Act.DELETE_MOVING)


async def _prepare(lane: Lane, scenario: Scenario, data: bytes) -> str:
    """The upload or file as it is before; its id."""
    if scenario.act in (Act.PUBLISH, Act.ABORT):
        return await lane.upload(data, finish=False)
    if scenario.act is not Act.DELETE_MOVING:
        file_id = await lane.upload(data)
        await lane.bring(file_id, lane.homes[scenario.source])
        return file_id
    with lane.holding():
        file_id = await lane.upload(data)
        await lane.copy(file_id, lane.homes[scenario.target])
    return file_id


async def _act(
    lane: Lane, scenario: Scenario, victim: Process, file_id: str
) -> httpx.Response | None:
    """Ask the victim for it, or put it into the outbox; its answer, None without one."""
    if scenario.act is Act.MOVE:
        await lane.send_to(file_id, lane.homes[scenario.target])
        return None
    async with victim.http() as http:
        try:
            return await _ask(http, scenario.act, file_id)
        except httpx.TransportError:
            return None


async def _ask(http: httpx.AsyncClient, act: Act, file_id: str) -> httpx.Response:
    match act:
        case Act.PUBLISH:
            answer = await http.post(f"/v1/uploads/{file_id}/finish", json={})
        case Act.SHOW:
            answer = await http.patch(f"/v1/files/{file_id}", json={"public": True})
        case Act.ABORT:
            answer = await http.delete(f"/v1/uploads/{file_id}")
        case _:
            answer = await http.delete(f"/v1/files/{file_id}")
    assert answer.is_success, answer.text
    return answer


async def _check_file(
    lane: Lane, scenario: Scenario, file_id: str, data: bytes, told: httpx.Response | None
) -> None:
    """Another server gives the same answer; the file is whole, where it belongs."""
    if scenario.act is not Act.MOVE:
        async with lane.setup.server.http() as http:
            answers = [await _ask(http, scenario.act, file_id) for _ in range(2)]
        if scenario.act is Act.PUBLISH:
            first, *others = map(_said, answers if told is None else [told, *answers])
            assert all(each == first for each in others), (first, others)
    await lane.check_lives_at(file_id, lane.homes[scenario.target])
    await lane.setup.inspector.check_served(lane.setup.server, file_id, data)
    if scenario.act is Act.SHOW:
        driver = lane.storage.blobs.bare(lane.homes["file"])
        assert isinstance(driver, LocalBlobs)
        path = await driver.path(await lane.manifest(file_id))
        assert path == f"public/{file_id[-2:]}/{file_id}/0"
    await lane.delete(file_id)


def _said(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says of a file, except where its bytes are."""
    manifest: dict[str, Any] = answer.json()
    return {name: value for name, value in manifest.items() if name != "blobs"}


async def _check_deleted(lane: Lane, scenario: Scenario, file_id: str) -> None:
    """It is there or it is gone; another DELETE leaves nothing of it."""
    async with lane.setup.server.http() as http:
        found = await http.get(f"/v1/manifests/{file_id}")
        assert found.status_code in (200, 404), found.text
        if found.status_code == 200:
            await _ask(http, scenario.act, file_id)
        assert (await http.get(f"/v1/files/{file_id}")).status_code == 404
    await eventually(lambda: lane.has_settled(file_id), 30)
    assert await lane.homes_of(file_id) == []
    assert await lane.setup.inspector.pieces(file_id) == {}


_HOW = (
    "SIGKILL before or during each write of the database, change of the directory and request that "
    "changes the bucket, while the server works off its own outbox"
)
_HOLDS = (
    "another server gives the same answers; no byte is lost, the file is in one home or gone, "
    "nothing is left over after two sweeps, the account is exact"
)


def _row(name: str, title: str, home: str, chunk: int, scenarios: tuple[Scenario, ...]) -> Fault:
    return Fault(
        name=name,
        title=f"server killed at every step of publish, move, delete: {title}",
        how=_HOW,
        holds=_HOLDS,
        trials=TRIALS,
        quick=4 * len(scenarios),
        few=2,
        setup=partial(_setup, home, chunk, scenarios),
        trial=trial_of(strike),
        at_once=AT_ONCE,
        seconds=180.0,
    )


ROWS = (
    _row("mongo-killed", "MongoDB", "mongo", CHUNK, MONGO),
    _row("local-killed", "directory", "file", CHUNK, LOCAL),
    _row("s3-killed", "S3", "s3", S3_CHUNK, S3),
)
