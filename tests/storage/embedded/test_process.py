"""The embedded mongod, with the real program: its life, its ties to the server, its failures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from lading.storage.embedded import data_directory
from lading.storage.embedded.mongod import find, predecessor, serves
from lading.storage.embedded.process import EmbeddedError, EmbeddedLimits, EmbeddedMongo

Documents = AsyncCollection[dict[str, Any]]

SERVER = """
import asyncio, json, sys
from pathlib import Path
from lading.storage.embedded.process import EmbeddedMongo

async def serve():
    async with EmbeddedMongo(Path(sys.argv[1])) as mongo:
        print(json.dumps([mongo.url, mongo.pid]), flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory with a short path; whatever mongod still runs on it afterwards is killed."""
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        root = Path(folder, "data")
        yield root
        pid = predecessor(root / "db", root / "mongod.log")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid))


@contextlib.asynccontextmanager
async def documents(url: str) -> AsyncIterator[Documents]:
    """A collection whose writes are acknowledged when they are in the journal."""
    async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=10_000) as client:
        yield client["test"].get_collection("documents", write_concern=WriteConcern(w=1, j=True))


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def descriptors_of(pid: int) -> set[str]:
    """What a process holds open: paths, and sockets as `socket:[inode]`."""
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.add(str(descriptor.readlink()))
    return links


def tcp_sockets() -> set[str]:
    """All TCP sockets of this machine, as `socket:[inode]`."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()]
    return {f"socket:[{line.split()[9]}]" for line in lines if "local_address" not in line}


def listening(sockets: set[str]) -> list[str]:
    """The addresses of those sockets that are unix sockets and listen."""
    rows = [line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()]
    return [row[7] for row in rows if f"socket:[{row[6]}]" in sockets and row[3] == "00010000"]


def exists(path: Path) -> bool:
    return path.exists()


def move(source: Path, target: Path) -> None:
    source.rename(target)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_data_survives_stop_and_start(data: Path) -> None:
    mongo = EmbeddedMongo(data)
    for round_ in range(2):
        url = await mongo.start()
        try:
            assert url == mongo.url
            assert mongo.pid is not None
            assert alive(mongo.pid)
            pid = mongo.pid
            async with documents(url) as collection:
                await collection.insert_one({"round": round_})
                assert await collection.count_documents({}) == round_ + 1
        finally:
            await mongo.stop()
        assert not alive(pid)
        assert [mongo.url, mongo.pid, mongo.failure] == ["", None, None]
        assert not (data / "run").exists()
    assert 'exitCode":0' in (data / "mongod.log").read_text()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_killed_mongod_comes_back_with_what_it_acknowledged(
    data: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    acknowledged: list[int] = []

    async def write(collection: Documents) -> None:
        with contextlib.suppress(PyMongoError):
            for number in range(1_000_000):
                await collection.insert_one({"_id": number})
                acknowledged.append(number)

    async def scenario() -> None:
        async with EmbeddedMongo(data) as mongo, documents(mongo.url) as collection:
            pid, url = mongo.pid, mongo.url
            assert pid is not None
            writer = asyncio.create_task(write(collection))
            await until(lambda: len(acknowledged) >= 50)
            os.kill(pid, signal.SIGKILL)
            await writer
            await until(lambda: mongo.failure is not None)
            await until(lambda: mongo.failure is None)
            assert mongo.pid not in (None, pid)
            assert mongo.url == url
            found = {document["_id"] async for document in collection.find()}
            assert found.issuperset(acknowledged)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


async def test_failures_are_visible_until_mongod_is_up_again(data: Path) -> None:
    async with EmbeddedMongo(data) as mongo:
        metadata = data / "db" / "storage.bson"
        good = metadata.read_bytes()
        pid = mongo.pid
        assert pid is not None
        metadata.write_bytes(b"not BSON")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "SIGKILL" in (mongo.failure or ""))
        await until(lambda: "storage engine metadata" in (mongo.failure or ""))
        assert mongo.pid != pid
        metadata.write_bytes(good)
        await until(lambda: mongo.failure is None)
        async with documents(mongo.url) as collection:
            await collection.insert_one({})


async def test_a_directory_that_goes_away_and_comes_back(data: Path) -> None:
    away = data.with_name("away")
    async with EmbeddedMongo(data) as mongo:
        assert mongo.pid is not None
        move(data, away)
        os.kill(mongo.pid, signal.SIGKILL)
        await until(lambda: "No such file" in (mongo.failure or ""))
        move(away, data)
        await until(lambda: mongo.failure is None)
        async with documents(mongo.url) as collection:
            await collection.insert_one({})


async def test_stop_ends_the_attempts(data: Path) -> None:
    mongo = EmbeddedMongo(data)
    await mongo.start()
    try:
        (data / "db" / "storage.bson").write_bytes(b"not BSON")
        assert mongo.pid is not None
        os.kill(mongo.pid, signal.SIGKILL)
        await until(lambda: "storage engine metadata" in (mongo.failure or ""))
    finally:
        await mongo.stop()
    assert [mongo.pid, mongo.failure] == [None, None]
    assert predecessor(data / "db", data / "mongod.log") is None


@contextlib.asynccontextmanager
async def killed_server(data: Path) -> AsyncIterator[int]:
    """The pid of the mongod of a server that stored a document and is killed on leaving."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(data)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        # A log line may come before it, on the same stream.
        async for line in server.stdout:
            if line.startswith(b"["):
                url, pid = json.loads(line)
                break
        async with documents(url) as collection:
            await collection.insert_one({"_id": "kept"})
        yield int(pid)
    finally:
        server.kill()
        await server.communicate()


async def test_mongod_ends_cleanly_when_the_server_is_killed(data: Path) -> None:
    async with killed_server(data) as pid:
        assert os.getsid(pid) == pid  # Ctrl-C in the server's terminal does not reach it
    await until(lambda: not alive(pid))
    assert '"exitCode":0' in (data / "mongod.log").read_text()


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_new_server_waits_for_the_mongod_of_a_killed_one(data: Path, stuck: bool) -> None:
    async with killed_server(data) as old:
        if stuck:
            os.kill(old, signal.SIGSTOP)
    assert not stuck or serves(old, data / "db", data / "mongod.log")
    limits = EmbeddedLimits(stop_seconds=2.0 if stuck else 30.0)
    async with EmbeddedMongo(data, limits=limits) as mongo, documents(mongo.url) as collection:
        assert not alive(old)
        assert await collection.find_one() == {"_id": "kept"}


async def test_a_second_server_is_refused_and_harms_nothing(data: Path) -> None:
    async with EmbeddedMongo(data) as first, documents(first.url) as collection:
        second = EmbeddedMongo(data)
        with pytest.raises(EmbeddedError, match=f"Another Lading server .pid {os.getpid()}. uses"):
            await second.start()
        await second.stop()
        with pytest.raises(RuntimeError, match="claimed already"):
            await first.start()
        await collection.insert_one({})
        async with documents(first.url) as another:
            assert await another.count_documents({}) == 1


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_mongod_has_one_unix_socket_and_nothing_of_the_server(
    data: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario() -> None:
        async with EmbeddedMongo(data) as mongo:
            assert mongo.pid is not None
            opened = descriptors_of(mongo.pid)
            assert str(data / "mongod.log") in opened
            assert str(data / "lock") not in opened
            assert inherited in tcp_sockets()
            assert not opened & tcp_sockets()
            assert listening(opened) == [str(data / "run" / "mongodb-27017.sock")]

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)  # as uvicorn leaves its own
        inherited = f"socket:[{os.fstat(server.fileno()).st_ino}]"
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(scenario())


async def test_only_the_owner_may_enter(data: Path) -> None:
    previous = os.umask(0)
    try:
        async with EmbeddedMongo(data):
            folders = {path: mode(path) for path in (data, data / "db", data / "run")}
            files = {path: mode(path) for path in (data / "lock", data / "mongod.log")}
            address = mode(data / "run" / "mongodb-27017.sock")
    finally:
        os.umask(previous)
    assert set(folders.values()) == {0o700}
    assert {*files.values(), address} == {0o600}


@pytest.mark.parametrize("name", ["Ä +%41@?#&=", "a:1", "[::1]", "a,b", "long" * 25])
async def test_any_path_will_do(data: Path, name: str) -> None:
    async with EmbeddedMongo(data / name) as mongo, documents(mongo.url) as collection:
        await collection.insert_one({})
        assert mongo.pid is not None
        place = (data / name / "run").resolve()
        assert listening(descriptors_of(mongo.pid)) == [str(place / "mongodb-27017.sock")]
        assert mode(place) == 0o700
    assert not exists(place)


async def test_no_mongod_leaves_no_trace(data: Path) -> None:
    mongo = EmbeddedMongo(data, mongod=str(data / "absent"))
    with pytest.raises(EmbeddedError, match=r"LADING_MONGOD names .*/absent, which does not exist"):
        await mongo.start()
    await mongo.stop()
    assert not exists(data)


async def test_a_refusal_is_told_in_mongods_words(data: Path) -> None:
    (data / "db").mkdir(parents=True)
    (data / "db" / "storage.bson").write_bytes(b"not BSON")
    (data / "mongod.log").write_text('{"s":"F","msg":"a complaint of last year"}\n')
    mongo = EmbeddedMongo(data)
    with pytest.raises(EmbeddedError) as caught:
        await mongo.start()
    text = str(caught.value)
    assert "mongod ended with exit code 14" in text
    assert "Unable to read the storage engine metadata file: Incorrect BSON length" in text
    assert str(data / "mongod.log") in text
    assert "last year" not in text
    await mongo.stop()
    (data / "db" / "storage.bson").unlink()
    async with EmbeddedMongo(data):  # nothing was left that hinders the next
        pass


async def test_a_library_that_is_missing_is_named(data: Path, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    shutil.copy(find(), program)
    with program.open("r+b") as binary, mmap.mmap(binary.fileno(), 0) as content:
        content.seek(content.find(b"libcurl.so.4\0"))
        content.write(b"libcurl.so.0")
    with pytest.raises(EmbeddedError, match=r"the library libcurl\.so\.0 is missing"):
        await EmbeddedMongo(data, mongod=str(program)).start()


async def test_a_program_that_is_none(data: Path, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    with pytest.raises(EmbeddedError, match="cannot be run: Exec format error"):
        await EmbeddedMongo(data, mongod=str(program)).start()


async def test_a_full_disk_is_told_where_mongod_cannot(data: Path, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    mongo = EmbeddedMongo(data, mongod=str(program), limits=EmbeddedLimits(little_room=2**62))
    with pytest.raises(EmbeddedError, match=r"exit code 1\n  only \d+ MiB are free on its disk"):
        await mongo.start()


async def test_a_program_that_never_answers_is_ended(data: Path, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    pid = tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    program.chmod(0o755)
    mongo = EmbeddedMongo(data, mongod=str(program), limits=EmbeddedLimits(ready_seconds=2.0))
    starting = asyncio.create_task(mongo.start())
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    with pytest.raises(EmbeddedError, match="does not answer"):
        await starting
    assert not alive(int(pid.read_text()))
    assert mongo.pid is None


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_start_that_is_cancelled_leaves_nothing(
    data: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def cancelled_after(seconds: float) -> None:
        mongo = EmbeddedMongo(data)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(mongo.start(), seconds)
                return  # it was faster
            assert mongo.pid is None
            assert predecessor(data / "db", data / "mongod.log") is None
            directory = data_directory.DataDirectory(data)
            directory.claim()
            directory.release()
        finally:
            await mongo.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        for seconds in (0.0, 0.001, 0.03, 0.1):
            runner.run(cancelled_after(seconds))


async def test_a_mongod_that_does_not_end_is_killed(data: Path) -> None:
    mongo = EmbeddedMongo(data, limits=EmbeddedLimits(stop_seconds=0.2))
    await mongo.start()
    pid = mongo.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await mongo.stop()
    assert not alive(pid)


async def test_the_log_stays_bounded(data: Path) -> None:
    limits = EmbeddedLimits(log_check_seconds=0.05, log_limit=5000)
    old, current = data / "mongod.log.1", data / "mongod.log"
    async with EmbeddedMongo(data, limits=limits):
        await until(old.exists)
        await until(current.exists)
        assert "Waiting for connections" in old.read_text()
    assert '"exitCode":0' in old.read_text() + current.read_text()


async def test_a_cache_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="no cache under"):
        EmbeddedMongo(Path("data"), cache_bytes=2**20)
