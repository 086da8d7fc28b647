"""`lading export | lading import`: all files go from Lading to Lading, whatever their homes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
import structlog
from bson import ObjectId
from typer.testing import CliRunner

from lading.cli import app
from lading.protocol import archive
from lading.protocol.archive import ArchivedFile
from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.storage.collections.outbox import MOVE
from lading.storage.database import Database, connect
from tests.conftest import Mongo
from tests.support.clock import Clock
from tests.support.parts import ANN, BOB, CELL, Parts, settings
from tests.support.photos import jpeg
from tests.support.seaweedfs import OWNER, SeaweedFS

T = TypeVar("T")

FILES = 1000 if os.environ.get("LADING_ARCHIVES") == "full" else 8
SIZES = (0, 1, CELL - 1, CELL, CELL + 1, 5 * CELL + 77, 40 * CELL)
FIRST = Random(1).randbytes(3 * CELL)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Lading:
    """One database, one home, and the commands on them."""

    def __init__(self, folder: Path, url: str, home: str = "mongo", **variables: str) -> None:
        folder.mkdir()
        none = {name: None for name in os.environ if name.startswith("LADING_")}
        self.environ: dict[str, str | None] = {
            **none,
            "LADING_DATA": str(folder),
            "LADING_DATABASE_URL": url,
            "LADING_BLOBS": home,
            "LADING_CHUNK_SIZE": str(CELL),
            **variables,
        }
        self.home = home
        self._url = url

    def run(self, command: str, path: Path, code: int = 0) -> dict[str, Any]:
        """Run a command in this process; returns what it reports."""
        done = CliRunner().invoke(app, [command, str(path), "--json"], env=self.environ)
        assert done.exit_code == code, done.output
        if not done.stdout:
            return {"said": done.stderr}
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def do(self, work: Callable[[Parts], Awaitable[T]]) -> T:
        """Work on the parts of a server; afterwards nothing is wrong with what is stored."""

        async def run() -> T:
            database = Database(connect(self._url))
            await database.prepare()
            now = await database.now()
            assert now is not None
            parts = Parts(database, Clock(now.timestamp()), settings(blobs=self.home))
            result = await work(parts)
            assert await parts.audit() == []
            await parts.storage.blobs.close()
            await database.close()
            return result

        return asyncio.run(run())

    def files(self) -> dict[str, Manifest]:
        """The finished files by id."""

        async def look(parts: Parts) -> dict[str, Manifest]:
            found = [each async for each in parts.storage.derivatives.every_file()]
            return {each.id: each for each in found}

        return self.do(look)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file as it is read."""

        async def look(parts: Parts) -> dict[str, str]:
            found = {}
            async for each in parts.storage.derivatives.every_file():
                digest = hashlib.sha256()
                async for data in parts.uploads.read(each, 0, each.size or 0):
                    digest.update(data)
                found[each.id] = digest.hexdigest()
            return found

        return self.do(look)

    def usage(self) -> dict[str, tuple[int, int]]:
        """Bytes used and reserved, by user."""

        async def look(parts: Parts) -> dict[str, tuple[int, int]]:
            return {user: await parts.usage(user) for user in await parts.quotas.users()}

        return self.do(look)


async def put(parts: Parts, data: bytes, spec: UploadSpec, owner: Any = ANN) -> str:
    """A finished file; its id."""
    opened = await parts.uploads.create(owner, replace(spec, size=len(data)))
    for start in range(0, len(data), CELL):
        cell = data[start : start + CELL]
        await parts.uploads.write(opened, start, cell, crc32c(cell))
    file = await parts.uploads.finish(owner, opened.manifest.id)
    return file.id


async def fill(parts: Parts) -> None:
    """Files of two users, of many sizes and kinds."""
    random = Random(2)
    for number in range(FILES):
        size = SIZES[number % len(SIZES)]
        spec = UploadSpec(
            name=f"Größe {number}.bin",
            directory=f"a/{number % 3}",
            tags=("x", f"t{number % 2}"),
            public=number % 4 == 0,
            meta="filename YQ==" if number % 5 == 0 else None,
        )
        owner = BOB if number % 3 == 0 else ANN
        file_id = await put(parts, random.randbytes(size), spec, owner)
        if number % 4 == 1:
            end = parts.clock() + 86_400
            await parts.library.change(owner, file_id, modified_at=5.5, expires_at=end)
            named = {"$set": {"sender": "Aunt Mia"}}  # as if it had been asked for
            await parts.database.manifests.update_one({"_id": ObjectId(file_id)}, named)


