import asyncio
import hashlib
import io
import itertools
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response

from lading.client.backoff import Timing
from lading.client.client import Client
from lading.client.errors import NotALadingServer, SourceChanged, SourceFailed, Unreachable
from lading.client.source import open_source
from lading.client.types import File, Progress, State
from lading.protocol import effects as e
from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    ChecksumMismatch,
    ChunkConflict,
    Forbidden,
    Gone,
    Internal,
    LadingError,
    NotFound,
    QuotaExceeded,
    Unauthorized,
    Unavailable,
)
from lading.protocol.messages import Create, Finish, Hello, Resume
from lading.protocol.spec import UploadSpec
from tests.lading.conftest import AT_ONCE, Clock
from tests.support.fake_server import Fake, from_proxy, respond, running
from tests.support.network import network
from tests.support.servers import until

KIB = 1024


def client(url: str, timing: Timing = AT_ONCE, **options: Any) -> Client:
    return Client(url, options.pop("token", "secret"), timing=timing, **options)


def of(fake: Fake, kind: type[Any]) -> list[Any]:
    """The messages of this kind that the server got."""
    return [message for message in fake.received if isinstance(message, kind)]


def times(count: int, error: LadingError) -> Callable[[Any], LadingError | None]:
    """Refuses so many times."""
    left = [error] * count
    return lambda _effect: left.pop() if left else None


# -- when nothing goes wrong -----------------------------------------------------------------------


async def test_a_file_arrives_whole(fake: Fake, file: Path, data: bytes) -> None:
    async with client(fake.url) as lading:
        upload = lading.upload(file, directory="films", tags=["a", "b"])
        done = await upload
    assert fake.only.bytes() == data
    spec = fake.only.spec
    assert (spec.name, spec.size, spec.mime_type) == ("movie.mp4", len(data), "video/mp4")
    assert (spec.directory, spec.tags) == ("films", ("a", "b"))
    digest = hashlib.sha256(data).hexdigest()
    assert of(fake, Finish)[0].sha256 == digest
    assert done == File(
        id=fake.only.id,
        name="movie.mp4",
        size=len(data),
        mime_type="video/mp4",
        sha256=digest,
        crc32c=done.crc32c,
        url=f"{fake.url}/v1/files/{fake.only.id}",
    )
    assert set(done.raw) == {"id", "size", "mime_type", "sha256", "crc32c", "url"}
    assert upload.id == done.id
    assert (upload.bytes_sent, upload.bytes_acknowledged) == (len(data), len(data))
    assert (upload.resumed_from, upload.skipped, upload.connections) == (0, False, 1)


@pytest.mark.parametrize("size", [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB])
async def test_sizes_around_the_cells(fake: Fake, size: int) -> None:
    body = Random(size).randbytes(size)
    async with client(fake.url) as lading:
        await lading.upload(io.BytesIO(body), name="a")
    assert fake.only.bytes() == body


async def test_pieces_fly_together_and_never_beyond_the_window(fake: Fake, file: Path) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        upload = asyncio.ensure_future(_done(lading.upload(file)))
        await until(lambda: fake.bytes_received == fake.window)
        fake.gate.set()
        await upload
    assert fake.most_in_flight == fake.window


async def _done(upload: Any) -> Any:
    return await upload


async def test_progress_can_be_iterated(fake: Fake, file: Path, data: bytes) -> None:
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        seen = [progress async for progress in upload]
        done = await upload
    stored = [progress.stored for progress in seen]
    assert stored == sorted(stored)
    assert seen[-1] == Progress(State.DONE, len(data), len(data))
    assert done.size == len(data)


async def test_progress_counts_what_is_durable_only(fake: Fake, file: Path) -> None:
    fake.gate.clear()
    seen: list[int] = []
    async with client(fake.url) as lading:
        upload = lading.upload(file, on_progress=lambda progress: seen.append(progress.stored))
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: upload.bytes_sent >= fake.window)
        assert set(seen) == {0}
        fake.gate.set()
        await task


async def test_iterating_raises_what_awaiting_would(fake: Fake, file: Path) -> None:
    fake.on_open = times(1, QuotaExceeded())
    async with client(fake.url) as lading:
        with pytest.raises(QuotaExceeded):
            async for _ in lading.upload(file):
                pass


