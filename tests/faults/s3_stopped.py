"""S3 does not answer for a while, under load: no upload notices; the files move when it is back.

In every second trial SeaweedFS is killed and connections are refused; else it is stopped where it
is, so that requests hang.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from lading.storage.blobs.s3 import S3Blobs
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.lanes import EAGER
from tests.faults.setups import CHUNK, Setup, serving
from tests.support.children import environment
from tests.support.seaweedfs import BUCKET, OWNER, SeaweedFS, seaweedfs
from tests.support.wire import cells

UPLOADERS = 3

PAUSE = 0.5
"""Seconds that an uploader waits after each file: what was uploaded has to move, too."""

SLOWEST = 15.0
"""Seconds that an upload of a small file may take on a busy machine. One that waited for a stopped
S3 would take 30."""

CELLS = 4

BACK_SECONDS = 150.0
"""How long no file moves at the most: a step that failed often is tried every two minutes."""


@dataclass
class Site:
    """A server and its own S3."""

    setup: Setup
    weed: SeaweedFS
    home: S3Blobs


@dataclass
class Load:
    """What was uploaded, by the seed of its bytes, and how long the slowest upload took."""

    files: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0


@asynccontextmanager
async def setup(count: int, base: Base, folder: Path) -> AsyncIterator[list[Site]]:
    async with AsyncExitStack() as stack:
        stack.enter_context(environment(OWNER.environment))
        made = [_site(base, folder / str(number)) for number in range(count)]
        yield await asyncio.gather(*map(stack.enter_async_context, made))


@asynccontextmanager
async def _site(base: Base, folder: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        weed = await asyncio.to_thread(stack.enter_context, seaweedfs(folder / "weed"))
        name = f"{folder.parent.name}-{folder.name}"
        address = f"s3://{BUCKET}/{name}"
        settings: dict[str, Any] = {"blobs": address, **weed.settings()}
        made = await stack.enter_async_context(
            serving(base.database(name), folder, before=(EAGER,), **settings)
        )
        home = S3Blobs(address, made.inspector.chunks, weed.options())
        stack.push_async_callback(home.close)
        made.inspector.blobs[address] = home
        yield Site(made, weed, home)


async def trial(seconds: float, sites: list[Site], trial: Trial) -> None:
    site, load, over = sites[trial.number % len(sites)], Load(), asyncio.Event()
    killed = trial.number % 2 == 1
    async with asyncio.TaskGroup() as group:
        for number in range(UPLOADERS):
            random = Random(trial.random.random())
            group.create_task(_upload(site.setup, load, over, random, f"{trial.number}-{number}"))
        await asyncio.sleep(1)
        if killed:
            site.weed.weed.kill()
        else:
            site.weed.weed.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            if killed:
                site.weed.weed.start()
                await asyncio.to_thread(site.weed.until_ready)
            else:
                site.weed.weed.unpause()
        await asyncio.sleep(1)
        over.set()
    assert load.slowest < SLOWEST, f"an upload took {load.slowest:.1f} s"
    await _until_moved(site, load)
    assert {each async for each in site.home.uploads()} == set(load.files)
    for file_id, seed in load.files.items():
        await site.setup.inspector.check_served(site.setup.server, file_id, bytes_of(seed))
    await site.setup.check_nothing_left()
    await site.setup.inspector.clear()


async def _upload(setup: Setup, load: Load, over: asyncio.Event, random: Random, name: str) -> None:
    """Upload a file, and begin again."""
    async with setup.server.http() as http:
        while not over.is_set():
            seed, began = random.random(), time.monotonic()
            data = bytes_of(seed)
            answer = await http.post("/v1/uploads", json={"name": name, "size": len(data)})
            upload_id = str(answer.raise_for_status().json()["_id"])
            for start, piece in cells(data, CHUNK):
                put = await http.put(f"/v1/uploads/{upload_id}/chunks/{start}", content=piece)
                put.raise_for_status()
            (await http.post(f"/v1/uploads/{upload_id}/finish", json={})).raise_for_status()
            load.slowest = max(load.slowest, time.monotonic() - began)
            load.files[upload_id] = seed
            await asyncio.sleep(PAUSE)


def bytes_of(seed: float) -> bytes:
    """The bytes of a file; those of five minutes would take much memory."""
    random = Random(seed)
    return random.randbytes(random.randint(1, CELLS * CHUNK))


async def _until_moved(site: Site, load: Load) -> None:
    """Wait until all files live in the bucket, and nowhere else, as long as one after the other
    moves there."""
    database, moved = site.setup.inspector.database, -1
    there = {"blobs": site.home.name, "todo": [], "drop_at": []}

    async def more() -> bool:
        return bool(await database.manifests.count_documents(there) > moved)

    while moved < len(load.files):
        await eventually(more, BACK_SECONDS)
        moved = await database.manifests.count_documents(there)
    assert await database.chunks.find_one({"data": {"$exists": True}}) is None


def _row(name: str, title: str, seconds: float, *, trials: int, quick: int, few: int) -> Fault:
    return Fault(
        name=name,
        title=f"S3 stopped for {title} under load",
        how="three uploads at a time, one after the other, while SeaweedFS is stopped (SIGSTOP), "
        "in every second trial killed and started again",
        holds=f"every upload is done within {SLOWEST:.0f} s; all files move when S3 is back, are "
        "served, and live there only",
        trials=trials,
        quick=quick,
        few=few,
        setup=partial(setup, 2),
        trial=partial(trial, seconds),
        at_once=2,
        seconds=2 * seconds + 2 * BACK_SECONDS,
    )


ROWS = (
    _row("s3-stopped", "5 s", 5.0, trials=20, quick=4, few=2),
    _row("s3-stopped-long", "five minutes", 300.0, trials=2, quick=0, few=0),
)
