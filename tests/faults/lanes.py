"""Lanes: each has a database, three homes, a server, and victims that die at a step of their work.

Trials that run at the same time have lanes of their own, so that no server does the work of
another's victim. For the same reason the outbox of a lane's server is held while a victim lives.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bson import ObjectId

from lading.janitor.lost_parts import YOUNG_SECONDS, LostParts
from lading.janitor.move import Mover
from lading.protocol.manifest import Manifest, Piece, State
from lading.server.limits import USUAL_LIMITS
from lading.server.uploads.todo import Todo
from lading.storage.blobs.directory import Directory
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.collections.outbox import MOVE, PLACE, Claim
from lading.storage.free_space import FreeSpace
from lading.storage.open import Storage, assemble_storage
from tests.faults.fault import Base, NotHere
from tests.faults.inspector import eventually
from tests.faults.setups import Setup, serving, store
from tests.support.children import environment
from tests.support.seaweedfs import BUCKET, OWNER, SeaweedFS, program
from tests.support.servers import Process
from tests.support.wire import cells

EAGER = """
from lading.server.limits import USUAL_LIMITS
object.__setattr__(USUAL_LIMITS.uploads, "todo_poll_seconds", 0.05)
"""

HELD = """
import os
from lading.server.uploads.todo import Todo
once = Todo.once
async def unless_held(self):
    return 0 if os.path.exists({held!r}) else await once(self)
Todo.once = unless_held
"""

VICTIM = """
from tests.faults.stepping import watch
watch({log!r}, {last}, {moment})
"""

CLAIMED_SECONDS = 1000.0


@dataclass
class Lane:
    """One server that lives on, in `setup`; `storage` reaches all `homes`, by their kind."""

    setup: Setup
    storage: Storage
    homes: dict[str, str]
    settings: dict[str, object]
    folder: Path
    chunk: int
    todo: Todo
    before: str = ""
    """Python that runs first in every server."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    # -- processes

    @property
    def held(self) -> Path:
        return self.folder / "held"

    @contextmanager
    def holding(self) -> Iterator[None]:
        """The outbox of the lane's server waits."""
        self.held.touch()
        try:
            yield
        finally:
            self.held.unlink()

    def log(self) -> Path:
        """Where the steps of the next victim are noted."""
        return self.folder / f"steps{next(self.numbers)}"

    @asynccontextmanager
    async def victim(self, log: Path, last: int, moment: float) -> AsyncIterator[Process]:
        """A server that dies at a step, at the end in any case. It counts from now on."""
        dying = VICTIM.format(log=str(log), last=last, moment=moment)
        victim = await self.setup.servers.start(before=self.before + EAGER + dying)
        await asyncio.to_thread(log.touch)
        try:
            yield victim
        finally:
            self.setup.servers.kill(victim)

    # -- files

    async def upload(self, data: bytes, *, finish: bool = True) -> str:
        """Upload to the server that lives; returns the id."""
        async with self.setup.server.http() as http:
            answer = await http.post("/v1/uploads", json={"name": "a.bin", "size": len(data)})
            upload_id = str(answer.raise_for_status().json()["_id"])
            for start, piece in cells(data, self.chunk):
                put = await http.put(f"/v1/uploads/{upload_id}/chunks/{start}", content=piece)
                put.raise_for_status()
            if finish:
                (await http.post(f"/v1/uploads/{upload_id}/finish", json={})).raise_for_status()
        return upload_id

    async def manifest(self, file_id: str) -> Manifest:
        found = await self.storage.manifests.get(file_id)
        assert found is not None
        return found

    async def send_to(self, file_id: str, home: str, seconds: float = 0.0) -> Claim:
        """Let the outbox move a file, after so many seconds; the claim on it until then."""
        now, manifest = self.storage.clock(), await self.manifest(file_id)
        claim = await self.storage.outbox.begin_move(
            manifest, home, now=now, claimed_until=now + seconds
        )
        assert claim is not None
        return claim

    async def bring(self, file_id: str, home: str) -> None:
        """Move a file, by this process."""
        await eventually(lambda: self.has_settled(file_id))
        if (await self.manifest(file_id)).blobs != home:
            assert await self.todo.work(await self.send_to(file_id, home, CLAIMED_SECONDS))

    async def copy(self, file_id: str, home: str) -> None:
        """Copy a file that is to be moved, as its mover does, and go no further."""
        # The clocks of two processes differ a little: by this one's the step may not be due yet.
        due = self.storage.clock() + CLAIMED_SECONDS / 2
        claim = await self.storage.outbox.claim(file_id, now=due, until=due + CLAIMED_SECONDS)
        assert claim is not None
        await self.storage.blobs[home].take(claim.manifest, self._pieces(claim.manifest))

    async def _pieces(self, manifest: Manifest) -> AsyncIterator[tuple[Piece, bytes]]:
        contents = self.storage.contents
        async for listed in contents.layout(manifest):
            yield listed, await contents.read(manifest, [listed])

    async def end_claim(self, file_id: str) -> None:
        """The claim of who was killed ends in 30 seconds; let it end now."""
        await self.storage.database.manifests.update_one(
            {"_id": ObjectId(file_id), "todo.0": {"$exists": True}}, {"$set": {"todo_at": 0.0}}
        )

    async def has_settled(self, file_id: str) -> bool:
        """Whether nothing is left to do for a file or a tombstone."""
        found = await self.storage.manifests.get(file_id)
        return found is None or not found.todo

    async def is_on_its_way(self, file_id: str) -> bool:
        """Whether a file is still to be moved."""
        return (await self.manifest(file_id)).move_to is not None

    # -- what must hold

    async def check_lives_at(self, file_id: str, home: str) -> None:
        """A file has come to its end: it lives in one home, and has bytes in no other."""
        await eventually(lambda: self.has_settled(file_id), 30)
        found = await self.manifest(file_id)
        assert found.state is State.READY
        assert (found.blobs, found.move_to, found.drop_at) == (home, None, ())
        assert await self.homes_of(file_id) == [home]

    async def homes_of(self, file_id: str) -> list[str]:
        """Where a file has bytes."""
        found = []
        for home in self.homes.values():
            if file_id in [each async for each in self.storage.blobs[home].uploads()]:
                found.append(home)
        return found

    async def delete(self, file_id: str) -> None:
        """Delete a file; nothing of it is left anywhere."""
        async with self.setup.server.http() as client:
            assert (await client.delete(f"/v1/files/{file_id}")).status_code == 204
        await eventually(lambda: self.has_settled(file_id), 30)
        assert await self.homes_of(file_id) == []

    async def check_nothing_left(self) -> None:
        """After two sweeps and the look for lost parts nothing is left of what is no file."""
        await self.setup.check_nothing_left(crashed=True)
        bucket = self.storage.blobs.bare(self.homes["s3"])
        assert isinstance(bucket, S3Blobs)
        later = self.storage.clock() + 2 * YOUNG_SECONDS
        await LostParts(self.storage.manifests, self.storage.blobs, lambda: later).abort()
        assert [each async for each in bucket.unfinished()] == []

    @asynccontextmanager
    async def reading(self, file_id: str, data: bytes) -> AsyncIterator[None]:
        """Read the file all the time; every answer is the whole file."""
        over = asyncio.Event()

        async def read() -> None:
            async with self.setup.server.http() as client:
                while not over.is_set():
                    answer = await client.get(f"/v1/files/{file_id}")
                    assert (answer.status_code, answer.content == data) == (200, True), answer
                    await asyncio.sleep(0.05)

        reader = asyncio.create_task(read())
        try:
            yield
        finally:
            over.set()
            await reader