async def test_nothing_happens_before_it_is_awaited(fake: Fake, file: Path) -> None:
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        await upload.stop()
    assert fake.connections == 0


async def test_without_sha256(fake: Fake, file: Path) -> None:
    async with client(fake.url) as lading:
        await lading.upload(file, sha256=False)
    assert of(fake, Finish)[0].sha256 is None


# -- streams ---------------------------------------------------------------------------------------


async def stream(data: bytes, step: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        await asyncio.sleep(0)
        yield data[start : start + step]


@pytest.mark.parametrize("size", [0, 1, 64 * KIB, 64 * KIB + 1, 1_000_000])
async def test_a_stream_of_unknown_length(fake: Fake, size: int) -> None:
    body = Random(size).randbytes(size)
    async with client(fake.url) as lading:
        done = await lading.upload(stream(body), name="recording.webm")
    assert fake.only.bytes() == body
    assert fake.only.spec.size is None
    assert (done.size, done.sha256) == (size, hashlib.sha256(body).hexdigest())


async def test_a_stream_survives_cuts(fake: Fake, data: bytes) -> None:
    cuts = [Random(2).randrange(100_000, 500_000) for _ in range(6)]
    async with network(fake.port, cuts) as between, client(between.url) as lading:
        await lading.upload(stream(data), name="recording.webm")
    assert between.cut_count >= 3
    assert fake.only.bytes() == data


async def test_a_stream_that_breaks_is_told(fake: Fake) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(200_000)
        raise ValueError("camera unplugged")

    async with client(fake.url) as lading:
        with pytest.raises(SourceFailed, match="camera unplugged"):
            await lading.upload(broken(), name="recording.webm")
    assert of(fake, Finish) == []


# -- networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
async def test_cuts_at_random_bytes(fake: Fake, file: Path, data: bytes, seed: int) -> None:
    random = Random(seed)
    cuts = [random.randrange(1, 150_000) for _ in range(12)]
    async with network(fake.port, cuts) as between, client(between.url) as lading:
        upload = lading.upload(file)
        done = await upload
    assert between.cut_count >= 5
    assert fake.only.bytes() == data
    assert done.sha256 == hashlib.sha256(data).hexdigest()
    assert upload.bytes_sent <= len(data) + between.cut_count * fake.window


@pytest.mark.parametrize("seed", range(4))
async def test_answers_that_get_lost(fake: Fake, file: Path, data: bytes, seed: int) -> None:
    random = Random(seed)
    deaf = [random.randrange(200, 400) for _ in range(16)]
    async with network(fake.port, deaf=deaf) as between, client(between.url) as lading:
        await lading.upload(file)
    assert between.cut_count >= 5
    assert len(fake.uploads) == 1  # an upload whose OPENED was lost is found again
    assert fake.only.bytes() == data


async def test_bytes_that_are_changed_on_the_way(fake: Fake, file: Path, data: bytes) -> None:
    count = 0

    def flip(block: bytes) -> bytes:
        nonlocal count
        if len(block) < 10_000:
            return block
        count += 1
        if count % 4:
            return block
        middle = len(block) // 2
        return block[:middle] + bytes([block[middle] ^ 1]) + block[middle + 1 :]

    async with network(fake.port) as between, client(between.url) as lading:
        between.damage = flip
        await lading.upload(file)
    assert count > 4
    assert fake.only.bytes() == data


async def test_a_server_that_is_killed_and_comes_back(fake: Fake, file: Path, data: bytes) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received >= fake.window)
        await fake.stop()
        await until(lambda: upload.progress.state is State.WAITING)
        fake.gate.set()
        await fake.start()
        await task
    assert fake.only.bytes() == data
    assert upload.connections == 2
    assert upload.bytes_sent <= len(data) + fake.window


async def test_patience_ends(fake: Fake, file: Path, clock: Clock) -> None:
    async with client(fake.url, clock.timing(), patience=100) as lading:
        upload = lading.upload(file)

        fake.gate.clear()
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: upload.bytes_sent > 0)
        await fake.stop()
        with pytest.raises(Unreachable, match="connection refused"):
            await task
    assert sum(clock.slept) == pytest.approx(100)
    await fake.start()


