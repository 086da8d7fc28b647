"""`lading images rebuild`: pictures of old files are made, and made again."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from bson import ObjectId
from typer.testing import CliRunner, Result

from lading.cli import app
from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest
from lading.protocol.spec import UploadSpec
from lading.storage.database import Database, connect
from tests.support.parts import ANN, Parts, settings
from tests.support.photos import jpeg

STRANGE = "6b0179176249a43ed26a4b6e"
USUAL = {"1", "2", "3", "4", "5", "6"}


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Shell:
    """Runs `lading images rebuild` in this process, on one database."""

    def __init__(self, data: Path, url: str) -> None:
        none = {name: None for name in os.environ if name.startswith("LADING_")}
        self.environ = {**none, "LADING_DATA": str(data), "LADING_DATABASE_URL": url}
        self._url = url

    def run(self, *arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["images", "rebuild", *arguments], env=self.environ)
        assert result.exit_code == code, result.output
        return result

    def rebuilt(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        *_, last = self.run(*arguments, "--json", code=code).stdout.splitlines()
        found: dict[str, Any] = json.loads(last)
        return found

    def stored(self, *contents: bytes) -> list[str]:
        """Files from before pictures were made; their ids."""

        async def store() -> list[str]:
            database = Database(connect(self._url))
            await database.prepare()
            parts = Parts(database, chosen=settings(chunk_size=2**20))
            ids = [await _file(parts, data) for data in contents]
            await database.manifests.update_many({}, {"$set": {"todo": []}})
            await database.close()
            return ids

        return asyncio.run(store())

    def manifest(self, file_id: str) -> Manifest:
        async def look() -> Manifest:
            database = Database(connect(self._url))
            found = await Parts(database).manifests.get(file_id)
            await database.close()
            assert found is not None
            return found

        return asyncio.run(look())

    def forget(self, file_id: str) -> None:
        """Let the manifest lack a picture."""

        async def change() -> None:
            database = Database(connect(self._url))
            query = {"_id": ObjectId(file_id)}
            await database.manifests.update_one(query, {"$unset": {"pictures.4": ""}})
            await database.close()

        asyncio.run(change())


async def _file(parts: Parts, data: bytes) -> str:
    spec = UploadSpec(name="a.jpg", size=len(data), mime_type="image/jpeg")
    opened = await parts.uploads.create(ANN, spec)
    await parts.uploads.write(opened, 0, data, crc32c(data))
    await parts.uploads.finish(ANN, opened.manifest.id)
    return opened.manifest.id


@pytest.fixture
def shell(tmp_path: Path, database_url: str) -> Shell:
    return Shell(tmp_path, database_url)


def test_what_is_missing_is_made_and_then_nothing_is(shell: Shell) -> None:
    photo, broken = shell.stored(jpeg(300, 200), jpeg(300, 200)[:3000])
    assert shell.rebuilt("--missing", "--dry-run")["files"] == 2
    found = shell.rebuilt("--missing")
    assert found == {
        "event": "images-rebuilt",
        "dry_run": False,
        "files": 2,
        "unprocessable": [broken],
        "failed": [],
        "absent": [],
    }
    manifest = shell.manifest(photo)
    assert set(manifest.pictures) == USUAL
    assert manifest.todo == ()
    assert manifest.media is not None
    assert shell.rebuilt("--missing")["files"] == 0
    shell.forget(photo)
    assert shell.rebuilt("--missing")["files"] == 1
    assert shell.manifest(photo).pictures == manifest.pictures


def test_all_are_made_again_or_those_that_are_named(shell: Shell) -> None:
    first, second = shell.stored(jpeg(300, 200), jpeg(200, 300))
    assert shell.rebuilt()["files"] == 2
    assert shell.rebuilt()["files"] == 2
    found = shell.rebuilt(first, STRANGE, code=1)
    assert (found["files"], found["absent"]) == (1, [STRANGE])
    assert set(shell.manifest(second).pictures) == USUAL
    result = shell.run(second)
    assert "the images of 1 files made" in result.stdout


def test_what_is_no_id_is_told(shell: Shell) -> None:
    shell.stored()
    assert "24" in shell.run("photo.jpg", code=2).stderr
