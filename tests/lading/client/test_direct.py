"""Direct uploads of the Python client: to a real bucket, and to the server where that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lading.client.client import Client
from lading.client.direct import Bucket, BucketRefused, DirectUpload
from lading.client.types import State
from lading.client.upload import UploadTask
from lading.protocol.errors import TooLarge, Unavailable
from tests.lading.conftest import AT_ONCE
from tests.support.direct import PART, bucket, site_with_bucket
from tests.support.seaweedfs import SeaweedFS
from tests.support.servers import Inside, Process

MIB = 2**20
LARGE = 23 * MIB + 9
"""Five parts."""

KINDS = """
[clip]
max_size = 3_000_000
directory = "clips"
"""


@pytest.fixture
async def site(
    database_url: str,
    tmp_path: Path,
    seaweed: SeaweedFS,
    s3_home: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Inside]:
    kinds = tmp_path / "kinds.toml"
    kinds.write_text(KINDS)
    async with site_with_bucket(
        tmp_path / "data", database_url, seaweed, s3_home, monkeypatch, kinds=str(kinds)
    ) as running:
        yield running


def file_of(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


async def through_the_server(site: Inside) -> int:
    """How many pieces came to the server."""
    return int(await site.services.database.chunks.count_documents({}))


@pytest.mark.parametrize("size", [3 * MIB + 1, 12 * MIB + 9], ids=["whole", "in parts"])
async def test_the_bytes_go_past_the_server(site: Inside, tmp_path: Path, size: int) -> None:
    path = file_of(tmp_path, size)
    async with Client(site.url, site.token) as client:
        upload = client.upload(path, direct=True, tags=["x"], directory="d")
        file = await upload
        assert (file.size, file.crc32c, upload.bytes_sent) == (size, None, size)
        assert await through_the_server(site) == 0
        again = client.upload(path, direct=True, directory="d")
        assert (await again).id == file.id
        assert again.skipped
        await client.download(file.id, tmp_path / "back.mp4")
    assert (tmp_path / "back.mp4").read_bytes() == path.read_bytes()


async def test_without_a_bucket_the_server_takes_the_bytes(server: Process, tmp_path: Path) -> None:
    path = file_of(tmp_path, 2 * MIB)
    async with Client(server.url, server.token) as client:
        file = await client.upload(path, direct=True)
        assert file.crc32c is not None
        await client.delete(file.id)


async def test_what_the_bucket_does_not_take_goes_to_the_server(
    site: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_args: Any) -> None:
        raise BucketRefused

    monkeypatch.setattr("lading.client.direct.Bucket._once", refuse)
    path = file_of(tmp_path, 2 * MIB)
    async with Client(site.url, site.token, timing=AT_ONCE) as client:
        file = await client.upload(path, direct=True)
    assert file.crc32c is not None
    assert await through_the_server(site) == 2


async def test_a_stream_goes_to_the_server(site: Inside) -> None:
    async def bytes_() -> AsyncIterator[bytes]:
        yield b"a stream"

    async with Client(site.url, site.token) as client:
        file = await client.upload(bytes_(), name="s.bin", direct=True)
    assert file.crc32c is not None


# -- progress


@pytest.mark.parametrize("size", [3 * MIB + 1, LARGE], ids=["whole", "in parts"])
async def test_progress_tells_what_is_on_its_way_and_goes_back_where_it_was_lost(
    site: Inside, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Bucket._once
    lost: list[int] = []

    async def lose(self: Bucket, to: Any, start: int, end: int) -> None:
        if not lost:
            lost.append(start)
            raise Unavailable("It is lost.")
        await once(self, to, start, end)

    monkeypatch.setattr(Bucket, "_once", lose)
    path = file_of(tmp_path, size)
    async with Client(site.url, site.token, timing=AT_ONCE) as client:
        upload = client.upload(path, direct=True)
        seen = [progress async for progress in upload]
        await upload
    stored = [each.stored for each in seen]
    assert (max(stored), stored[-1], lost) == (size, size, [lost[0]])
    assert [each.state for each in seen][-2:] == [State.VERIFYING, State.DONE]
    assert (upload.bytes_sent, upload.bytes_acknowledged, upload.resumed_from) == (size, size, 0)


# -- a later run


async def interrupted(site: Inside, path: Path, monkeypatch: pytest.MonkeyPatch) -> UploadTask:
    """An upload of a program that ended when all was sent, before it was finalized."""
    sent = asyncio.Event()

    async def wait(*_args: Any) -> Any:
        sent.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(DirectUpload, "_finalize", wait)
        async with Client(site.url, site.token) as client:
            upload = client.upload(path, direct=True)
            running = asyncio.ensure_future(_ended(upload))
            await sent.wait()
            await upload.stop()
            await running
    assert upload.id is not None
    return upload


async def _ended(upload: UploadTask) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await upload


async def test_a_later_run_publishes_what_was_sent(
    site: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, 3 * MIB + 1)
    before = await interrupted(site, path, monkeypatch)
    async with Client(site.url, site.token) as client:
        upload = client.upload(path, direct=True)
        file = await upload
        assert (file.id, upload.bytes_sent, upload.skipped) == (before.id, 0, False)
        assert (await client.usage()).reserved == 0


async def test_a_later_run_sends_the_parts_that_the_bucket_lacks(
    site: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, LARGE)
    only, once = asyncio.Semaphore(2), Bucket._once

    async def two(self: Bucket, to: Any, start: int, end: int) -> None:
        if only.locked():
            await asyncio.Event().wait()
        await only.acquire()
        await once(self, to, start, end)

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "_once", two)
        async with Client(site.url, site.token) as client:
            first = client.upload(path, direct=True)
            async for _ in first:
                if first.bytes_acknowledged == 2 * PART:
                    break
            await first.stop()
    async with Client(site.url, site.token) as client:
        upload = client.upload(path, direct=True)
        file = await upload
        assert (file.id, upload.resumed_from) == (first.id, 2 * PART)
        assert (upload.bytes_sent, upload.bytes_acknowledged) == (LARGE - 2 * PART,) * 2
        assert await client.uploads() == ()
        await client.download(file.id, tmp_path / "back.mp4")
    assert (tmp_path / "back.mp4").read_bytes() == path.read_bytes()
    assert await through_the_server(site) == 0


async def test_a_later_run_without_a_bucket_sends_the_bytes_to_the_server(
    site: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, 3 * MIB + 1)
    before = await interrupted(site, path, monkeypatch)
    async with Client(site.url, site.token) as client:
        file = await client.upload(path)
    assert (file.id, file.crc32c is not None) == (before.id, True)


async def test_a_file_that_changed_between_two_runs_is_announced_again(
    site: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, 3 * MIB + 1)
    before = await interrupted(site, path, monkeypatch)
    with path.open("r+b") as changed:
        changed.seek(100_000)  # between the samples of the fingerprint
        changed.write(b"other")
    os.utime(path, ns=(1, 1))
    async with Client(site.url, site.token) as client:
        file = await client.upload(path, direct=True)
        assert file.id != before.id
        assert await client.uploads() == ()
    assert [each async for each in bucket(site).uploads()] == [file.id]


def killed(site: Inside, path: Path, stored: int) -> None:
    """`lading put --direct`, killed once so many bytes are on their way."""
    with subprocess.Popen(
        [sys.executable, "-m", "lading", "put", str(path), "--direct", "--json"],
        env=environment(site),
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if json.loads(line).get("stored", 0) >= stored:
                break
        child.kill()


def environment(site: Inside) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    root = str(Path(__file__).parents[3])
    return {**own, "PYTHONPATH": root, "LADING_URL": site.url, "LADING_TOKEN": site.token or ""}


async def test_a_command_that_was_killed_continues_when_it_is_run_again(
    site: Inside, tmp_path: Path
) -> None:
    size = 40 * PART
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(size)
    # With this much on its way, at least four parts are in the bucket.
    await asyncio.to_thread(killed, site, path, 8 * PART)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "lading", "put", str(path), "--direct", "--json"],
        env=environment(site),
        capture_output=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["resumed_from"] >= 4 * PART
    assert told["bytes_acknowledged"] == size - told["resumed_from"]
    async with Client(site.url, site.token) as client:
        assert (await client.manifest(told["id"])).raw["blobs"] == "s3"
        assert await client.uploads() == ()


# -- kinds


async def test_a_file_of_a_kind_is_found_again_in_the_directory_of_its_kind(
    site: Inside, tmp_path: Path
) -> None:
    path = file_of(tmp_path, 2 * MIB)
    async with Client(site.url, site.token) as client:
        for skipped in (False, True):
            upload = client.upload(path, direct=True, kind="clip", directory="mine")
            file = await client.manifest((await upload).id)
            assert (upload.skipped, file.directory) == (skipped, "clips")
            assert file.raw["kind"] == "clip"


async def test_one_byte_too_much_for_a_kind_sends_nothing(site: Inside, tmp_path: Path) -> None:
    async with Client(site.url, site.token) as client:
        await client.upload(file_of(tmp_path, 3_000_000), direct=True, kind="clip")
        upload = client.upload(file_of(tmp_path, 3_000_001), direct=True, kind="clip")
        with pytest.raises(TooLarge):
            await upload
        assert (upload.bytes_sent, (await client.usage()).reserved) == (0, 0)
