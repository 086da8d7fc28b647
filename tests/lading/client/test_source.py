import asyncio
import errno
import hashlib
import io
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lading.client.backoff import Pace
from lading.client.errors import SourceChanged, SourceFailed
from lading.client.source import FileSource, Readable, Source, StreamSource, open_source
from lading.protocol.errors import InvalidArgument
from lading.protocol.messages import Opened
from tests.lading.conftest import Clock
from tests.support.servers import until

CELL = 1024


def opened(*missing: tuple[int, int], stored: int = 0) -> Opened:
    return Opened(0, "0" * 24, "a", None, CELL, stored, missing, None, "uploading")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def source_of(what: Readable, name: str | None = None) -> Source:
    return await open_source(what, name, sha256=True)


def nothing() -> None:
    """Nobody is to be woken."""


async def blocks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


# -- files -----------------------------------------------------------------------------------------


async def test_a_file_gives_its_bytes_and_facts(file: Path, data: bytes) -> None:
    source = await source_of(file)
    assert isinstance(source, FileSource)
    assert (source.name, source.size, source.offered) == ("movie.mp4", len(data), len(data))
    assert await source.read(10, 20, lambda piece: b"<" + piece) == b"<" + data[10:20]
    await source.close()


async def test_the_digest_of_a_file_read_in_order_is_ready(file: Path, data: bytes) -> None:
    source = await source_of(file)
    for start in range(0, len(data), 100_000):
        await source.read(start, min(start + 100_000, len(data)), bytes)
    told: list[int] = []
    assert await source.digest(told.append) == sha256(data)
    assert told == []
    await source.close()


@pytest.mark.parametrize(
    "reads", [[], [(500_000, 600_000)], [(0, 1000), (0, 2000), (1500, 3000), (9000, 9001)]]
)
async def test_the_digest_of_a_file_read_in_parts(
    file: Path, data: bytes, reads: list[tuple[int, int]]
) -> None:
    source = await source_of(file)
    for start, end in reads:
        await source.read(start, end, bytes)
    told: list[int] = []
    assert await source.digest(told.append) == sha256(data)
    assert told[-1] == len(data)
    await source.close()


async def test_a_digest_that_nobody_wants(file: Path) -> None:
    source = await open_source(file, None, sha256=False)
    await source.read(0, 10, bytes)
    assert await source.digest(lambda _: None) is None
    await source.close()


def write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def replace(other: Path, file: Path) -> None:
    other.replace(file)


def remove(file: Path) -> None:
    file.unlink()


async def sent(source: Source) -> Source:
    """The source, after all of its bytes were sent."""
    await source.digest(lambda _: None)
    return source


async def test_a_file_that_grew_keeps_its_beginning(file: Path, data: bytes) -> None:
    source = await sent(await source_of(file))
    write(file, data + b"more")
    await source.confirm(lambda _: None)
    assert (source.size, source.grown_by) == (len(data), 4)
    await source.close()


async def test_a_file_that_was_touched_is_the_same(file: Path) -> None:
    source = await sent(await source_of(file))
    os.utime(file)
    await source.confirm(lambda _: None)
    assert source.grown_by == 0
    await source.close()


async def test_without_a_digest_a_touch_may_be_a_change(file: Path) -> None:
    source = await open_source(file, None, sha256=False)
    await source.confirm(lambda _: None)
    os.utime(file)
    with pytest.raises(SourceChanged, match="without a SHA-256"):
        await source.confirm(lambda _: None)
    await source.close()


async def test_other_bytes_are_noticed(file: Path, data: bytes) -> None:
    source = await sent(await source_of(file))
    write(file, data[:-1] + b"?")
    with pytest.raises(SourceChanged, match="movie"):
        await source.confirm(lambda _: None)
    await source.close()


async def test_other_bytes_are_noticed_where_times_are_coarse(file: Path, data: bytes) -> None:
    changed = time.time_ns()
    os.utime(file, ns=(changed, changed))
    source = await sent(await source_of(file))
    write(file, data[:-1] + b"?")
    os.utime(file, ns=(changed, changed))
    with pytest.raises(SourceChanged, match="movie"):
        await source.confirm(lambda _: None)
    await source.close()


async def test_a_file_that_rested_is_read_once(file: Path) -> None:
    source = await sent(await source_of(file))
    hashed: list[int] = []
    await source.confirm(hashed.append)
    assert hashed == []
    await source.close()