async def test_a_server_that_was_never_there(file: Path, clock: Clock) -> None:
    async with running() as gone:
        url = gone.url
    async with client(url, clock.timing(), connect_patience=30, patience=600) as lading:
        with pytest.raises(Unreachable, match="connection refused"):
            await lading.upload(file)
    assert sum(clock.slept) == pytest.approx(30)


async def test_goaway_waits_for_what_is_in_flight(fake: Fake, file: Path, data: bytes) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received == fake.window)
        await fake.drain()
        fake.gate.set()
        await task
    assert fake.only.bytes() == data
    assert upload.connections == 2
    assert upload.bytes_sent == len(data)  # nothing was sent twice


async def test_goaway_says_when_to_come_back(fake: Fake, file: Path, clock: Clock) -> None:
    fake.gate.clear()
    async with client(fake.url, clock.timing(chance=0.5)) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received == fake.window)
        await fake.drain(retry_after=7)
        fake.gate.set()
        await task
    assert 7.1 in [pytest.approx(slept) for slept in clock.slept]


# -- refusals --------------------------------------------------------------------------------------


async def test_a_store_that_is_down_for_a_while(fake: Fake, file: Path, data: bytes) -> None:
    fake.on_store = times(10, Unavailable())
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        await upload
    assert fake.only.bytes() == data
    assert upload.connections > 1


async def test_a_server_that_is_too_busy_for_an_upgrade(
    fake: Fake, file: Path, clock: Clock
) -> None:
    left = [1, 2, 3]
    busy = respond(Unavailable(), 503, Retry_After="2")
    fake.on_request = lambda path: busy if path == "/v1/ws" and left and left.pop() else None
    async with client(fake.url, clock.timing(chance=0.0)) as lading:
        await lading.upload(file)
    assert clock.slept[:3] == [2.0, 2.0, 2.0]


PROXYS = [408, 425, 429, 500, 502, 504, 520, 530]


@pytest.mark.parametrize(
    "answered", list(itertools.product(PROXYS, ["/v1/ws", "/v1/uploads", "/v1/files"]))
)
async def test_a_proxy_that_answers_for_the_server_for_a_while(
    fake: Fake, file: Path, data: bytes, clock: Clock, answered: tuple[int, str]
) -> None:
    status, path = answered

    def answer(asked: str) -> Response | None:
        # Several may be asked for at the same moment: the proxy does so until five waits are over.
        return from_proxy(status) if asked == path and len(clock.slept) < 5 else None

    fake.on_request = answer
    async with client(fake.url, clock.timing()) as lading:
        await lading.upload(file)
    assert len(clock.slept) >= 5
    assert fake.only.bytes() == data


async def test_a_proxy_with_a_fault_that_stays_is_reported(
    fake: Fake, file: Path, clock: Clock
) -> None:
    fake.on_request = lambda _path: from_proxy(500)
    async with client(fake.url, clock.timing()) as lading:
        with pytest.raises(Internal, match="HTTP status 500"):
            await lading.upload(file)
    assert len(clock.slept) == 5


async def test_another_writer_in_the_same_cell(fake: Fake, file: Path, data: bytes) -> None:
    fake.on_store = times(2, ChunkConflict())
    async with client(fake.url) as lading:
        await lading.upload(file)
    assert fake.only.bytes() == data
    assert len(of(fake, Resume)) >= 1


async def test_a_conflict_that_stays_is_an_error(fake: Fake, file: Path) -> None:
    fake.on_store = lambda _effect: ChunkConflict()
    async with client(fake.url) as lading:
        with pytest.raises(ChunkConflict):
            await lading.upload(file)
    assert len(of(fake, Resume)) == 3


@pytest.mark.parametrize("error", [QuotaExceeded(), Forbidden()])
async def test_a_refusal_is_told_at_once(fake: Fake, file: Path, error: LadingError) -> None:
    fake.on_open = times(1, error)
    async with client(fake.url) as lading:
        with pytest.raises(type(error)):
            await lading.upload(file)
    assert fake.connections == 1


async def test_a_piece_that_never_arrives_unchanged(fake: Fake, file: Path) -> None:
    fake.on_store = lambda _effect: ChecksumMismatch()
    async with client(fake.url) as lading:
        with pytest.raises(ChecksumMismatch):
            await lading.upload(file)


# -- credentials -----------------------------------------------------------------------------------


