"""Acknowledgement lost: from a random byte on, the proxy drops what the server sends.

Then everything is sent again, not only what is missing, and must be answered as if for the first
time: the same pieces, the same file, one upload.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.faults.fault import Fault, Trial
from tests.faults.processes import TOKEN
from tests.faults.proxy import Proxy, swallow, whole
from tests.faults.setups import CHUNK, Setup, some_bytes, two_servers
from tests.faults.uploader import LOST
from tests.support.servers import Running
from tests.support.wire import ABORT, CLOSED, FINISH, Wire, cells, channel, dial

OPENED, STORED, COMPLETE = 400, 8, 130
"""At least so many bytes the server sends up to OPENED (with the answer to the upgrade), for each
piece, and for FINISH. So something is lost in every trial."""


async def trial(setup: Setup, trial: Trial) -> None:
    random = trial.random
    data = some_bytes(random, cells=4)
    name = f"lost-{trial.number}"
    finish = random.random() < 0.7
    said = OPENED + STORED * len(cells(data, CHUNK)) + COMPLETE * finish
    async with Proxy(setup.server.port) as proxy:
        where = Running(proxy.url, TOKEN, setup.server.data)
        # The answers are lost; the client's messages arrive completely, or are cut off with them.
        proxy.plans.append((whole, swallow(random.randrange(said), random.choice((0, 0.1)))))
        upload_id = await first_time(where, data, name, finish=finish)
    again = random.choice(setup.servers.running)
    if upload_id is None:
        upload_id = await found(again, name)
    ends = random.random() < 0.2
    async with channel(again) as wire:
        file = await everything(wire, data, name, upload_id)
        assert await wire.finish(0) == file, "another answer to the same FINISH"
        file_id: str = file["id"]
        if ends:
            for _ in range(2):
                await wire.send(ABORT, 0)
                await wire.expect(CLOSED)
    if ends:
        assert await setup.inspector.pieces(file_id) == {}
        return
    await setup.inspector.check_file(again, file_id, data)
    pieces = {start: len(piece) for start, piece in cells(data, CHUNK)}
    assert await setup.inspector.pieces(file_id) == pieces


async def first_time(where: Running, data: bytes, name: str, *, finish: bool) -> str | None:
    """Send everything without waiting for answers; returns the upload's id if OPENED arrived."""
    upload_id: str | None = None
    try:
        async with dial(where, close_timeout=0.1) as wire, asyncio.timeout(5):
            await wire.hello(TOKEN)
            upload_id = (await wire.create(0, len(data), name=name, fingerprint=name))["id"]
            for start, piece in cells(data, CHUNK):
                await wire.chunk(0, start, piece)
            if finish:
                await wire.send(FINISH, 0, {})
            await wire.closing()
    except LOST:
        pass
    return upload_id


async def found(server: Running, name: str) -> str | None:
    """The upload that a CREATE made whose answer was lost; None when it did not arrive."""
    async with server.http() as client:
        answer = await client.get("/v1/uploads", params={"fingerprint": name})
    uploads = answer.json()["uploads"]
    assert len(uploads) <= 1, "one CREATE made two uploads"
    return str(uploads[0]["_id"]) if uploads else None


async def everything(wire: Wire, data: bytes, name: str, upload_id: str | None) -> dict[str, Any]:
    """Open, every piece, FINISH; each must be accepted once more."""
    if upload_id is None:
        upload = await wire.create(0, len(data), name=name, fingerprint=name)
    else:
        upload = await wire.resume(0, upload_id)
        if upload["state"] == "ready":
            await wire.complete(0)
    for start, piece in cells(data, CHUNK):
        await wire.chunk(0, start, piece)
        pieces, _ = await wire.stored(1)
        assert pieces == {(0, start, len(piece))}
    return await wire.finish(0)


async def settle(setup: Setup) -> None:
    await setup.check_nothing_left()
    await setup.inspector.clear()


FAULT = Fault(
    name="answers-lost",
    title="acknowledgement lost",
    how="a proxy drops what the server says from a random byte on; then all is sent once more, "
    "to either of two server processes",
    holds="the retry gives the same answer; one upload, every piece once",
    trials=1000,
    quick=100,
    few=5,
    setup=two_servers,
    trial=trial,
    settle=settle,
    at_once=10,
)
