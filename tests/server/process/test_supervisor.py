"""Several server processes on one port, as `lading serve` starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from lading import Client
from lading.client.types import Progress
from lading.server.process.serve import USAGE
from tests.support.servers import PROGRAM, Process, process, until
from tests.support.wire import STORED, cells, channel, checksum

COUNT = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Three workers with an embedded database of their own."""
    place = tmp_path_factory.mktemp("workers")
    with process(place, None, workers=COUNT, max_user_connections=12, drain_seconds=5) as running:
        yield running


def workers(server: Process) -> set[int]:
    """The processes that serve."""
    found = set()
    for child in (
        Path(f"/proc/{server.child.pid}/task/{server.child.pid}/children").read_text().split()
    ):
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"lading.server.process.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    links = Path(f"/proc/{pid}/fd")
    count = 0
    for link in links.iterdir():
        with suppress(FileNotFoundError):
            count += str(link.readlink()).startswith("socket:")
    return count


async def test_they_share_a_port_and_an_upload(server: Process) -> None:
    assert len(workers(server)) == COUNT
    data = os.urandom(10 * 2**20)
    before = {pid: sockets(pid) for pid in workers(server)}
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(channel(server)) for _ in range(12)]
        assert sum(sockets(pid) > before[pid] for pid in before) >= 2
        upload = await wires[0].create(1, len(data))
        for wire in wires[1:]:
            await wire.resume(1, upload["id"])
        pieces = cells(data, upload["chunk_size"])
        for number, (start, piece) in enumerate(pieces):
            await wires[number].chunk(1, start, piece)
        for number, _ in enumerate(pieces):
            await wires[number].stored(1)
        file = await wires[-1].finish(1)
    assert file["crc32c"] == checksum(data)
    async with server.http() as http:
        assert (await http.get(f"/v1/files/{file['id']}")).content == data


async def test_a_users_connections_are_counted_over_all_of_them(server: Process) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(12):
            await stack.enter_async_context(channel(server))
        for _ in range(6):  # whichever worker it comes to
            with pytest.raises(AssertionError, match="too-many-connections"):
                await stack.enter_async_context(channel(server))

    async def free() -> bool:
        with suppress(AssertionError):
            async with channel(server):
                return True
        return False

    async with asyncio.timeout(10):
        while not await free():
            pass


async def test_one_that_is_killed_is_started_again_and_uploads_go_on(
    server: Process, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(48 * 2**20))
    killed: set[int] = set()

    def kill(progress: Progress) -> None:
        if progress.stored and not killed:
            for pid in workers(server):
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

    async with Client(server.url, server.token, patience=60) as client:
        file = await client.upload(path, on_progress=kill)
        assert killed
        back = tmp_path / "back.mp4"
        await client.download(file.id, back)
    assert back.read_bytes() == path.read_bytes()
    await until(lambda: len(workers(server) - killed) == COUNT)


def test_a_second_server_does_not_join_them(server: Process, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    own = {"LADING_PORT": port, "LADING_DATA": str(tmp_path), "LADING_WORKERS": "2"}
    second = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | own, capture_output=True, check=False
    )
    assert second.returncode == USAGE
    assert b"cannot listen there" in second.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_all_end_with_the_first(
    how: signal.Signals, tmp_path: Path, database_url: str
) -> None:
    with process(tmp_path, database_url, workers=2, drain_seconds=5) as running:
        found = workers(running)
        async with channel(running) as wire:
            upload = await wire.create(1, 5)
            running.child.send_signal(how)
            if how is not signal.SIGKILL:
                await wire.chunk(1, 0, b"12345")
            # The server says within a tenth of a second that it goes: before the answer, or after.
            heard, _ = await wire.rest()
            assert how is signal.SIGKILL or [STORED, 1, [[0, 5]], 5] in heard
            assert upload["id"]
        code = await asyncio.to_thread(running.child.wait, 20)
        assert code == (-9 if how is signal.SIGKILL else 0)
        await until(lambda: not any(map(alive, found)))
        with socket.create_server(("127.0.0.1", int(running.url.rpartition(":")[2]))):
            assert running.data.joinpath("server.json").exists() == (how is signal.SIGKILL)


async def test_workers_import_nothing_from_the_folder_they_run_in(
    tmp_path: Path, database_url: str
) -> None:
    for name in ("http", "json", "socket", "lading", "starlette"):
        tmp_path.joinpath(f"{name}.py").write_text("raise SystemExit('the wrong module')")
    data = tmp_path / "data"
    with process(data, database_url, folder=tmp_path, workers=2) as running:
        assert len(workers(running)) == 2
        async with running.http() as http:
            assert (await http.get("/livez")).status_code == 200


def test_none_starts_without_its_database(tmp_path: Path) -> None:
    own = {
        "LADING_PORT": "0",
        "LADING_DATA": str(tmp_path),
        "LADING_WORKERS": "2",
        "LADING_DATABASE_URL": "mongodb://127.0.0.1:9/lading?serverSelectionTimeoutMS=200",
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | own, capture_output=True, check=False
    )
    assert ended.returncode == 1
    assert b"LADING_DATABASE_URL" in ended.stderr
    assert not tmp_path.joinpath("server.json").exists()
