"""A server is killed while files get other bytes, at any moment and at each write of it.

In half of the trials clients of two owners replace, hide, restore and read their files all the
time. In the others one replacement dies before or during each of its writes, to the deletion of the
old bytes. Another server goes on: a file always serves one whole version, the last one of which its
client was told, and nothing else is stored or charged.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from bson import ObjectId
from PIL import Image

from lading.janitor.verify import recount
from lading.storage.blobs.directory import Directory
from tests.faults.every_step import EveryStep, at_step, steps_in
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.lanes import HELD, VICTIM
from tests.faults.setups import Setup, serving
from tests.faults.swap_clients import Clients, Versions
from tests.support.blobs import kept
from tests.support.users import JWT

TRIALS = 200

EAGER = """
from lading.server.limits import USUAL_LIMITS
object.__setattr__(USUAL_LIMITS.uploads, "todo_poll_seconds", 0.3)
"""

BRIEF = """
object.__setattr__(USUAL_LIMITS.uploads, "replaced_seconds", 0.0)
object.__setattr__(USUAL_LIMITS.uploads, "replaced_rate", 1e12)
"""
"""The old bytes are deleted at once: that belongs to the steps."""

SECONDS = 1.0
"""The kill strikes so soon after the clients have begun."""

LATER = 3 * 24 * 3600.0
"""By then readers of old bytes, uploads that nobody finishes, and tombstones are over."""

OWNERS = {"ann": 10**9, "bob": 600_000}
"""Their quotas. Bob is refused now and then."""


@dataclass
class Scene:
    """A server that lives on, and which step of a replacement is whose turn."""

    setup: Setup
    folder: Path
    steps: EveryStep[str]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def held(self) -> Path:
        """While this is there, servers leave the outbox to the victim."""
        return self.folder / "held"


def _before(folder: Path) -> str:
    return EAGER + HELD.format(held=str(folder / "held"))


@asynccontextmanager
async def scene(home: str, base: Base, folder: Path) -> AsyncIterator[Scene]:
    """A scene whose files live in MongoDB, or in a directory."""
    chosen: dict[str, Any] = dict(JWT)
    if home == "file":
        Directory(str(folder / "files"), create=True).close()
        chosen["blobs"] = f"file://{folder / 'files'}"
    url = base.database(folder.name)
    async with serving(url, folder, before=(_before(folder),), **chosen) as setup:
        yield Scene(setup, folder, EveryStep(("replacing",), TRIALS // 2))


async def trial(scene: Scene, trial: Trial) -> None:
    if trial.number % 2:
        turn = replace(trial, number=trial.number // 2)
        last = await scene.steps.last(turn, lambda: _at_step(scene, Random(0), 0))
        await _at_step(scene, trial.random, last)
    else:
        await _at_any_moment(scene, trial.random)


async def _at_any_moment(scene: Scene, random: Random) -> None:
    """Kill the server that all clients use."""
    setup, clients = scene.setup, Clients(scene.setup, random)
    successor = await setup.servers.spare(before=_before(scene.folder))
    for owner, quota in OWNERS.items():
        await clients.allow(owner, quota)
    await asyncio.gather(
        *(
            clients.make(owner, tag)
            for owner, tag in (("ann", "one"), ("ann", "two"), ("bob", "one"))
        ),
        *(clients.make("ann", "photo", photo=True) for _ in range(random.random() < 0.3)),
    )
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for file in clients.files:
            group.create_task(clients.write_on(file, over))
        for _ in range(2):
            group.create_task(clients.read_on(over))
        await asyncio.sleep(random.random() * SECONDS)
        setup.servers.kill(setup.server)
        setup.server = successor
        await asyncio.sleep(0.3)
        over.set()
    await _check(scene, clients)


async def _at_step(scene: Scene, random: Random, last: int) -> int:
    """Let a server die at step `last` of one replacement, never at 0; returns its steps."""
    setup, log = scene.setup, scene.folder / f"steps{next(scene.numbers)}"
    clients = Clients(setup, random)
    dying = VICTIM.format(log=str(log), last=last, moment=random.uniform(0, 0.01))
    survivor = setup.server
    victim = await setup.servers.start(before=EAGER + BRIEF + dying)
    with at_step("replacing", log):
        file = await clients.make("ann", "one")
        upload_id = await clients.upload(file)
        assert upload_id is not None
        scene.held.touch()
        try:
            log.touch()
            setup.server = victim
            told = await clients.finish(file, upload_id, insist=False)
            await eventually(lambda: _is_over(victim, setup, upload_id), 30)
        finally:
            setup.servers.kill(victim)
            setup.server = survivor
            scene.held.unlink()
        await clients.read(file)
        then = random.choice(("nothing", "again", "another", "hidden"))
        if then == "again" and not told:
            await clients.finish(file, upload_id)
        elif then == "another":
            await clients.put(file)
        elif then == "hidden":
            await clients.hide(file)
        await _check(scene, clients)
    return len(steps_in(log))


async def _is_over(victim: Any, setup: Setup, upload_id: str) -> bool:
    found = await setup.inspector.manifests.get(upload_id)
    assert found is not None
    return victim.child.poll() is not None or (found.emptied and not found.todo)


# -- what must hold


async def _check(scene: Scene, clients: Clients) -> None:
    """Everything comes to its end; then just the files are stored, and charged."""
    setup = scene.setup
    await _end_claims(setup)
    await eventually(lambda: _has_settled(setup), 120)
    numbers = [await _check_file(setup, clients, file) for file in clients.files]
    for owner in OWNERS:
        found = await recount(
            setup.inspector.manifests,
            setup.inspector.quotas,
            owner,
            now=setup.inspector.clock(),
            correct=False,
        )
        assert found is None, found
    await _check_stored(setup, clients)
    for file, number in zip(clients.files, numbers, strict=True):
        assert await _check_file(setup, clients, file) == number, "it changed later"
    await clients.close()
    setup.servers.check_logs()
    await setup.inspector.clear()


async def _end_claims(setup: Setup) -> None:
    """The claims of who was killed end in 30 seconds; let them end now."""
    living = {"state": {"$in": ["ready", "trashed", "replacing"]}, "todo.0": {"$exists": True}}
    await setup.inspector.database.manifests.update_many(living, {"$set": {"todo_at": 0.0}})


async def _has_settled(setup: Setup) -> bool:
    """Whether no replacement is under way, and no file has steps left."""
    living = {"state": {"$in": ["ready", "trashed"]}, "todo.0": {"$exists": True}}
    unsettled = [{"state": "replacing"}, {"former": {"$ne": None}}, living]
    return not await setup.inspector.database.manifests.count_documents({"$or": unsettled})


async def _check_file(setup: Setup, clients: Clients, file: Versions) -> int:
    """A file is there with one version, all that was said of it, and its images; the number."""
    answer = await clients.insist(file.owner, "GET", f"/v1/files/{file.id}")
    assert answer.status_code == 200, answer.text
    number = file.check(answer.content, file.heard)
    found = await setup.inspector.manifests.get(file.id)
    assert found is not None
    assert (found.size, found.tags) == (len(answer.content), (file.tag,))
    if file.photo:
        width, height = Image.open(BytesIO(answer.content)).size
        assert found.media is not None
        assert (found.media["width"], found.media["height"]) == (width, height)
        assert set(found.pictures) == {"1", "2", "3", "4", "5", "6"}
        for quality, stored in found.pictures.items():
            path = f"/v1/files/{file.id}/{quality}"
            image = await clients.insist(file.owner, "GET", path)
            assert (image.status_code, len(image.content)) == (200, stored.size), image.text
    return number


async def _check_stored(setup: Setup, clients: Clients) -> None:
    """After the janitor's work of some days only the files are left, and each account is exact."""
    inspector, database = setup.inspector, setup.inspector.database
    for _ in range(3):
        report = await inspector.sweeper(later=LATER).sweep()
        assert report.failed == 0
    files = [each async for each in inspector.manifests.every()]
    assert {each.id for each in files} == {each.id for each in clients.files}, "other manifests"
    pieces: Counter[str] = Counter()
    async for piece in database.chunks.find({}, {"upload_id": 1, "size": 1}):
        pieces[str(piece["upload_id"])] += piece["size"]
    assert pieces == {each.key: each.size for each in files}, "other pieces"
    pictures = {(each.key, name) for each in files for name in each.pictures}
    for home, driver in inspector.blobs.items():
        here = {each.key for each in files if each.blobs == home}
        assert await kept(driver) == here, f"other bytes in {home}"
    for key, name in pictures:
        home = next(each.blobs for each in files if each.key == key)
        assert await inspector.blobs[home].picture(key, name) is not None
    for owner in OWNERS:
        await _check_account(setup, clients, owner)
    assert await inspector.findings() == []