@pytest.fixture
def source(tmp_path: Path, database_url: str) -> Lading:
    """A Lading with files in its database."""
    found = Lading(tmp_path / "source", database_url)
    found.do(fill)
    return found


@pytest.fixture
def small(tmp_path: Path, database_url: str) -> Lading:
    """A Lading with one file."""
    found = Lading(tmp_path / "small", database_url)
    found.do(lambda parts: put(parts, FIRST, UploadSpec(name="first.bin")))
    return found


@pytest.fixture
def target_url(mongo: Mongo, database_url: str) -> Iterator[str]:
    """The address of a second database."""
    name = urlsplit(database_url).path.rsplit("/", 1)[1]
    yield database_url.replace(f"/{name}?", f"/{name}target?")
    mongo.drop_database(f"{name}target")


@pytest.fixture
def target(tmp_path: Path, target_url: str) -> Lading:
    """An empty Lading."""
    return Lading(tmp_path / "target", target_url)


KEPT = [*ArchivedFile.__slots__]
"""What an archive must keep. A SHA-256 that was not known is known afterwards."""
KEPT.remove("sha256")


def kept(files: dict[str, Manifest]) -> dict[str, list[Any]]:
    """What an archive must keep of files."""
    return {each.id: [getattr(each, name) for name in KEPT] for each in files.values()}


@pytest.mark.timeout(600 if FILES > 100 else 60)
def test_files_go_from_home_to_home_through_a_pipe(
    source: Lading, target_url: str, tmp_path: Path
) -> None:
    target = Lading(tmp_path / "target", target_url, f"file://{tmp_path}/home")
    program = [sys.executable, "-m", "lading"]

    def shell(lading: Lading, command: str) -> str:
        chosen = [f"{name}={value}" for name, value in lading.environ.items() if value is not None]
        return shlex.join(["env", *chosen, *program, command])

    line = f"{shell(source, 'export')} | {shell(target, 'import')}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    size = sum(each.size or 0 for each in source.files().values())
    assert done.stdout == f"{FILES} files, {size} bytes imported; 0 were there already\n"
    assert f"{FILES} files, {size} bytes exported" in done.stderr
    assert target.digests() == source.digests()
    assert kept(target.files()) == kept(source.files())
    assert {each.blobs for each in target.files().values()} == {target.home}
    assert target.usage() == source.usage()