async def test_a_file_that_was_replaced_stays_what_was_opened(file: Path, data: bytes) -> None:
    source = await source_of(file)
    other = file.with_name("other")
    write(other, b"other")
    replace(other, file)
    assert await source.digest(lambda _: None) == sha256(data)
    await source.confirm(lambda _: None)
    await source.close()


async def test_a_deleted_file_stays_what_was_opened(file: Path, data: bytes) -> None:
    source = await source_of(file)
    remove(file)
    assert await source.digest(lambda _: None) == sha256(data)
    await source.confirm(lambda _: None)
    await source.close()


async def test_a_disk_that_fails_in_the_middle(file: Path) -> None:
    class Failing(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 100_000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(-1 if size is None else size)

    with Failing(file) as failing:
        source = await source_of(failing, "a")
        await source.read(0, 100_000, bytes)
        with pytest.raises(SourceFailed, match="Input/output error"):
            await source.read(100_000, 200_000, bytes)
        await source.close()


async def test_a_sparse_file(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 3_000_000)
    source = await source_of(path)
    assert await source.digest(lambda _: None) == sha256(bytes(3_000_000))
    await source.close()


async def test_a_link_is_followed(file: Path, data: bytes) -> None:
    link = file.with_name("link.mp4")
    link.symlink_to(file)
    source = await source_of(link)
    assert (source.name, source.size) == ("link.mp4", len(data))
    await source.close()


async def test_a_file_that_became_shorter_is_noticed(file: Path) -> None:
    source = await source_of(file)
    os.truncate(file, 1000)
    with pytest.raises(SourceChanged, match="shorter"):
        await source.read(500, 1500, bytes)
    await source.close()


async def test_the_same_file_has_the_same_fingerprint(file: Path, tmp_path: Path) -> None:
    first, second = await source_of(file), await source_of(str(file))
    assert first.fingerprint == second.fingerprint
    os.utime(file)
    third = await source_of(file)
    assert third.fingerprint == first.fingerprint
    assert third.former_fingerprint != first.former_fingerprint
    for source in (first, second, third):
        await source.close()


async def test_without_a_digest_the_time_counts(file: Path) -> None:
    dated = await open_source(file, None, sha256=False)
    usual = await source_of(file)
    assert (dated.fingerprint, dated.former_fingerprint) == (usual.former_fingerprint, None)
    for source in (dated, usual):
        await source.close()


async def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    source = await source_of(tmp_path / "empty")
    assert source.size == 0
    assert await source.digest(lambda _: None) == sha256(b"")
    await source.close()


async def test_an_open_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    source = await source_of(file, "digits")
    assert source.size == 6
    assert await source.read(0, 6, bytes) == b"456789"
    await source.confirm(lambda _: None)
    await source.close()
    assert not file.closed


@pytest.mark.parametrize("name", ["missing", ""])
async def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceFailed, match="cannot be read"):
        await source_of(tmp_path / name)


async def test_a_name_is_needed() -> None:
    with pytest.raises(InvalidArgument, match="name"):
        await source_of(io.BytesIO(b""))
    with pytest.raises(InvalidArgument, match="name"):
        await source_of(blocks())


