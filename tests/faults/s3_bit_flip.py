"""Bit flip in an object: on the disk of SeaweedFS, or because another object was written there.

Whoever reads over it never gets wrong bytes as right ones, and the audit names the piece.
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from bson import ObjectId

from lading.storage.blobs.s3 import S3Blobs
from tests.faults.bit_flip import CELLS, Damage, downloaded, loud, sha256_of
from tests.faults.bit_flip import Context as Downloads
from tests.faults.bit_flip import command as verify
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.lanes import EAGER
from tests.faults.setups import CHUNK, Setup, send, serving
from tests.support.children import environment
from tests.support.direct import put
from tests.support.seaweedfs import BUCKET, OWNER, SeaweedFS, seaweedfs
from tests.support.wire import cells

KINDS = ("object", "disk", "object", "disk", "direct")
"""Another object is in its place; a bit of the store's own files is flipped; another object is in
place of one that a client sent to the bucket."""


@dataclass
class Context:
    setup: Setup
    downloads: Downloads
    weed: SeaweedFS
    home: S3Blobs
    settings: dict[str, object]


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Context]:
    async with AsyncExitStack() as stack:
        weed = await asyncio.to_thread(stack.enter_context, seaweedfs(folder / "weed"))
        stack.enter_context(environment(OWNER.environment))
        address, url = f"s3://{BUCKET}/{folder.name}", base.database(folder.name)
        settings: dict[str, Any] = {"blobs": address, **weed.settings()}
        made = await stack.enter_async_context(serving(url, folder, before=(EAGER,), **settings))
        home = S3Blobs(address, made.inspector.chunks, weed.options())
        stack.push_async_callback(home.close)
        made.inspector.blobs[address] = home
        yield Context(made, Downloads(made, url, folder), weed, home, settings)


async def trial(context: Context, trial: Trial) -> None:
    random, setup = trial.random, context.setup
    data = random.randbytes(random.randint(1, CELLS * CHUNK))
    kind, name = KINDS[trial.number % len(KINDS)], f"flip-{trial.number}"
    file_id = await _announce(setup, data, name) if kind == "direct" else await _file(context, data)
    start, piece = random.choice(cells(data, CHUNK))
    place = start + random.randrange(len(piece))
    flipped = data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    if kind == "disk":
        await asyncio.to_thread(_flip_on_disk, context.weed.data, data, flipped, start, place)
    else:
        await context.home.client.call(
            "put_object", Key=context.home.key(file_id), Body=flipped, ContentType="text/plain"
        )
    damage = Damage(kind, file_id, start, start + len(piece), {})
    await _read(context, random, data, damage)
    await downloaded(context.downloads, data, damage)
    await _audited(context, damage, by_command=trial.number % 10 == 0)


async def _file(context: Context, data: bytes) -> str:
    """A file that has moved to the bucket; its id."""
    setup = context.setup
    file_id = (await send(setup.server, data, "a.bin")).id
    there = {"_id": ObjectId(file_id), "blobs": context.home.name, "todo": [], "drop_at": []}

    async def moved() -> bool:
        return await setup.inspector.database.manifests.find_one(there) is not None

    await eventually(moved, 30)
    return file_id


async def _announce(setup: Setup, data: bytes, name: str) -> str:
    """A file that its client sent to the bucket; its id."""
    about = {"name": name, "size": len(data), "sha256": sha256_of(data)}
    async with setup.server.http() as http:
        told = (await http.post("/v1/media", json=about)).raise_for_status().json()
        (await put(told["upload"], data)).raise_for_status()
        file_id = str(told["media"]["_id"])
        (await http.post(f"/v1/media/{file_id}/finalize")).raise_for_status()
    return file_id


def _flip_on_disk(folder: Path, data: bytes, flipped: bytes, start: int, place: int) -> None:
    """Flip the bit where the store keeps it."""
    for volume in folder.glob("**/*.dat"):
        with volume.open("r+b") as file, mmap.mmap(file.fileno(), 0) as stored:
            found = stored.find(data[start : start + CHUNK])
            if found >= 0:
                stored[found + place - start] = flipped[place]
                return
    raise AssertionError("the piece is in no volume of the store")


async def _read(context: Context, random: Random, data: bytes, damage: Damage) -> None:
    """What lies over the piece fails loudly; elsewhere right bytes are served, or none.

    A store that notices the damage may serve nothing of the object.
    """
    inside = random.randrange(damage.start, damage.end)
    over = (random.randint(0, inside), random.randint(inside + 1, len(data)))
    async with context.setup.server.http() as http:
        for wanted in (None, over, (inside, inside + 1)):
            await loud(http, damage.upload_id, data, wanted, hole=False)
        for first, end in ((0, damage.start), (damage.end, len(data))):
            if first == end:
                continue
            answer = await http.get(
                f"/v1/files/{damage.upload_id}", headers={"Range": f"bytes={first}-{end - 1}"}
            )
            if damage.kind == "object":
                assert answer.status_code == 206, answer.text[:300]
            if answer.is_success:
                assert damage.kind != "direct", "another object is served"
                assert answer.content == data[first:end], "other bytes are served"


async def _audited(context: Context, damage: Damage, *, by_command: bool) -> None:
    """The audit names the piece, and nothing else of this file."""
    if by_command:
        found = await verify(context.downloads.url, **context.settings)
    else:
        findings = await context.setup.inspector.findings()
        found = [(each.kind, each.id, each.detail) for each in findings]
    ((kind, detail),) = [(kind, text) for kind, each, text in found if each == damage.upload_id]
    assert kind == "damaged"
    if damage.kind == "object":
        assert str(damage.start) in detail, f"{detail!r} does not name {damage.start}"


async def settle(context: Context) -> None:
    """The damaged files can be deleted; nothing is left."""
    setup = context.setup
    async with setup.server.http() as http:
        for file_id in await setup.inspector.states():
            (await http.delete(f"/v1/files/{file_id}")).raise_for_status()
    await setup.check_nothing_left()
    assert [each async for each in context.home.uploads()] == []
    await setup.inspector.clear()


FAULT = Fault(
    name="s3-bit-flip",
    title="bit flip in an S3 object",
    how="one bit is flipped in the files of SeaweedFS, or an object with another bit is written in "
    "the place of the file's; every fifth file was sent to the bucket by its client",
    holds="every read over it fails loudly or breaks off, ranges elsewhere are right, "
    "`lading janitor verify` names the piece, the files can be deleted",
    trials=100,
    quick=20,
    few=5,
    setup=setup,
    trial=trial,
    settle=settle,
    at_once=5,
    seconds=180.0,
)