@dataclass
class Lanes:
    """All lanes of a setup. Trials with numbers that follow each other have different ones."""

    all: list[Lane]

    def of(self, number: int) -> Lane:
        return self.all[number % len(self.all)]


@asynccontextmanager
async def lanes(
    base: Base, folder: Path, count: int, *, home: str, chunk: int, before: str = ""
) -> AsyncIterator[Lanes]:
    """Up to `count` lanes whose servers have a home of the kind `home`, all with one SeaweedFS.

    There is no lane that no trial would have.
    """
    if not program().exists():
        raise NotHere("SeaweedFS is not installed; run scripts/install test")
    async with AsyncExitStack() as stack:
        node = await store(base, folder, stack)
        stack.enter_context(environment(OWNER.environment))
        made = [
            _lane(base, folder / str(number), node, home=home, chunk=chunk, before=before)
            for number in range(min(count, base.trials or count))
        ]
        yield Lanes(await asyncio.gather(*map(stack.enter_async_context, made)))


@asynccontextmanager
async def _lane(
    base: Base, folder: Path, node: SeaweedFS, *, home: str, chunk: int, before: str
) -> AsyncIterator[Lane]:
    await asyncio.to_thread(folder.mkdir)
    name = f"{folder.parent.name}-{folder.name}"
    url, directory = base.database(name), folder / "files"
    Directory(str(directory), create=True).close()
    homes = {"mongo": "mongo", "file": f"file://{directory}", "s3": f"s3://{BUCKET}/{name}"}
    settings: dict[str, Any] = {"blobs": homes[home], "chunk_size": chunk, "janitor": "false"}
    settings |= {"janitor_pace": 0, **node.settings()}
    eager = before + EAGER + HELD.format(held=str(folder / "held"))
    async with serving(url, folder, before=(eager,), **settings) as setup:
        inspector = setup.inspector
        storage = assemble_storage(
            inspector.database, inspector.clock, FreeSpace(inspector.database), s3=node.options()
        )
        inspector.blobs = {each: storage.blobs[each] for each in homes.values()}
        mover = Mover(storage.manifests, storage.outbox, storage.contents, storage.blobs)
        steps = {PLACE: mover.place, MOVE: mover.move}
        todo = Todo(storage.manifests, storage.outbox, steps, storage.clock, USUAL_LIMITS.uploads)
        try:
            yield Lane(
                setup,
                storage,
                homes,
                {"database_url": url, "data": folder, **settings},
                folder,
                chunk,
                todo,
                before,
            )
        finally:
            await storage.blobs.close()


def ended(victim: Process) -> bool:
    """Whether a victim has died by itself."""
    return victim.child.poll() is not None


async def until_done(lane: Lane, victim: Process, file_id: str) -> None:
    """Wait until a victim has died, or has nothing left to do for a file."""

    async def done() -> bool:
        return ended(victim) or await lane.has_settled(file_id)

    await eventually(done, 60)