async def test_a_name_that_is_not_unicode_becomes_so(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    os.close(os.open(path, os.O_CREAT))
    source = await source_of(os.fsdecode(path))
    assert source.name == "caf\N{REPLACEMENT CHARACTER}"
    await source.close()


# -- streams ---------------------------------------------------------------------------------------


async def test_a_stream_is_cut_at_the_cells() -> None:
    source = await source_of(blocks(b"a" * 700, b"b" * 700, b"c" * 700), "s")
    source.opened(opened(), 10 * CELL, nothing)
    await until(lambda: source.size is not None)
    assert (source.size, source.offered) == (2100, 2100)
    assert await source.read(0, CELL, bytes) == b"a" * 700 + b"b" * 324
    assert await source.read(2048, 2100, bytes) == b"c" * 52
    await source.close()


async def test_the_digest_of_a_stream() -> None:
    source = await source_of(blocks(b"a" * 1500, b"b"), "s")
    source.opened(opened(), 10 * CELL, nothing)
    await until(lambda: source.size is not None)
    for start, end in [(0, CELL), (0, CELL), (CELL, 1501), (0, CELL)]:
        await source.read(start, end, bytes)
    assert await source.digest(lambda _: None) == sha256(b"a" * 1500 + b"b")
    await source.close()


async def test_a_stream_waits_until_what_was_read_is_durable() -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield bytes(CELL)

    source = StreamSource(endless(), "s", sha256=True)
    source.opened(opened(), 4 * CELL, nothing)
    await until(lambda: source.held == 5 * CELL)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (source.offered, given) == (5 * CELL, 6)
    source.release(0, CELL)
    await until(lambda: source.offered == 6 * CELL)
    assert source.held == 5 * CELL
    await source.close()


async def test_a_new_connection_tells_what_is_durable() -> None:
    source = StreamSource(blocks(b"x" * 4 * CELL), "s", sha256=True)
    source.opened(opened(), 10 * CELL, nothing)
    await until(lambda: source.size is not None)
    source.opened(opened((CELL, 2 * CELL), stored=2 * CELL), 10 * CELL, nothing)
    assert source.held == 2 * CELL  # the hole, and what was never sent
    assert await source.read(CELL, 2 * CELL, bytes) == b"x" * CELL
    assert await source.read(3 * CELL, 4 * CELL, bytes) == b"x" * CELL
    await source.close()


async def test_a_stream_that_breaks_says_so() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError("camera unplugged")

    woken = asyncio.Event()
    source = await source_of(broken(), "s")
    source.opened(opened(), 10 * CELL, woken.set)
    await until(lambda: source.offered)
    await asyncio.sleep(0)
    with pytest.raises(SourceFailed, match="camera unplugged"):
        source.check()
    assert woken.is_set()
    await source.close()


# -- pipes -----------------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


async def test_a_pipe_is_read_as_it_comes(pipe: tuple[int, int]) -> None:
    source = await source_of(io.FileIO(pipe[0], closefd=False), "p")
    assert isinstance(source, StreamSource)
    source.opened(opened(), 10 * CELL, nothing)
    os.write(pipe[1], b"a" * CELL)
    os.write(pipe[1], b"b")
    assert source.size is None
    os.close(pipe[1])
    await until(lambda: source.size == CELL + 1)
    assert await source.read(CELL, CELL + 1, bytes) == b"b"
    await source.close()


async def test_a_pipe_that_never_ends_can_be_left(pipe: tuple[int, int]) -> None:
    source = await source_of(io.FileIO(pipe[0], closefd=False), "p")
    source.opened(opened(), 10 * CELL, nothing)
    await asyncio.sleep(0)
    await source.close()


async def test_a_path_that_is_no_regular_file(tmp_path: Path) -> None:
    source = await source_of("/dev/null")
    assert isinstance(source, StreamSource)
    source.opened(opened(), 10 * CELL, nothing)
    await until(lambda: source.size == 0)
    await source.close()


@pytest.mark.parametrize(
    "path", ["/proc/cpuinfo", "/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
async def test_a_file_whose_length_the_system_does_not_tell(path: str) -> None:
    source = await source_of(path)
    assert isinstance(source, StreamSource)
    source.opened(opened(), 2**20, nothing)
    await until(lambda: source.size is not None)
    assert source.size
    first = path.rsplit("/", 1)[1] == "enabled"
    assert (await source.read(0, 4, bytes)).isascii() or first
    await source.close()


# -- pace and time


async def test_bytes_are_read_at_the_pace_of_the_client_and_in_order(
    file: Path, data: bytes, clock: Clock
) -> None:
    for what in (file, io.BytesIO(data)):
        source = await source_of(what, "a")
        source.pace = Pace(10_000.0, clock.timing())
        began = clock.now
        pieces = [source.read(at, at + 10_000, bytes) for at in range(0, 50_000, 10_000)]
        assert b"".join([await piece for piece in pieces]) == data[:50_000]
        assert clock.now - began == 4.0
        await source.close()


async def test_the_time_of_a_file_is_known(file: Path) -> None:
    source = await source_of(file)
    assert source.modified_ns == 10**18
    await source.close()
    source = await source_of(blocks(b"x"), "a")
    assert source.modified_ns is None
    await source.close()


async def test_an_ordinary_iterable_is_a_stream() -> None:
    source = await source_of(iter([b"ab", b"cd"]), "a")
    assert isinstance(source, StreamSource)
    source.opened(opened(), CELL, nothing)
    await until(lambda: source.size is not None)
    assert (source.size, await source.read(0, 4, bytes)) == (4, b"abcd")
    await source.close()