async def test_a_refused_token(fake: Fake, file: Path) -> None:
    fake.on_authenticate = lambda _token: Unauthorized()
    async with client(fake.url) as lading:
        with pytest.raises(Unauthorized):
            await lading.upload(file)
    assert fake.connections == 1


async def test_a_token_that_expires_in_the_middle(fake: Fake, file: Path, data: bytes) -> None:
    given = iter(["first", "second"])
    fake.gate.clear()

    async def fetch() -> str:
        return next(given)

    async with client(fake.url, token=fetch) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received == fake.window)
        await fake.expire()
        fake.gate.set()
        await task
    assert [hello.token for hello in of(fake, Hello)] == ["first", "second"]
    assert fake.only.bytes() == data
    assert upload.bytes_sent == len(data)


async def test_an_expired_token_without_another(fake: Fake, file: Path) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received == fake.window)
        await fake.expire()
        fake.gate.set()
        with pytest.raises(Unauthorized):
            await task
    assert upload.id == fake.only.id


async def test_new_tokens_that_are_all_refused(fake: Fake, file: Path) -> None:
    fake.on_authenticate = lambda _token: Unauthorized()
    async with client(fake.url, token=lambda: "wrong") as lading:
        with pytest.raises(Unauthorized):
            await lading.upload(file)
    assert fake.connections <= 6


# -- earlier runs ----------------------------------------------------------------------------------


async def interrupted(fake: Fake, file: Path) -> None:
    """A run that ends half-way."""
    stored = 0

    def some(_effect: Any) -> LadingError | None:
        nonlocal stored
        stored += 1
        return None if stored <= 8 else Forbidden()

    fake.on_store = some
    async with client(fake.url) as lading:
        with pytest.raises(Forbidden):
            await lading.upload(file)
    fake.on_store = lambda _effect: None
    fake.received.clear()
    fake.bytes_received = 0


async def test_a_second_run_goes_on(fake: Fake, file: Path, data: bytes) -> None:
    await interrupted(fake, file)
    stored = len(fake.only.bytes())
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        done = await upload
    assert upload.resumed_from == stored == 8 * 64 * KIB
    assert upload.bytes_sent == len(data) - stored
    assert of(fake, Create) == []
    assert fake.only.bytes() == data
    assert done.sha256 == hashlib.sha256(data).hexdigest()


async def test_a_second_run_may_be_told_not_to(fake: Fake, file: Path) -> None:
    await interrupted(fake, file)
    async with client(fake.url) as lading:
        await lading.upload(file, resume=False)
    assert len(fake.uploads) == 2


async def test_a_file_that_is_there_is_not_sent(fake: Fake, file: Path) -> None:
    async with client(fake.url) as lading:
        first = await lading.upload(file)
        connections = fake.connections
        upload = lading.upload(file)
        assert await upload == first
    assert upload.skipped
    assert upload.bytes_sent == 0
    assert fake.connections == connections


@pytest.mark.parametrize("error", [Gone(), NotFound()])
async def test_a_remembered_upload_that_is_gone_is_begun_anew(
    fake: Fake, file: Path, data: bytes, error: LadingError
) -> None:
    await interrupted(fake, file)
    fake.on_reopen = times(1, error)
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        await upload
    assert upload.resumed_from == 0
    assert upload.id is not None
    assert fake.uploads[upload.id].bytes() == data


async def test_a_proxys_404_does_not_begin_an_upload_anew(fake: Fake, file: Path) -> None:
    await interrupted(fake, file)
    lost = [Response(404, "Not Found", Headers({"Content-Length": "0"}), b"")]
    fake.on_request = lambda path: lost.pop() if path == "/v1/ws" and lost else None
    async with client(fake.url) as lading:
        with pytest.raises(NotALadingServer):
            await lading.upload(file)
        fake.on_request = lambda _path: None
        upload = lading.upload(file)
        await upload
    assert upload.id == fake.only.id
    assert upload.resumed_from > 0


async def test_an_upload_that_someone_deleted_is_not_begun_anew(fake: Fake, file: Path) -> None:
    def delete(_effect: Any) -> LadingError | None:
        fake.uploads.clear()
        return None

    fake.on_store = delete
    async with client(fake.url) as lading:
        with pytest.raises(NotFound):
            await lading.upload(file)
    assert fake.uploads == {}


