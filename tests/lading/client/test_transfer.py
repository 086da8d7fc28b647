import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lading.client.address import Address
from lading.client.backoff import Timing
from lading.client.channel import Channel
from lading.client.retry import Again
from lading.client.source import open_source
from lading.client.transfer import Transfer
from lading.protocol import messages as m
from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    InvalidMessage,
    QuotaExceeded,
    Unavailable,
)
from lading.protocol.spec import UploadSpec
from tests.support.fake_server import Fake
from tests.support.servers import until


class Log:
    """Hears how an upload goes on."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def connected(self) -> None:
        self.heard.append(("connected", 0))

    def opened(self, upload: m.Opened) -> None:
        self.heard.append(("opened", upload.upload_size))

    def sending(self, size: int) -> None:
        self.heard.append(("sending", size))

    def acknowledged(self, size: int) -> None:
        self.heard.append(("acknowledged", size))

    def stored(self, stored: int) -> None:
        self.heard.append(("stored", stored))

    def hashing(self, done: int) -> None:
        self.heard.append(("hashing", done))

    def verifying(self, done: int) -> None:
        self.heard.append(("verifying", done))

    def sum(self, what: str) -> int:
        return sum(size for told, size in self.heard if told == what)


async def transfer(fake: Fake, file: Path, log: Log, upload_id: str | None = None) -> m.Complete:
    """The file on one connection."""
    source = await open_source(file, None, sha256=True)
    channel = await Channel.open(Address(fake.url), None, Timing())
    if upload_id is None:
        spec = UploadSpec(name=source.name, size=source.size)
        ref = channel.sender.create(spec)
    else:
        ref = channel.sender.resume(upload_id)
    try:
        return await Transfer(channel, ref, source, log).run()
    finally:
        await channel.close()
        await source.close()


async def test_it_ends_with_the_file(fake: Fake, file: Path, data: bytes) -> None:
    log = Log()
    done = await transfer(fake, file, log)
    assert (done.id, done.size) == (fake.only.id, len(data))
    assert fake.only.bytes() == data
    assert log.heard[:2] == [("connected", 0), ("opened", 0)]
    assert log.sum("sending") == log.sum("acknowledged") == len(data)
    assert log.heard[-1] == ("stored", len(data))


async def test_finish_follows_the_last_piece_before_it_is_stored(
    fake: Fake, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(2 * fake.chunk_size))
    fake.gate.clear()
    log = Log()
    task = asyncio.ensure_future(transfer(fake, file, log))
    await until(lambda: any(isinstance(message, m.Finish) for message in fake.received))
    assert log.sum("acknowledged") == 0
    fake.gate.set()
    assert (await task).size == 2 * fake.chunk_size


async def test_finish_comes_again_after_a_last_piece_that_arrived_damaged(
    fake: Fake, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(2 * fake.chunk_size))
    fake.gate.clear()
    left = [ChecksumMismatch()]
    fake.on_store = lambda _effect: left.pop() if left else None
    task = asyncio.ensure_future(transfer(fake, file, Log()))
    await until(lambda: any(isinstance(message, m.Finish) for message in fake.received))
    fake.gate.set()
    assert (await task).size == 2 * fake.chunk_size
    assert sum(isinstance(message, m.Finish) for message in fake.received) == 2


async def test_only_what_is_missing_is_sent(fake: Fake, file: Path, data: bytes) -> None:
    await transfer(fake, file, Log())
    held = fake.only
    held.finished = None
    for start in list(held.pieces)[3:5]:
        del held.pieces[start]
    log = Log()
    await transfer(fake, file, log, held.id)
    assert log.sum("sending") == 2 * fake.chunk_size
    assert log.heard[-1] == ("hashing", len(data)) or ("hashing", len(data)) in log.heard
    assert held.bytes() == data


async def test_an_upload_that_is_finished_already(fake: Fake, file: Path) -> None:
    first = await transfer(fake, file, Log())
    log = Log()
    assert await transfer(fake, file, log, fake.only.id) == first
    assert log.sum("sending") == 0


async def test_incomplete_is_met_by_sending_what_is_named(
    fake: Fake, file: Path, data: bytes
) -> None:
    lost = 2 * fake.chunk_size

    def lose(_effect: Any) -> None:
        fake.on_complete = lambda _effect: None
        del fake.only.pieces[lost]

    fake.on_complete = lose
    log = Log()
    await transfer(fake, file, log)
    assert log.sum("sending") == len(data) + fake.chunk_size
    assert fake.only.bytes() == data


async def test_a_passing_refusal_leaves_after_all_is_answered(fake: Fake, file: Path) -> None:
    fake.gate.clear()
    left = [Unavailable()]
    fake.on_store = lambda _effect: left.pop() if left else None
    log = Log()
    task = asyncio.ensure_future(transfer(fake, file, log))
    await until(lambda: fake.bytes_received == fake.window)
    fake.gate.set()
    with pytest.raises(Again) as raised:
        await task
    assert isinstance(raised.value.error, Unavailable)
    assert log.sum("sending") - log.sum("acknowledged") == fake.chunk_size


async def test_a_refusal_for_good_ends_it(fake: Fake, file: Path) -> None:
    fake.on_complete = lambda _effect: QuotaExceeded()
    with pytest.raises(QuotaExceeded):
        await transfer(fake, file, Log())


async def test_a_finish_that_cannot_be_done_now(fake: Fake, file: Path) -> None:
    fake.on_complete = lambda _effect: Unavailable()
    with pytest.raises(Again) as raised:
        await transfer(fake, file, Log())
    assert raised.value.limit is None


async def test_an_upload_that_another_client_finished(fake: Fake, file: Path) -> None:
    fake.on_store = lambda _effect: AlreadyComplete()
    with pytest.raises(Again) as raised:
        await transfer(fake, file, Log())
    assert raised.value.limit == 3


async def test_goaway_when_nothing_is_in_flight(fake: Fake, file: Path) -> None:
    fake.window = 0
    task = asyncio.ensure_future(transfer(fake, file, Log()))
    await until(lambda: fake.uploads)
    await fake.drain(retry_after=4)
    with pytest.raises(Again) as raised:
        await task
    assert raised.value.after == 4


async def test_after_goaway_the_answer_to_finish_is_waited_for(fake: Fake, file: Path) -> None:
    def drain(_effect: Any) -> None:
        (receiver,) = fake.channels
        receiver.drain("test", 0)

    fake.on_complete = drain
    assert (await transfer(fake, file, Log())).id == fake.only.id


async def test_a_smaller_window_is_kept_to(fake: Fake, file: Path, data: bytes) -> None:
    fake.gate.clear()
    task = asyncio.ensure_future(transfer(fake, file, Log()))
    await until(lambda: fake.bytes_received == fake.window)
    ((receiver, socket),) = fake.channels.items()
    receiver.set_window(fake.chunk_size)
    await fake.flush(receiver, socket)
    fake.most_in_flight = 0
    fake.gate.set()
    await task
    assert fake.most_in_flight <= fake.chunk_size
    assert fake.only.bytes() == data


@pytest.mark.parametrize("size", [0, 2**40])
async def test_a_chunk_size_that_cannot_be(fake: Fake, file: Path, size: int) -> None:
    fake.chunk_size = 0
    original = fake.hold

    def hold(spec: UploadSpec) -> Any:
        held = original(replace(spec, chunk_size=None))
        held.chunk_size = size
        return held

    fake.hold = hold  # type: ignore[method-assign]
    with pytest.raises(InvalidMessage, match="chunk size"):
        await transfer(fake, file, Log())
