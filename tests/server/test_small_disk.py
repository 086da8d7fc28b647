"""A server whose embedded mongod has a small disk of its own: deleting files makes space again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from lading.storage.embedded.mongod import find
from tests.faults.disk_full import EAGER, MIB, Disk, disk
from tests.faults.fault import NotHere
from tests.faults.inspector import eventually
from tests.support.missing import missing
from tests.support.servers import Process, process

FLOOR = 96 * MIB
FILE = 4 * MIB


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[tuple[Process, Disk]]:
    eager = tmp_path / "mongod"
    eager.write_text(EAGER.format(mongod=find()))  # freed blocks can be reused a second later
    eager.chmod(0o755)
    async with AsyncExitStack() as stack:
        try:
            made = await stack.enter_async_context(disk(tmp_path / "disk"))
        except NotHere as reason:
            missing(str(reason))
        settings = {"mongod": eager, "free_space_floor": FLOOR}
        server = process(made.path / "data", None, **settings)
        yield stack.enter_context(server), made


async def test_deleting_files_makes_space_though_the_disk_stays_as_full(
    small: tuple[Process, Disk],
) -> None:
    server, made = small
    async with server.http() as http:

        async def post() -> httpx.Response:
            return await http.post("/v1/files?name=a", content=os.urandom(FILE))

        stored = []
        for _ in range(8):
            answer = await post()
            assert answer.status_code == 201
            stored.append(answer.json()["_id"])

        async def refused() -> bool:
            made.fill(FLOOR - FILE)  # again, since mongod's journal gives some back now and then
            answer = await post()
            if answer.status_code == 201:
                stored.append(answer.json()["_id"])
            return answer.status_code == 507 and answer.json()["code"] == "storage-full"

        await eventually(refused)
        for each in stored:
            assert (await http.delete(f"/v1/files/{each}")).status_code == 204

        async def taken() -> bool:
            made.fill(FLOOR - FILE)
            answer = await post()
            return answer.status_code == 201 and made.free < FLOOR

        await eventually(taken)
