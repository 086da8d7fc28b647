"""One of three volume servers of SeaweedFS is killed, while files move there and are read there.

Each byte is on two of them (replication 001). The server is started again after each trial.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
from bson import ObjectId

from lading.storage.blobs.s3 import S3Blobs
from tests.faults.fault import Base, Fault, NotHere, Trial
from tests.faults.inspector import eventually
from tests.faults.lanes import EAGER
from tests.faults.setups import Setup, serving
from tests.support.children import environment
from tests.support.seaweedfs import BUCKET, OWNER, program
from tests.support.seaweedfs_cluster import Cluster, cluster
from tests.support.wire import cells

MIB = 2**20

SIZES = (MIB // 2, 3 * MIB, 9 * MIB)
"""Up to so many bytes: the last is sent in two parts."""

READS = 12
"""How often a file is read after the kill."""

MOVED_SECONDS = 60.0


@dataclass
class Context:
    setup: Setup
    cluster: Cluster
    home: S3Blobs


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Context]:
    if not program().exists():
        raise NotHere("SeaweedFS is not installed; run scripts/install test")
    async with AsyncExitStack() as stack:
        made = await asyncio.to_thread(stack.enter_context, cluster(folder / "weed"))
        await _until_whole(made)
        stack.enter_context(environment(OWNER.environment))
        address = f"s3://{BUCKET}/{folder.name}"
        settings: dict[str, Any] = {"blobs": address, "chunk_size": MIB, **made.s3.settings()}
        url = base.database(folder.name)
        setup = await stack.enter_async_context(serving(url, folder, before=(EAGER,), **settings))
        home = S3Blobs(address, setup.inspector.chunks, made.s3.options())
        stack.push_async_callback(home.close)
        setup.inspector.blobs[address] = home
        yield Context(setup, made, home)


async def _until_whole(made: Cluster) -> None:
    await eventually(lambda: asyncio.to_thread(made.is_whole), 60)


async def trial(context: Context, trial: Trial) -> None:
    """In every second trial the file has moved when the server is killed."""
    random, setup = trial.random, context.setup
    data = random.randbytes(random.randint(1, random.choice(SIZES)))
    volume = random.choice(context.cluster.volumes)
    file_id = await _upload(setup, data)
    try:
        if trial.number % 2:
            await eventually(lambda: lives_there(context, file_id), MOVED_SECONDS)
        else:
            await asyncio.sleep(random.uniform(0, 0.2))
        await asyncio.to_thread(volume.kill)
        for _ in range(READS):
            await _read(setup, file_id, data, random)
        while not await lives_there(context, file_id):
            await _read(setup, file_id, data, random)
        for _ in range(READS):
            await _read(setup, file_id, data, random)
    finally:
        volume.start()
        await _until_whole(context.cluster)
    await setup.inspector.check_served(setup.server, file_id, data)
    stored = await context.home.client.read(context.home.key(file_id), 0, len(data) + 1)
    assert stored == data, "other bytes are in the bucket"
    await setup.check_nothing_left()
    await setup.inspector.clear()


async def _upload(setup: Setup, data: bytes) -> str:
    async with setup.server.http() as http:
        answer = await http.post("/v1/uploads", json={"name": "a.bin", "size": len(data)})
        upload_id = str(answer.raise_for_status().json()["_id"])
        for start, piece in cells(data, MIB):
            put = await http.put(f"/v1/uploads/{upload_id}/chunks/{start}", content=piece)
            put.raise_for_status()
        (await http.post(f"/v1/uploads/{upload_id}/finish", json={})).raise_for_status()
    return upload_id


async def _read(setup: Setup, file_id: str, data: bytes, random: Random) -> None:
    """The whole file, or a range: the answer is right."""
    first = random.randrange(len(data))
    last = random.randrange(first, len(data))
    headers = {"Range": f"bytes={first}-{last}"}
    async with setup.server.http() as http:
        if random.random() < 0.5:
            answer: httpx.Response = await http.get(f"/v1/files/{file_id}")
            assert (answer.status_code, answer.content == data) == (200, True), answer.text[:300]
        else:
            answer = await http.get(f"/v1/files/{file_id}", headers=headers)
            assert answer.status_code == 206, answer.text[:300]
            assert answer.content == data[first : last + 1], "other bytes are served"


async def lives_there(context: Context, file_id: str) -> bool:
    """Whether the file lives in the bucket, and nowhere else."""
    found = await context.setup.inspector.database.manifests.find_one({"_id": ObjectId(file_id)})
    return (found["blobs"], found["todo"], found["drop_at"]) == (context.home.name, [], [])


FAULT = Fault(
    name="volume-killed",
    title="one of three volume servers of SeaweedFS killed",
    how="SIGKILL of one of three volume servers with replication 001 while a file moves there, in "
    "every second trial when it has moved; the file is read all the time",
    holds="every read is answered with the right bytes, the file moves, nothing is left over",
    trials=20,
    quick=4,
    few=1,
    setup=setup,
    trial=trial,
    seconds=180.0,
)