def test_an_import_is_safe_to_repeat(source: Lading, target: Lading, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    assert source.run("export", path)["files"] == FILES
    assert target.run("import", path)["files"] == FILES
    before, usage = target.files(), target.usage()
    again = target.run("import", path)
    assert (again["files"], again["skipped"], again["failed"]) == (0, FILES, [])
    assert (target.files(), target.usage()) == (before, usage)
    # Also into the Lading that it came from.
    assert source.run("import", path)["skipped"] == FILES


def test_an_archive_is_what_tar_reads(small: Lading, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    small.run("export", path)
    assert path.stat().st_mode & 0o777 == 0o600
    (file_id,) = small.files()
    names = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True).stdout
    assert names.split() == [
        "format.json",
        f"files/{file_id}/manifest.json",
        f"files/{file_id}/content",
        f"files/{file_id}/digest.json",
        "end.json",
    ]
    assert [each.name for each in tmp_path.glob("backup*")] == ["backup.tar"]


def test_unfinished_uploads_are_left_out(small: Lading, tmp_path: Path) -> None:
    small.do(lambda parts: parts.uploads.create(ANN, UploadSpec(name="b", size=5)))
    assert small.run("export", tmp_path / "backup.tar")["files"] == 1


def test_a_bucket_gets_the_files_while_they_are_imported(
    source: Lading,
    target_url: str,
    tmp_path: Path,
    *,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in OWNER.environment.items():
        monkeypatch.setenv(name, value)
    given = {f"LADING_{name.upper()}": str(value) for name, value in seaweed.settings().items()}
    target = Lading(tmp_path / "target", target_url, s3_home, **given)
    path = tmp_path / "backup.tar"
    source.run("export", path)
    assert target.run("import", path)["files"] == FILES

    async def look() -> tuple[int, int]:
        client = connect(target_url)
        manifests = client.get_default_database()["manifests"]
        moved = await manifests.count_documents({"blobs": s3_home})
        waiting = await manifests.count_documents({"todo": MOVE})
        await client.close()
        return moved, waiting

    assert asyncio.run(look()) == (FILES, 0)
    # And out of the bucket again.
    again = tmp_path / "again.tar"
    assert target.run("export", again)["failed"] == []
    assert sums(again) == sums(path)


def sums(path: Path) -> dict[str, str]:
    """The digest of each file in an archive, computed from its bytes."""
    found = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith("/content"):
                content = tar.extractfile(member)
                assert content is not None
                found[member.name] = hashlib.sha256(content.read()).hexdigest()
    return found


def test_facts_are_kept_and_pictures_are_made_again(
    small: Lading, target: Lading, tmp_path: Path
) -> None:
    photo = jpeg(size=5000)

    async def add(parts: Parts) -> str:
        file_id = await put(parts, photo, UploadSpec(name="a.jpg"))
        change = {"$set": {"kind": "avatar", "media": {"kind": "image", "width": 3}}}
        await parts.database.manifests.update_one({"_id": ObjectId(file_id)}, change)
        return file_id

    file_id = small.do(add)
    path = tmp_path / "backup.tar"
    small.run("export", path)
    target.run("import", path)
    found = target.files()[file_id]
    assert found.media == {"kind": "image", "width": 3}
    assert (found.kind, found.mime_type, found.pictures) == ("avatar", "image/jpeg", {})
    assert found.todo[-1:] == ("derive",)


# -- what is not as it should be


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The archive with other members; None leaves one out."""
    changed = path.with_name("changed.tar")
    with tarfile.open(path) as tar, tarfile.open(changed, "w") as other:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            data = change(member.name, content.read())
            if data is not None:
                member.size = len(data)
                other.addfile(member, io.BytesIO(data))
    return changed


DAMAGES: list[tuple[str, Callable[[bytes], bytes | None], str]] = [
    ("content", lambda data: data[:-1] + b"?", "not those that were exported"),
    ("content", lambda data: data + b"?", "another size"),
    ("content", lambda _: None, "not those that were exported"),
    ("manifest.json", lambda data: data.replace(b'"size":', b'"sizes":'), "manifest"),
    ("manifest.json", lambda _: b" " * (2**20 + 1), "too large"),
    ("digest.json", lambda _: b'{"sha256": 5}', "not those that were exported"),
    ("digest.json", lambda _: b'{"damaged": "its disk died"}', "its disk died"),
]
"""For each file another one: the part, what becomes of it, and what is said of it."""


def test_damaged_files_are_not_imported_and_the_others_are(
    source: Lading, target: Lading, tmp_path: Path
) -> None:
    path = tmp_path / "backup.tar"
    source.run("export", path)
    largest = sorted(source.files().values(), key=lambda file: file.size or 0, reverse=True)
    victims = dict(zip([each.id for each in largest], DAMAGES, strict=False))

    def damage(name: str, data: bytes) -> bytes | None:
        for file_id, (part, change, _) in victims.items():
            if name == f"files/{file_id}/{part}":
                return change(data)
        return data

    result = target.run("import", rewritten(path, damage), code=1)
    assert result["files"] == FILES - len(victims)
    said = {failure["id"]: failure["reason"] for failure in result["failed"]}
    for file_id, (_, _, reason) in victims.items():
        assert reason in said.pop(file_id)
    assert said == {}
    assert target.digests().items() <= source.digests().items()
    # The undamaged archive brings what is missing.
    result = target.run("import", path)
    assert (result["files"], result["skipped"]) == (len(victims), FILES - len(victims))
    assert target.digests() == source.digests()


@pytest.mark.parametrize("share", [0.5, 0.9999])
def test_an_archive_that_is_cut_short_is_imported_as_far_as_it_goes(
    source: Lading, target: Lading, tmp_path: Path, share: float
) -> None:
    path = tmp_path / "backup.tar"
    source.run("export", path)
    data = path.read_bytes().rstrip(b"\0")
    path.with_name("cut.tar").write_bytes(data[: int(len(data) * share)])
    said = target.run("import", path.with_name("cut.tar"), code=1)["said"]
    assert "cut short" in said
    before = target.digests()
    assert before.items() <= source.digests().items()
    assert target.run("import", path)["skipped"] == len(before)
    assert target.digests() == source.digests()


@pytest.mark.parametrize("data", [b"", b"no tar file", bytes(10240)])
def test_what_is_no_archive_is_refused(target: Lading, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.tar"
    path.write_bytes(data)
    assert "no " in target.run("import", path, code=1)["said"]
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    assert "no archive" in target.run("import", path, code=1)["said"]
    first = archive.whole_member(archive.FIRST, archive.document({"format": "lading-archive"}))
    path.write_bytes(first + archive.CLOSING)
    assert "newer version" in target.run("import", path, code=1)["said"]


def test_a_file_of_the_same_id_stays(small: Lading, target: Lading, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    small.run("export", path)
    target.run("import", path)
    (file_id,) = target.files()
    other = rewritten(path, lambda _, data: re.sub(rb'"crc32c":\d+', b'"crc32c":1', data))
    (failure,) = target.run("import", other, code=1)["failed"]
    assert "stays" in failure["reason"]
    assert target.digests() == {file_id: hashlib.sha256(FIRST).hexdigest()}


def test_a_file_that_was_deleted_a_moment_ago_is_reported(small: Lading, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    small.run("export", path)
    (file_id,) = small.files()
    small.do(lambda parts: parts.uploads.delete(ANN, file_id))
    (failure,) = small.run("import", path, code=1)["failed"]
    assert "LADING_TOMBSTONE_TTL" in failure["reason"]


def test_an_upload_that_is_another_one_stays(small: Lading, target: Lading, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    small.run("export", path)
    (file,) = small.files().values()
    strange = replace(file, user_id="eve", state=State.UPLOADING, size=5, upload_end=False, todo=())

    async def plant(parts: Parts) -> None:
        await parts.quotas.reserve("eve", file.id, 5)
        await parts.manifests.create(replace(strange, blobs=parts.storage.blobs.ingest))

    target.do(plant)
    (failure,) = target.run("import", path, code=1)["failed"]
    assert "stays" in failure["reason"]


def test_a_quota_does_not_hinder_a_restore(source: Lading, target_url: str, tmp_path: Path) -> None:
    target = Lading(tmp_path / "target", target_url, LADING_DEFAULT_QUOTA="10")
    path = tmp_path / "backup.tar"
    source.run("export", path)
    assert target.run("import", path)["files"] == FILES
    assert target.usage() == source.usage()


def test_a_file_that_cannot_be_read_is_reported_and_the_archive_is_whole(
    source: Lading, target: Lading, tmp_path: Path
) -> None:
    victim = max(source.files().values(), key=lambda file: (file.size or 0, file.id)).id

    async def damage(url: str) -> None:
        client = connect(url)
        chunks = client.get_default_database()["chunks"]
        (last,) = await chunks.find({"upload_id": ObjectId(victim)}).sort("_id", -1).to_list(1)
        await chunks.update_one({"_id": last["_id"]}, {"$set": {"data": bytes(last["size"])}})
        await client.close()

    asyncio.run(damage(str(source.environ["LADING_DATABASE_URL"])))
    path = tmp_path / "backup.tar"
    result = source.run("export", path, code=1)
    assert (result["files"], [each["id"] for each in result["failed"]]) == (FILES - 1, [victim])
    result = target.run("import", path, code=1)
    assert (result["files"], [each["id"] for each in result["failed"]]) == (FILES - 1, [victim])


def test_files_of_the_system_that_are_not_there_are_named(
    small: Lading, target: Lading, tmp_path: Path
) -> None:
    absent = tmp_path / "no" / "backup.tar"
    assert str(absent) in small.run("export", absent, code=1)["said"]
    assert str(absent) in target.run("import", absent, code=1)["said"]
