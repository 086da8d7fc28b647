"""Trouble with S3: while files move there, requests of theirs fail in every way that S3 can fail.

The file is read all the time, from wherever it lives. When the trouble is over it has moved, and
is in one home only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import ObjectId

from lading.janitor.lost_parts import YOUNG_SECONDS, LostParts
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.blobs.s3_client import S3Client
from lading.storage.homes import Homes
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import eventually
from tests.faults.setups import CHUNK, Setup, serving, store
from tests.support.blobs import finished
from tests.support.children import environment
from tests.support.s3_proxy import TROUBLES, S3Proxy, s3_proxy
from tests.support.seaweedfs import BUCKET, OWNER
from tests.support.wire import cells, channel

REF = 2
LARGE = 8 * 2**20 + 5 * CHUNK
"""A file of two parts."""

MOST_TROUBLES = 9
"""More than the tries of one request, so some moves fail as a whole."""


@dataclass
class Context:
    setup: Setup
    proxy: S3Proxy
    home: S3Blobs


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Context]:
    async with AsyncExitStack() as stack:
        seaweed = await store(base, folder, stack)
        bucket = S3Client(BUCKET, seaweed.options())
        stack.push_async_callback(bucket.close)
        proxy = await stack.enter_async_context(s3_proxy(seaweed.url, bucket))
        address = f"s3://{BUCKET}/{folder.name}"
        stack.enter_context(environment(OWNER.environment))
        settings: dict[str, Any] = {"blobs": address, **seaweed.settings(proxy.url)}
        made = await stack.enter_async_context(
            serving(base.database(folder.name), folder, **settings)
        )
        home = S3Blobs(address, made.inspector.chunks, seaweed.options())
        stack.push_async_callback(home.close)
        yield Context(made, proxy, home)


async def trial(context: Context, trial: Trial) -> None:
    random, setup = trial.random, context.setup
    data = random.randbytes(random.choice((random.randint(1, 4 * CHUNK), LARGE)))
    kind = TROUBLES[trial.number % len(TROUBLES)]
    plan = [random.choice((kind, kind, "")) for _ in range(random.randint(1, MOST_TROUBLES))]
    async with channel(setup.server) as wire:
        upload_id = str((await wire.create(REF, len(data), name=f"s3-{trial.number}"))["id"])
        context.proxy.plans[upload_id] = plan
        for start, piece in cells(data, CHUNK):
            await wire.chunk(REF, start, piece)
            await wire.stored(1)
        await wire.finish(REF)

    async def lives_there() -> bool:
        await setup.inspector.check_served(setup.server, upload_id, data)
        return await arrived(context, upload_id)

    await eventually(lives_there, 90)
    await setup.inspector.check_served(setup.server, upload_id, data)
    stored = await context.home.client.read(context.home.key(upload_id), 0, len(data) + 1)
    assert stored == data, "other bytes are in the bucket"


async def arrived(context: Context, upload_id: str) -> bool:
    """Whether the file lives in the bucket, and nowhere else."""
    database, key = context.setup.inspector.database, ObjectId(upload_id)
    manifest = await database.manifests.find_one({"_id": key})
    if manifest["blobs"] != context.home.name or manifest["todo"]:
        return False
    left = await database.chunks.find_one({"upload_id": key, "data": {"$exists": True}})
    assert left is None, "it lives in two homes"
    return True


async def settle(context: Context) -> None:
    """Objects and files are the same; parts that broke off are deleted by the janitor."""
    inspector, home = context.setup.inspector, context.home
    files = {upload_id for upload_id, state in (await inspector.states()).items()}
    assert {each async for each in home.uploads()} == files
    homes = Homes(home.name, lambda address: inspector.blobs.get(address, home), lambda each: each)
    later = inspector.clock() + 2 * YOUNG_SECONDS
    await LostParts(inspector.manifests, homes, lambda: later).abort()
    assert [each async for each in home.unfinished()] == []
    context.setup.servers.check_logs()
    for upload_id in files:
        while await home.delete(finished(upload_id), 1000):
            pass
    await inspector.clear()


FAULT = Fault(
    name="s3-trouble",
    title="trouble with S3",
    how="while a file moves to the bucket, a proxy before SeaweedFS cuts connections, also in the "
    "middle of a part, is slow, answers 503, answers 500 after the work is done, damages a part, "
    "or lets the upload in parts be forgotten",
    holds="the file is served all the time, it moves when S3 is back, and lives in one home only",
    trials=100,
    quick=21,
    few=7,
    setup=setup,
    trial=trial,
    settle=settle,
    at_once=7,
    seconds=180.0,
)