async def test_a_stored_part_of_other_bytes_is_begun_anew(
    fake: Fake, file: Path, data: bytes
) -> None:
    await interrupted(fake, file)
    old = fake.only
    size, _, _ = old.pieces[0]
    wrong = bytes(size)
    old.pieces[0] = size, crc32c(wrong), wrong
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        await upload
    assert upload.id != old.id
    assert upload.id is not None
    assert fake.uploads[upload.id].bytes() == data


async def test_a_finish_that_fails_twice_is_told(fake: Fake, file: Path) -> None:
    fake.on_complete = lambda _effect: ChecksumMismatch()
    async with client(fake.url) as lading:
        with pytest.raises(ChecksumMismatch):
            await lading.upload(file)
    assert len(of(fake, Create)) == 2


# -- files that change -----------------------------------------------------------------------------


async def test_a_file_that_changes_is_not_finished(fake: Fake, file: Path, data: bytes) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received == fake.window)  # nothing is being read
        await asyncio.to_thread(file.write_bytes, data[::-1])
        fake.gate.set()
        with pytest.raises(SourceChanged, match="changed during"):
            await task
        assert of(fake, Finish) == []
        kept = fake.only  # the user decides
        assert kept.finished is None
        again = lading.upload(file)
        await again
    assert again.id is not None
    assert fake.uploads[again.id].bytes() == data[::-1]


async def test_a_file_that_is_touched_is_finished(fake: Fake, file: Path, data: bytes) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        task = asyncio.ensure_future(_done(lading.upload(file)))
        await until(lambda: fake.bytes_received > 0)
        os.utime(file)
        fake.gate.set()
        await task
    assert fake.only.bytes() == data


async def test_a_file_that_is_touched_between_two_runs_is_resumed(fake: Fake, file: Path) -> None:
    await interrupted(fake, file)
    os.utime(file)
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        await upload
    assert upload.id == fake.only.id
    assert upload.resumed_from > 0


async def test_an_upload_of_an_earlier_version_is_resumed(fake: Fake, file: Path) -> None:
    await interrupted(fake, file)
    source = await open_source(file, None, sha256=True)
    await source.close()
    held = fake.only
    held.spec = replace(held.spec, fingerprint=source.former_fingerprint)
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        await upload
    assert upload.id == held.id
    assert upload.resumed_from > 0


async def test_of_a_file_that_grows_the_beginning_is_uploaded(
    fake: Fake, file: Path, data: bytes
) -> None:
    fake.gate.clear()
    async with client(fake.url) as lading:
        upload = lading.upload(file)
        task = asyncio.ensure_future(_done(upload))
        await until(lambda: fake.bytes_received == fake.window)  # nothing is being read
        await asyncio.to_thread(file.write_bytes, data + b"more")
        fake.gate.set()
        await task
    assert fake.only.bytes() == data
    assert upload.grown_by == 4


async def test_an_upload_of_another_size_is_not_mixed_with(fake: Fake, file: Path) -> None:
    def grow(effect: e.Resume) -> LadingError | None:
        held = fake.uploads[effect.upload_id]
        held.spec = UploadSpec(name=held.spec.name, size=5)
        held.pieces.clear()
        return None

    await interrupted(fake, file)
    fake.on_reopen = grow
    async with client(fake.url) as lading:
        with pytest.raises(SourceChanged, match="had 5 when its upload began"):
            await lading.upload(file)


# -- costs -----------------------------------------------------------------------------------------


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size, window = 48 * KIB * KIB, 1024 * KIB
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(size)
    async with running(window=window, chunk_size=256 * KIB) as fake:
        fake.keeps_bytes = False
        async with client(fake.url) as lading:
            tracemalloc.start()
            try:
                await lading.upload(path)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert peak < 12 * window  # of client and server together


async def test_memory_does_not_grow_with_a_stream(fake: Fake) -> None:
    fake.keeps_bytes = False
    ahead = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal ahead
        for number in range(1, 400):
            held = fake.only.index() if fake.uploads else []
            ahead = max(ahead, number * 32 * KIB - sum(piece.size for piece in held))
            yield bytes(32 * KIB)

    async with client(fake.url) as lading:
        await lading.upload(endless(), name="s")
    assert ahead <= fake.window + 2 * fake.chunk_size + 32 * KIB