async def _check_account(setup: Setup, clients: Clients, owner: str) -> None:
    inspector, later = setup.inspector, setup.inspector.clock() + LATER
    found = await recount(inspector.manifests, inspector.quotas, owner, now=later, correct=True)
    assert found is None, found
    files = [each async for each in inspector.manifests.charged(owner)]
    used = sum(each.charged for each in files)
    usage = (await clients.insist(owner, "GET", "/v1/usage")).json()
    assert (usage["used"], usage["reserved"]) == (used, 0), (usage, used)
    assert {ObjectId(each.id) for each in files} == {
        ObjectId(each.id) for each in clients.files if each.owner == owner
    }


def _row(name: str, where: str, home: str, few: int) -> Fault:
    return Fault(
        name=name,
        title=f"server killed while files get other bytes: {where}",
        how="SIGKILL at any moment while clients of two owners replace, trash, restore and read "
        "their files, in every second trial before or during each write of a replacement, to the "
        "deletion of the old bytes; another server goes on",
        holds="a file is never gone, serves one whole version, and none before the last that its "
        "client was told; images are those of its bytes; nothing else is stored after the "
        "janitor's work, the accounts are exact",
        trials=TRIALS,
        quick=24,
        few=few,
        setup=partial(scene, home),
        trial=trial,
        seconds=300.0,
    )


ROWS = (
    _row("swap-killed", "MongoDB", "mongo", 3),
    _row("swap-killed-local", "directory", "file", 0),
)
