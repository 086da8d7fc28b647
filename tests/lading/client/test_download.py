import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from lading.client.client import Client
from lading.client.errors import TargetExists, TargetFailed, Unreachable
from lading.client.target import FileTarget
from lading.client.types import Manifest, Progress, State
from lading.protocol.errors import ChecksumMismatch, Incomplete, InvalidArgument, NotFound
from tests.lading.conftest import AT_ONCE, Clock
from tests.support.network import Network, network
from tests.support.servers import Process
from tests.support.wire import channel

SIZE = 9 * 2**20 + 17


@pytest.fixture(scope="module")
def body() -> bytes:
    return Random(3).randbytes(SIZE)


@pytest.fixture
async def lading(server: Process) -> AsyncIterator[Client]:
    async with Client(server.url, server.token, timing=AT_ONCE) as client:
        yield client


@pytest.fixture
async def file_id(lading: Client, body: bytes) -> str:
    return (await lading.upload(io.BytesIO(body), name="movie.mp4")).id


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def behind(between: Network, server: Process) -> Client:
    return Client(between.url, server.token, timing=AT_ONCE)


async def test_a_file_comes_under_its_own_name(
    lading: Client, file_id: str, body: bytes, here: Path
) -> None:
    seen: list[Progress] = []
    assert await lading.download(file_id, on_progress=seen.append) == Path("movie.mp4")
    assert (here / "movie.mp4").read_bytes() == body
    assert not (here / f"movie.mp4.{file_id}.part").exists()
    assert seen[0] == Progress(State.SENDING, 0, SIZE)
    assert seen[-1] == Progress(State.DONE, SIZE, SIZE)


async def test_into_a_directory(lading: Client, file_id: str, body: bytes, tmp_path: Path) -> None:
    assert await lading.download(file_id, tmp_path) == tmp_path / "movie.mp4"
    with pytest.raises(TargetExists):
        await lading.download(file_id, tmp_path)
    await lading.download(file_id, tmp_path, overwrite=True)


async def test_into_a_pipe(lading: Client, file_id: str, body: bytes) -> None:
    file = io.BytesIO()
    assert await lading.download(file_id, file) is None
    assert file.getvalue() == body


async def test_a_name_that_wants_out(lading: Client, here: Path) -> None:
    name = "../../evil\r\n.sh"
    made = await lading.upload(io.BytesIO(b"x"), name=name)
    assert await lading.download(made.id) == Path("evil__.sh")


@pytest.mark.parametrize("seed", range(3))
async def test_cuts_at_random_bytes(
    server: Process, file_id: str, body: bytes, tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    cuts = [random.randrange(1, SIZE // 4) for _ in range(10)]
    async with network(server.port, deaf=cuts) as between, behind(between, server) as lading:
        await lading.download(file_id, tmp_path / "a")
    assert between.cut_count >= 5
    assert (tmp_path / "a").read_bytes() == body


async def test_a_pipe_survives_cuts(server: Process, file_id: str, body: bytes) -> None:
    file = io.BytesIO()
    cuts = [100_000, 3_000_000, 10_000]
    async with network(server.port, deaf=cuts) as between, behind(between, server) as lading:
        await lading.download(file_id, file)
    assert file.getvalue() == body


async def test_a_second_run_goes_on(
    lading: Client, file_id: str, body: bytes, tmp_path: Path
) -> None:
    (tmp_path / f"a.{file_id}.part").write_bytes(body[: 2**20])
    seen: list[Progress] = []
    await lading.download(file_id, tmp_path / "a", on_progress=seen.append)
    assert seen[0].stored == 2**20
    assert (tmp_path / "a").read_bytes() == body


async def test_all_that_was_left_is_there(
    lading: Client, file_id: str, body: bytes, tmp_path: Path
) -> None:
    (tmp_path / f"a.{file_id}.part").write_bytes(body)
    await lading.download(file_id, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == body


async def test_what_is_left_of_another_file(
    lading: Client, file_id: str, body: bytes, tmp_path: Path
) -> None:
    (tmp_path / f"a.{file_id}.part").write_bytes(body[::-1][: 2**20])
    await lading.download(file_id, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == body


async def test_files_of_one_name_at_once(
    lading: Client, file_id: str, body: bytes, tmp_path: Path
) -> None:
    turned = await lading.upload(io.BytesIO(body[::-1]), name="movie.mp4")
    bodies = {file_id: body, turned.id: body[::-1]}
    results = await asyncio.gather(
        *(lading.download(each, tmp_path) for each in bodies), return_exceptions=True
    )
    won = next(each for each, path in zip(bodies, results, strict=True) if isinstance(path, Path))
    assert [type(result) for result in results if isinstance(result, Exception)] == [TargetExists]
    assert (tmp_path / "movie.mp4").read_bytes() == bodies[won]


async def test_one_file_by_two_runs_at_once(
    lading: Client, file_id: str, body: bytes, tmp_path: Path
) -> None:
    found = await lading.manifest(file_id)
    assert isinstance(found, Manifest)
    other = FileTarget(tmp_path / "a", found, overwrite=True)
    other.open()
    try:
        with pytest.raises(TargetFailed, match="another run"):
            await lading.download(file_id, tmp_path / "a", overwrite=True)
    finally:
        other.close()
    await lading.download(file_id, tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_bytes() == body


async def test_bytes_that_are_changed_on_the_way(
    server: Process, file_id: str, tmp_path: Path
) -> None:
    def flip(block: bytes) -> bytes:
        return block[:-1] + bytes([block[-1] ^ 1]) if len(block) > 50_000 else block

    async with network(server.port) as between, behind(between, server) as lading:
        between.damage_back = flip
        with pytest.raises(ChecksumMismatch):
            await lading.download(file_id, tmp_path / "a")
        assert not (tmp_path / "a").exists()
        between.damage_back = bytes
        await lading.download(file_id, tmp_path / "a")  # nothing wrong was kept


async def test_a_server_that_ends_before_the_first_byte(
    server: Process, file_id: str, tmp_path: Path, clock: Clock
) -> None:
    async with Client(server.url, server.token) as lading:
        assert isinstance(await lading.manifest(file_id), Manifest)
    async with (
        network(server.port, deaf=[2500, *[700] * 20]) as between,
        Client(between.url, server.token, timing=clock.timing()) as lading,
    ):
        with pytest.raises(Unreachable, match="first byte"):
            await lading.download(file_id, tmp_path / "a")
    assert len(clock.slept) <= 12


async def test_an_empty_file(lading: Client, tmp_path: Path) -> None:
    made = await lading.upload(io.BytesIO(b""), name="empty")
    await lading.download(made.id, tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


async def test_a_file_without_sha256(lading: Client, tmp_path: Path) -> None:
    made = await lading.upload(io.BytesIO(b"abc"), name="a", sha256=False)
    await lading.download(made.id, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"abc"


async def test_an_unfinished_one(lading: Client, server: Process, tmp_path: Path) -> None:
    async with channel(server) as wire:
        upload = await wire.create(0, 5)
        with pytest.raises(Incomplete, match="still being uploaded"):
            await lading.download(upload["id"], tmp_path / "a")


async def test_what_is_not_there(lading: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await lading.download("0" * 24, tmp_path / "a")
    with pytest.raises(InvalidArgument):
        await lading.download("../etc", tmp_path / "a")


async def test_a_place_that_is_not_there(lading: Client, file_id: str, tmp_path: Path) -> None:
    with pytest.raises(TargetFailed):
        await lading.download(file_id, tmp_path / "missing" / "a")
