"""`lading janitor`: the janitor's work by hand, beside a server and without one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from pymongo import AsyncMongoClient
from typer.testing import CliRunner, Result

from lading.cli import app
from lading.protocol.digests import crc32c
from lading.protocol.spec import UploadSpec
from lading.server.process import janitor as maintenance
from lading.storage.clock import DatabaseClock
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database, connect
from tests.support.clock import Clock
from tests.support.parts import ANN, CELL, Parts, settings
from tests.support.servers import NOWHERE, Process, give_up_soon, process

HOUR = 3600.0
PIECE = b"x" * CELL


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Shell:
    """Runs `lading janitor` in this process, on one database."""

    def __init__(self, data: Path, url: str) -> None:
        none = {name: None for name in os.environ if name.startswith("LADING_")}
        self.environ = {**none, "LADING_DATA": str(data), "LADING_DATABASE_URL": url}
        self._url = url

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["janitor", *arguments], env=self.environ)

    def events(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        result = self.run(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (code, ""), result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def prepare(self, work: Callable[[Parts], Awaitable[None]], age: float = 0) -> None:
        """Do something as a server did it `age` seconds ago, by the clock of the database."""

        async def prepared() -> None:
            database = Database(connect(self._url))
            await database.prepare()
            now = await database.now()
            assert now is not None
            clock = Clock(now.timestamp() - age)
            await work(Parts(database, clock, settings(upload_ttl=HOUR, tombstone_ttl=HOUR)))
            await database.close()

        asyncio.run(prepared())

    def documents(self) -> dict[str, Any]:
        """All documents there are."""
        found: dict[str, Any] = {}

        async def look(parts: Parts) -> None:
            for name in ("manifests", "chunks", "quotas", "leases"):
                collection = getattr(parts.database, name)
                found[name] = await collection.find({}).sort("_id", 1).to_list(None)

        self.prepare(look)
        return found


@pytest.fixture
def shell(tmp_path: Path, database_url: str) -> Shell:
    return Shell(tmp_path, database_url)


async def upload(parts: Parts, cells: int = 2) -> str:
    opened = await parts.uploads.create(ANN, UploadSpec(name="a", size=cells * CELL))
    for cell in range(cells):
        await parts.uploads.write(opened, cell * CELL, PIECE, crc32c(PIECE))
    return opened.manifest.id


async def something_due(parts: Parts) -> None:
    """Two uploads that stood still, a deleted one, a file."""
    await upload(parts)
    await upload(parts, 3)
    await parts.uploads.delete(ANN, await upload(parts))
    await parts.uploads.finish(ANN, await upload(parts))


# -- sweep


def test_where_nothing_is_due_nothing_is_done(shell: Shell) -> None:
    result = shell.run("sweep")
    assert result.exit_code == 0
    assert result.stdout == "0 expired, 0 emptied, 0 purged; 0 pieces deleted\n"
    nothing = {"expired": 0, "emptied": 0, "purged": 0, "pieces": 0, "failed": 0}
    (event,) = shell.events("sweep")
    assert event == {"event": "swept", "dry_run": False, **nothing, "drift": []}


def test_a_dry_run_says_what_a_sweep_then_does(shell: Shell) -> None:
    shell.prepare(something_due, age=2 * HOUR)
    before = shell.documents()
    (told,) = shell.events("sweep", "--dry-run")
    due = {"expired": 2, "emptied": 2, "purged": 1, "failed": 0}
    assert told == {"event": "swept", "dry_run": True, **due, "pieces": 0, "drift": []}
    result = shell.run("sweep", "--dry-run")
    assert result.stdout.startswith("2 would be expired, 2 would be emptied, 1 would be purged;")
    assert shell.documents() == before

    (done,) = shell.events("sweep")
    assert done == {"event": "swept", "dry_run": False, **due, "pieces": 5, "drift": []}
    after = shell.documents()
    assert sorted(each["state"] for each in after["manifests"]) == ["expired", "expired", "ready"]
    assert len(after["chunks"]) == 2
    (account,) = after["quotas"]
    assert (account["charged"], account["reserved"]) == (2 * CELL, 0)
    assert shell.events("sweep")[0]["expired"] == 0


def test_it_waits_for_no_lease(shell: Shell) -> None:
    async def reservation(parts: Parts) -> None:
        now = parts.clock()
        await parts.database.leases.insert_one(
            {"_id": "janitor", "holder": "another", "fence": 1, "until": now + HOUR}
        )

    shell.prepare(something_due, age=2 * HOUR)
    shell.prepare(reservation)
    assert shell.events("sweep")[0]["expired"] == 2


def test_it_waits_where_the_clock_may_have_been_set(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def last_look_was_long_ago(parts: Parts) -> None:
        await parts.database.marks.insert_one({"_id": "clock", "at": parts.clock() - 24 * HOUR})

    shell.prepare(something_due, age=2 * HOUR)
    shell.prepare(last_look_was_long_ago)
    quick = partial(DatabaseClock, sync_seconds=0.3)
    monkeypatch.setattr("lading.storage.open.DatabaseClock", quick)
    result = shell.run("sweep")
    assert result.stderr == f"{maintenance.WAITING}\n"
    assert result.stdout.startswith("2 expired, 2 emptied, 1 purged;")
    assert shell.run("sweep").stderr == "", "it waits once"


async def something_wrong(parts: Parts) -> None:
    await parts.uploads.finish(ANN, await upload(parts))
    await parts.quotas.reserve("bob", new_id(parts.clock()), CELL)
    await parts.database.quotas.update_one({"_id": "ann"}, {"$inc": {"charged": 5}})


def test_accounts_are_set_right_and_named(shell: Shell) -> None:
    shell.prepare(something_wrong, age=2 * HOUR)
    before = shell.documents()
    assert shell.events("sweep", "--dry-run")[0]["drift"] == []
    assert shell.documents() == before
    first = shell.run("sweep")
    assert first.exit_code == 0
    assert "corrected: ann: used 2053, recounted 2048" in first.stdout
    assert shell.events("sweep")[0]["drift"] == []
    charged = {each["_id"]: each["charged"] for each in shell.documents()["quotas"]}
    assert charged == {"ann": 2 * CELL, "bob": 0}


def test_what_it_cannot_do_is_said(shell: Shell) -> None:
    async def elsewhere(parts: Parts) -> None:
        await something_due(parts)
        first = {"name": "a", "state": "uploading"}
        await parts.database.manifests.update_one(first, {"$set": {"blobs": "tape"}})

    shell.prepare(elsewhere, age=2 * HOUR)
    result = shell.run("sweep", "--json")
    assert result.exit_code == 1
    event = json.loads(result.stdout)
    assert (event["expired"], event["failed"]) == (1, 1)
    assert "tape" in result.stderr


# -- verify


def test_where_all_is_well_it_says_so(shell: Shell) -> None:
    shell.prepare(something_due)
    assert shell.events("verify") == [
        {"event": "verified", "findings": 0, "pieces": 7, "bytes": 7 * CELL}
    ]
    result = shell.run("verify", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "0 findings; 0 pieces, 0 bytes read\n")


def test_each_finding_is_a_line_and_the_code_is_1(shell: Shell) -> None:
    async def damage(parts: Parts) -> None:
        await something_wrong(parts)
        await parts.database.chunks.update_one({"slice_start": CELL}, {"$set": {"data": b"y"}})

    shell.prepare(damage, age=2 * HOUR)
    before = shell.documents()
    *findings, summary = shell.events("verify", code=1)
    assert [(each["event"], each["kind"]) for each in findings] == [
        ("finding", "damaged"), ("finding", "drift"), ("finding", "drift")
    ]  # fmt: skip
    assert summary == {"event": "verified", "findings": 3, "pieces": 2, "bytes": 2 * CELL}
    *_, summary = shell.events("verify", "--dry-run", code=1)
    assert summary == {"event": "verified", "findings": 2, "pieces": 0, "bytes": 0}
    assert shell.documents() == before
    file = str(before["manifests"][0]["_id"])
    result = shell.run("verify")
    assert result.stdout.splitlines()[0].startswith(f"damaged {file}: ")
    assert result.stdout.splitlines()[-1].startswith("3 findings; ")


# -- what it needs


def test_a_wrong_setting_is_named(shell: Shell) -> None:
    shell.environ["LADING_UPLOAD_TTL"] = "soon"
    result = shell.run("sweep")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("LADING_UPLOAD_TTL=soon: ")


def test_a_database_that_does_not_answer_is_a_failure_of_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.environ["LADING_DATABASE_URL"] = "mongodb://127.0.0.1:1/"
    impatient: Any = AsyncMongoClient(NOWHERE, serverSelectionTimeoutMS=10)
    monkeypatch.setattr("lading.storage.open.connect", lambda _url: impatient)
    give_up_soon(monkeypatch)
    result = shell.run("verify")
    assert (result.exit_code, result.stdout) == (1, "")
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("lading: The database cannot be used: /nowhere.sock: ")
    assert sentence.endswith("LADING_DATABASE_URL; then run this command again.")
    assert len(sentence) < 250


def test_without_a_data_directory_none_is_made(shell: Shell, tmp_path: Path) -> None:
    shell.environ |= {"LADING_DATABASE_URL": None, "LADING_DATA": str(tmp_path / "none")}
    result = shell.run("sweep")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "set LADING_DATA" in result.stderr
    assert not (tmp_path / "none").exists()


# -- with the embedded database


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory of a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        yield Path(folder, "data")


def command(data: Path, *arguments: str) -> list[dict[str, Any]]:
    """What a command in a process of its own tells."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    done = subprocess.run(
        [sys.executable, "-m", "lading", "janitor", *arguments, "--json"],
        env={**own, "LADING_DATA": str(data)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def store_a_file(server: Process) -> None:
    async with server.http() as http:
        assert (await http.post("/v1/files", content=PIECE)).status_code == 201
        await http.post("/v1/uploads", json={"name": "stands still", "size": 10})


def test_beside_a_server_with_its_own_database_and_without_it(data: Path, shell: Shell) -> None:
    shell.environ |= {"LADING_DATABASE_URL": None, "LADING_DATA": str(data)}
    verified = {"event": "verified", "findings": 0, "pieces": 1, "bytes": CELL}
    with process(data, None, upload_ttl=0.1, janitor=False) as server:
        asyncio.run(store_a_file(server))
        assert shell.events("verify") == [verified]
        deadline = time.monotonic() + 10
        while not shell.events("sweep", "--dry-run")[0]["expired"]:
            assert time.monotonic() < deadline, "it did not come to stand still in time"
        assert server.child.poll() is None
    # The server is gone, and its mongod with it: each command starts one for itself.
    (swept,) = command(data, "sweep")
    assert (swept["expired"], swept["dry_run"]) == (1, False)
    assert shell.events("verify") == [verified]
