"""Bit flip in an object: on the disk of SeaweedFS, or because another object was written there.

Whoever reads over it never gets wrong bytes as right ones, and the audit names the piece.
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
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

KINDS = (*("object",) * 4, "direct", "disk", *("object",) * 3, "direct")
"""Another object is in its place; another object is in place of one that a client sent to the
bucket; a bit is flipped in the store's own files. SeaweedFS notices the last, and says so after
13 s."""


@dataclass
class Context:
    setup: Setup
    downloads: Downloads
    weed: SeaweedFS
    home: S3Blobs
    settings: dict[str, object]
    damaged: list[Damage] = field(default_factory=list)


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
    random, setup, kind = trial.random, context.setup, KINDS[trial.number % len(KINDS)]
    data = random.randbytes(random.randint(1, CELLS * CHUNK if kind != "disk" else CHUNK))
    if kind == "direct":
        file_id = await _announce(setup, data, f"flip-{trial.number}")
    else:
        file_id = await _file(context, data)
    start, piece = random.choice(cells(data, CHUNK))
    place = start + random.randrange(len(piece))
    flipped = data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    if kind == "disk":
        await asyncio.to_thread(_flip_on_disk, context.weed.data, data, flipped[place], place)
    else:
        key = context.home.key(file_id)
        await context.home.client.call("put_object", Key=key, Body=flipped)
    damage = Damage(kind, file_id, start, start + len(piece), {})
    context.damaged.append(damage)
    await _read(context, random, data, damage)
    if kind != "disk":
        await downloaded(context.downloads, data, damage)


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


def _flip_on_disk(folder: Path, data: bytes, byte: int, place: int) -> None:
    """Change a byte where the store keeps it."""
    for volume in folder.glob("**/*.dat"):
        with volume.open("r+b") as file, mmap.mmap(file.fileno(), 0) as stored:
            found = stored.find(data)
            if found >= 0:
                stored[found + place] = byte
                return
    raise AssertionError("the file is in no volume of the store")


async def _read(context: Context, random: Random, data: bytes, damage: Damage) -> None:
    """What lies over the piece fails loudly; elsewhere right bytes are served."""
    inside = random.randrange(damage.start, damage.end)
    over = (random.randint(0, inside), random.randint(inside + 1, len(data)))
    whole = [None] if damage.kind == "disk" else [None, over, (inside, inside + 1)]
    async with context.setup.server.http(timeout=60) as http:
        for wanted in whole:
            await loud(http, damage.upload_id, data, wanted, hole=False)
        for first, end in ((0, damage.start), (damage.end, len(data))):
            if first == end or damage.kind != "object":
                continue
            answer = await http.get(
                f"/v1/files/{damage.upload_id}", headers={"Range": f"bytes={first}-{end - 1}"}
            )
            assert answer.status_code == 206, answer.text[:300]
            assert answer.content == data[first:end], "other bytes are served"


async def settle(context: Context) -> None:
    """The audit names each damage and nothing else; the damaged files can be deleted."""
    setup = context.setup
    found = {each: (kind, told) for kind, each, told in await _audit(context)}
    assert set(found) == {each.upload_id for each in context.damaged}
    for damage in context.damaged:
        kind, told = found[damage.upload_id]
        assert kind == ("unreadable" if damage.kind == "disk" else "damaged"), (damage, told)
        if damage.kind != "direct":
            assert str(damage.start) in told, f"{told!r} does not name the piece at {damage.start}"
    async with setup.server.http() as http:
        for file_id in found:
            (await http.delete(f"/v1/files/{file_id}")).raise_for_status()
    await setup.inspector.check_nothing_left(setup.server)  # its log does tell of the damage
    assert [each async for each in context.home.uploads()] == []
    await setup.inspector.clear()
    context.damaged.clear()


async def _audit(context: Context) -> list[tuple[str, str, str]]:
    found = await verify(context.downloads.url, **context.settings)
    assert len(found) == len(context.damaged), found
    return found


FAULT = Fault(
    name="s3-bit-flip",
    title="bit flip in an S3 object",
    how="an object with another bit is written in the place of the file's; every fifth file was "
    "sent to the bucket by its client; in every tenth trial a bit flips in the files of SeaweedFS",
    holds="every read over it fails loudly or breaks off, ranges elsewhere are served, "
    "`lading janitor verify` names the piece, the files can be deleted",
    trials=100,
    quick=20,
    few=5,
    setup=setup,
    trial=trial,
    settle=settle,
    at_once=20,
    seconds=180.0,
)
