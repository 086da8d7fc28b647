"""One upload, any transports: begun by one, continued by others, finished by another.

Hypothesis draws who begins, who continues and how much, and who finishes; each pair can occur.
`LADING_TRANSPORT_EXAMPLES` is the number of examples; some dozens without it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.raw import Answer, ask, raw
from tests.support.servers import Process, Running, process
from tests.support.tus import BYTES, TUS
from tests.support.wire import channel

CELL = 1024
LARGEST = 4 * CELL
EXAMPLES = int(os.environ.get("LADING_TRANSPORT_EXAMPLES", "40"))
DEFERRED = {"upload-defer-length": "1"}
TRANSPORTS = ("socket", "pieces", "tus", "3", "5", "6", "8")


@pytest.fixture(scope="module")
def small_cells(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    url = mongod.replace("/?", "/transports?")
    with process(tmp_path_factory.mktemp("cells"), url, chunk_size=CELL) as running:
        yield running


@dataclass
class Upload:
    """An upload and the bytes that it must have in the end."""

    server: Running
    data: bytes
    known: bool
    id: str = ""

    @property
    def size(self) -> int | None:
        return len(self.data) if self.known else None

    async def show(self) -> dict[str, Any]:
        """The upload as `GET /v1/uploads/{id}` shows it."""
        found = await ask(self.server, "GET", f"/v1/uploads/{self.id}")
        assert found.status == 200, found
        upload: dict[str, Any] = json.loads(found.content)
        return upload

    async def missing(self) -> list[tuple[int, int]]:
        """What is missing of all its bytes."""
        shown = await self.show()
        holes = [(start, end) for start, end in shown["missing"]]
        if shown["size"] is None:
            covered = shown["upload_size"] + sum(end - start for start, end in holes)
            holes += [(covered, len(self.data))] if covered < len(self.data) else []
        return holes

    def pieces(self, holes: list[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """The pieces that fill holes, cut at the borders of cells."""
        found = []
        for hole in holes:
            start, end = hole
            while start < end:
                stop = min(end, start - start % CELL + CELL)
                found.append((start, self.data[start:stop]))
                start = stop
        return found


def said(version: str, *, complete: bool) -> dict[str, str]:
    """The headers of a version of the draft."""
    if version == "3":
        state = {"upload-incomplete": "?0" if complete else "?1"}
    else:
        state = {"upload-complete": "?1" if complete else "?0"}
    return {"upload-draft-interop-version": version, **state}


async def begin(upload: Upload, how: str, amount: int) -> None:
    """Create the upload by a transport, with up to `amount` bytes where that is usual."""
    server, first = upload.server, upload.data[:amount]
    if how == "socket":
        async with channel(server) as wire:
            upload.id = (await wire.create(1, upload.size))["id"]
    elif how == "pieces":
        body = json.dumps({"name": "a.bin", "size": upload.size}).encode()
        upload.id = json.loads((await ask(server, "POST", "/v1/uploads", {}, body)).content)["_id"]
    elif how == "tus":
        length = {"upload-length": str(upload.size)} if upload.known else DEFERRED
        made = await ask(server, "POST", "/v1/tus", {**BYTES, **length}, first)
        upload.id = made["location"].rsplit("/", 1)[1]
    else:
        headers = said(how, complete=False)
        headers |= {"upload-length": str(upload.size)} if upload.known else {}
        made = await ask(server, "POST", "/v1/resumable", headers, first)
        upload.id = made["location"].rsplit("/", 1)[1]


async def go_on(upload: Upload, how: str, amount: int, *, breaks: bool) -> None:
    """Send some bytes by a transport. `breaks`: the connection ends before it said it would."""
    if how in ("socket", "pieces"):
        pieces = upload.pieces(await upload.missing())
        await by_pieces(upload, how, [pieces[amount % len(pieces)]] if pieces else [])
        return
    offset = await offset_of(upload, how)
    part = upload.data[offset : offset + amount]
    path, headers = request(upload, how, offset, complete=False)
    if not breaks:
        assert (await ask(upload.server, "PATCH", path, headers, part)).status in (201, 204)
        return
    async with raw(upload.server) as connection:
        length = str(len(upload.data) - offset)
        await connection.head("PATCH", path, {**headers, "content-length": length})
        await connection.send(part)
        connection.cut()


async def by_pieces(upload: Upload, how: str, pieces: list[tuple[int, bytes]]) -> None:
    if how == "socket":
        async with channel(upload.server) as wire:
            await wire.resume(1, upload.id)
            for start, data in pieces:
                await wire.chunk(1, start, data)
                await wire.stored(1)
        return
    for start, data in pieces:
        path = f"/v1/uploads/{upload.id}/chunks/{start}"
        assert (await ask(upload.server, "PUT", path, {}, data)).status == 200


def request(upload: Upload, how: str, offset: int, *, complete: bool) -> tuple[str, dict[str, str]]:
    """The path and headers of a PATCH."""
    if how == "tus":
        return f"/v1/tus/{upload.id}", {**BYTES, "upload-offset": str(offset)}
    headers = said(how, complete=complete) | {"upload-offset": str(offset)}
    headers["content-type"] = "application/partial-upload"
    return f"/v1/resumable/{upload.id}", headers


async def look(upload: Upload, how: str) -> Answer:
    if how == "tus":
        return await ask(upload.server, "HEAD", f"/v1/tus/{upload.id}", TUS)
    headers = {"upload-draft-interop-version": how}
    return await ask(upload.server, "HEAD", f"/v1/resumable/{upload.id}", headers)


async def offset_of(upload: Upload, how: str) -> int:
    return int((await look(upload, how))["upload-offset"])


async def finish(upload: Upload, how: str) -> None:
    """Send the rest by a transport, and finish."""
    server, size = upload.server, len(upload.data)
    if how in ("socket", "pieces"):
        await by_pieces(upload, how, upload.pieces(await upload.missing()))
    if how == "socket":
        async with channel(server) as wire:
            await wire.resume(1, upload.id)
            await wire.finish(1, size=size)
    elif how == "pieces":
        body = json.dumps({"size": size}).encode()
        assert (
            await ask(server, "POST", f"/v1/uploads/{upload.id}/finish", {}, body)
        ).status == 200
    else:
        while not await is_ready(upload):
            offset = await offset_of(upload, how)
            if await is_ready(upload):
                return
            path, headers = request(upload, how, offset, complete=True)
            if how == "tus":
                headers["upload-length"] = str(size)
            end = next((hole for _, hole in await upload.missing() if hole > offset), size)
            if how != "tus" and end < size:
                # Another transport was ahead: the content that ends the upload must be its end.
                path, headers = request(upload, how, offset, complete=False)
            told = await ask(server, "PATCH", path, headers, upload.data[offset:end])
            assert told.status in (201, 204), told


async def is_ready(upload: Upload) -> bool:
    return bool((await upload.show())["state"] == "ready")


Step = tuple[str, int, bool]


async def run(upload: Upload, first: str, amount: int, steps: list[Step], last: str) -> None:
    """A whole upload; in the end the file is what was sent."""
    await begin(upload, first, amount)
    for how, more, breaks in steps:
        if await is_ready(upload):
            break
        await go_on(upload, how, more, breaks=breaks)
    if not await is_ready(upload):
        await finish(upload, last)
    found = await ask(upload.server, "GET", f"/v1/files/{upload.id}")
    assert (found.status, found.content) == (200, upload.data)


class Plan(NamedTuple):
    """What Hypothesis draws: the file, who begins, who continues, who finishes."""

    seed: int
    size: int
    known: bool
    first: str
    amount: int
    steps: list[Step]
    last: str


AMOUNTS = st.sampled_from([0, 1, 100, CELL - 1, CELL, CELL + 1, 2 * CELL]) | st.integers(0, LARGEST)
STEPS = st.lists(st.tuples(st.sampled_from(TRANSPORTS), AMOUNTS, st.booleans()), max_size=4)
PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32),
    size=st.sampled_from([0, 1, CELL, 2 * CELL]) | st.integers(1, LARGEST),
    known=st.booleans(),
    first=st.sampled_from(TRANSPORTS),
    amount=AMOUNTS,
    steps=STEPS,
    last=st.sampled_from(TRANSPORTS),
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=PLANS)
def test_an_upload_may_change_its_transport_at_any_time(
    small_cells: Process, runner: asyncio.Runner, plan: Plan
) -> None:
    upload = Upload(small_cells, Random(plan.seed).randbytes(plan.size), plan.known)
    runner.run(run(upload, plan.first, plan.amount, plan.steps, plan.last))


@pytest.mark.parametrize("last", TRANSPORTS)
def test_each_pair_of_transports(small_cells: Process, runner: asyncio.Runner, last: str) -> None:
    for number, first in enumerate(TRANSPORTS):
        data = Random(number).randbytes(2 * CELL + 300)
        upload = Upload(small_cells, data, known=number % 2 == TRANSPORTS.index(last) % 2)
        steps = [(first, 700, True), (last, 500, False)]
        runner.run(run(upload, first, 300, steps, last))
