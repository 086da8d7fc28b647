"""Two at one upload: the whole of one between any two operations of the other, each a process of
its own. There is one outcome, nothing is left behind, and the account is exact without a recount.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import LadingError
from lading.protocol.manifest import State
from lading.protocol.spec import UploadSpec
from lading.server.uploads import OpenUpload
from lading.storage.database import Database
from tests.support.clock import NOW
from tests.support.parts import ANN, CELL, TOMBSTONE_TTL, TTL, Parts, settings
from tests.support.steps import Steps

PIECE = bytes(range(256)) * (CELL // 256)
KEPT = CELL


@dataclass
class Side:
    """One process, with the upload open since before anything happened to it."""

    parts: Parts
    upload: OpenUpload

    @property
    def id(self) -> str:
        return self.upload.manifest.id

    async def write(self, cell: int, size: int = CELL) -> None:
        data = PIECE[:size]
        await self.parts.uploads.write(self.upload, cell * CELL, data, crc32c(data))


Deed = Callable[[Side], Awaitable[object]]


async def write(side: Side) -> None:
    await side.write(2)


async def write_again(side: Side) -> None:
    await side.write(0)


async def finish(side: Side) -> None:
    file = await side.parts.uploads.finish(ANN, side.id, 2 * CELL)
    assert (file.state, file.size) == (State.READY, 2 * CELL)


async def finish_longer(side: Side) -> None:
    await side.write(2)
    file = await side.parts.uploads.finish(ANN, side.id, 3 * CELL)
    assert (file.state, file.size) == (State.READY, 3 * CELL)


async def finish_with_digest(side: Side) -> None:
    wrong = "0" * 64
    await side.parts.uploads.finish(ANN, side.id, 2 * CELL, wrong)


async def remove(side: Side) -> None:
    await side.parts.uploads.delete(ANN, side.id)


async def reopen(side: Side) -> None:
    await side.parts.uploads.resume(ANN, side.id)


async def replace_bytes(side: Side) -> None:
    await side.parts.uploads.begin_again(side.upload)


async def expire(side: Side) -> None:
    side.parts.clock.now = NOW + TTL
    await side.parts.sweeper.sweep()
    side.parts.clock.now = NOW


async def sweep(side: Side) -> None:
    await side.parts.sweeper.sweep()


async def recount(side: Side) -> None:
    assert await side.parts.recount("ann") is None


KNOWN: list[Deed] = [write_again, finish, finish_with_digest, remove, reopen, expire]
KNOWN += [replace_bytes, recount]
UNKNOWN: list[Deed] = [write, finish, finish_longer, remove, expire, sweep]
UNKNOWN += [replace_bytes, recount]

NOT_OF_BYTES = (reopen, recount)
"""What has nothing to do with where the bytes are."""


class Beginning:
    """A file and an upload under way, as often as they are needed.

    `folder` is the directory of a local home, whose files are put back, too.
    """

    def __init__(self, parts: Parts, folder: Path | None) -> None:
        self._parts = parts
        self._folder = folder
        # Not durable, since nothing is lost here: that is many times as fast.
        self._fast = parts.database.client.get_default_database()
        self._documents: dict[str, list[Any]] = {}
        self.id = ""

    async def prepare(self, size: int | None) -> None:
        for name in ("manifests", "chunks", "quotas"):
            await self._fast[name].delete_many({})
        await self._upload("kept", KEPT, KEPT // CELL)
        await self._parts.uploads.finish(ANN, self.id)
        await self._upload("upload", size, 2)
        for name in ("manifests", "chunks", "quotas"):
            self._documents[name] = await self._fast[name].find({}).to_list(None)
        if self._folder is not None:
            shutil.copytree(self._folder, f"{self._folder}-begin")

    async def _upload(self, name: str, size: int | None, cells: int) -> None:
        upload = await self._parts.uploads.create(ANN, UploadSpec(name=name, size=size))
        for cell in range(cells):
            await self._parts.uploads.write(upload, cell * CELL, PIECE, crc32c(PIECE))
        self.id = upload.manifest.id

    async def put_back(self) -> None:
        for name, documents in self._documents.items():
            await self._fast[name].delete_many({})
            await self._fast[name].insert_many(documents)
        if self._folder is not None:
            for each in ("incoming", "private", "public"):  # they are open, and stay
                _empty(self._folder / each)
            shutil.copytree(f"{self._folder}-begin", self._folder, dirs_exist_ok=True)


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()


async def attempt(side: Side, deed: Deed) -> str:
    try:
        await deed(side)
    except LadingError as error:
        return error.code
    return "done"


ALLOWED = {
    "done",
    "gone",
    "not-found",
    "already-complete",
    "checksum-mismatch",  # of the wrong digest
    "incomplete",
    "invalid-argument",  # of a FINISH with another size
    "unavailable",  # of one whose bytes are replaced meanwhile
}


async def check(parts: Parts, upload_id: str, told: str) -> None:
    manifest = await parts.manifests.get(upload_id)
    state = State.DELETED if manifest is None else manifest.state
    file = 0 if manifest is None or state is not State.READY else manifest.size
    account = await parts.quotas.account("ann")
    assert account.used == KEPT + (file or 0), told
    assert account.reserved == sum(account.open.values()), told
    if state is State.UPLOADING:
        assert set(account.open) == {upload_id}, told
        assert (manifest and manifest.attempt) or await parts.pieces(upload_id) >= 2, told
    else:
        assert dict(account.open) == {}, told
        parts.clock.now = NOW + TTL
        await parts.sweeper.sweep()
        parts.clock.now += TOMBSTONE_TTL
        await parts.sweeper.sweep()
    if state in (State.EXPIRED, State.DELETED):
        assert await parts.manifests.get(upload_id) is None
        assert await parts.pieces(upload_id) == 0, told
    assert await parts.audit() == [], told


async def interleave(
    database: Database,
    steps: Steps,
    first: Deed,
    second: Deed,
    size: int | None,
    *,
    folder: Path | None = None,
) -> None:
    home = settings() if folder is None else settings(blobs=f"file://{folder}")
    beginning = Beginning(Parts(database, chosen=home), folder)
    await beginning.prepare(size)
    number, taken = 0, 1
    while number < taken:
        number += 1
        await beginning.put_back()
        one, other = Parts(steps, chosen=home), Parts(database, chosen=home)
        sides = [Side(p, (await p.uploads.resume(ANN, beginning.id))[0]) for p in (one, other)]
        codes: list[str] = []

        async def between(side: Side = sides[1], codes: list[str] = codes) -> None:
            codes.append(await attempt(side, second))

        before = steps.taken
        steps.before(number, between)
        codes.append(await attempt(sides[0], first))
        taken = steps.taken - before
        steps.recover()
        told = f"{second.__name__} before operation {number} of {taken}: {codes}"
        assert set(codes) <= ALLOWED, told
        await check(other, beginning.id, told)
        for parts in (one, other):
            await parts.storage.blobs.close()


@pytest.mark.parametrize("first", KNOWN)
async def test_of_known_length(database: Database, steps: Steps, first: Deed) -> None:
    for second in KNOWN:
        await interleave(database, steps, first, second, 2 * CELL)


@pytest.mark.parametrize("first", UNKNOWN)
async def test_of_unknown_length(database: Database, steps: Steps, first: Deed) -> None:
    for second in UNKNOWN:
        await interleave(database, steps, first, second, None)


@pytest.mark.parametrize("first", [write_again, finish, remove, expire, replace_bytes])
async def test_of_known_length_in_a_directory(
    database: Database, steps: Steps, tmp_path: Path, first: Deed
) -> None:
    for number, second in enumerate(each for each in KNOWN if each not in NOT_OF_BYTES):
        await interleave(database, steps, first, second, 2 * CELL, folder=tmp_path / str(number))


@pytest.mark.parametrize("first", [write, finish, remove, expire, replace_bytes])
async def test_of_unknown_length_in_a_directory(
    database: Database, steps: Steps, tmp_path: Path, first: Deed
) -> None:
    for number, second in enumerate(each for each in UNKNOWN if each not in NOT_OF_BYTES):
        await interleave(database, steps, first, second, None, folder=tmp_path / str(number))
