"""`lading move`: files go to a home, beside a server, as often as one likes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from lading.cli import app
from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest
from lading.protocol.spec import UploadSpec
from lading.storage.database import Database, connect
from tests.support.clock import Clock
from tests.support.parts import ANN, CELL, Parts, settings

FILES = 6
STRANGE = "6b0179176249a43ed26a4b6e"


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Shell:
    """Runs `lading move` in this process, on one database; `home` is a directory to move to."""

    def __init__(self, data: Path, url: str) -> None:
        none = {name: None for name in os.environ if name.startswith("LADING_")}
        self.environ = {**none, "LADING_DATA": str(data), "LADING_DATABASE_URL": url}
        self.home = f"file://{data}/home"
        self._url = url

    def run(self, *arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["move", *arguments], env=self.environ)
        assert result.exit_code == code, result.output
        return result

    def moved(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        result = self.run(*arguments, "--json", code=code)
        *_, last = result.stdout.splitlines()
        found: dict[str, Any] = json.loads(last)
        return found

    def files(self, home: str = "mongo", new: int = 0) -> list[Manifest]:
        """All files, after `new` more of one cell each were stored."""

        async def look() -> list[Manifest]:
            database = Database(connect(self._url))
            await database.prepare()
            now = await database.now()
            assert now is not None
            parts = Parts(database, Clock(now.timestamp()), settings(blobs=home))
            for _ in range(new):
                opened = await parts.uploads.create(ANN, UploadSpec(name="a", size=CELL))
                await parts.uploads.write(opened, 0, b"x" * CELL, crc32c(b"x" * CELL))
                await parts.uploads.finish(ANN, opened.manifest.id)
            found = [each async for each in parts.manifests.every()]
            assert await parts.audit() == []
            await parts.storage.blobs.close()
            await database.close()
            return found

        return asyncio.run(look())


@pytest.fixture
def shell(tmp_path: Path, database_url: str) -> Shell:
    return Shell(tmp_path, database_url)


def test_all_files_go_there_and_back(shell: Shell) -> None:
    shell.files(new=FILES)
    facts = {"event": "moved", "to": shell.home, "failed": [], "absent": []}
    sums = {"files": FILES, "bytes": FILES * CELL}
    assert shell.moved("--to", shell.home, "--dry-run") == facts | sums | {"dry_run": True}
    assert {each.blobs for each in shell.files()} == {"mongo"}
    assert shell.moved("--to", shell.home) == facts | sums | {"dry_run": False}
    assert {each.blobs for each in shell.files()} == {shell.home}
    assert shell.moved("--to", shell.home)["files"] == 0, "there is nothing left to do"
    assert shell.moved()["files"] == FILES, "the setting is the usual home"
    assert {each.blobs for each in shell.files()} == {"mongo"}


def test_only_the_files_that_are_named(shell: Shell) -> None:
    first, *_ = shell.files(new=3)
    assert shell.moved("--to", shell.home, first.id)["files"] == 1
    assert [each.blobs for each in shell.files()] == [shell.home, "mongo", "mongo"]
    result = shell.moved("--to", shell.home, STRANGE, code=1)
    assert (result["files"], result["absent"]) == (0, [STRANGE])
    assert "24 lower-case" in shell.run("--to", shell.home, "nothing", code=2).stderr


def test_people_read_what_was_moved(shell: Shell) -> None:
    shell.files(new=2)
    text = shell.run("--to", shell.home).stdout
    assert text == f"2 files, {2 * CELL} bytes moved to {shell.home}\n"


def test_a_home_that_is_none_is_refused(shell: Shell) -> None:
    assert "LADING_BLOBS" in shell.run("--to", "ftp://somewhere", code=2).stderr
