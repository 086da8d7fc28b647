"""A slow request holds up nothing else on its connection. The database or the check of a credential
is stalled by a gate; page 3, rules 1, 4, 8 and 9, must hold for everything beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lading.protocol.errors import Unauthorized
from lading.protocol.receiver import ReceiverLimits
from lading.server.access.principal import Principal
from lading.server.limits import ChannelLimits, Limits, NetLimits
from lading.storage.collections.manifests import Manifests
from tests.support.gate import Stall
from tests.support.servers import Inside, inside, until
from tests.support.wire import (
    ABORT,
    CHUNK,
    CLOSED,
    COMPLETE,
    CREATE,
    DETACH,
    FINISH,
    HELLO,
    OPENED,
    PING,
    PONG,
    RESUME,
    STORED,
    TOKEN,
    WELCOME,
    WINDOW,
    Wire,
    channel,
    dial,
)

SECONDS = 10
"""Far longer than an answer takes that is not held up."""


@dataclass
class Guard:
    """An authenticator whose checks are answered by the test."""

    asked: list[tuple[str | None, asyncio.Future[Principal]]]

    async def principal(self, token: str | None) -> Principal:
        future: asyncio.Future[Principal] = asyncio.get_running_loop().create_future()
        self.asked.append((token, future))
        async with asyncio.timeout(30):
            return await future

    async def next(self, token: str | None) -> asyncio.Future[Principal]:
        """Wait until a token is checked; the answer that it waits for."""
        await until(lambda: self.asked)
        ((asked, answer),) = self.asked
        self.asked.clear()
        assert asked == token
        return answer


@pytest.fixture
async def running(tmp_path: Path, database_url: str) -> AsyncIterator[Inside]:
    async with inside(tmp_path, database_url) as server:
        yield server


def guard(server: Inside) -> Guard:
    server.services.authenticator = made = Guard([])
    return made


async def works(wire: Wire, start: int = 0) -> None:
    """A piece of the upload that is open under ref 1 is acknowledged, and PING is answered."""
    async with asyncio.timeout(SECONDS):
        await wire.chunk(1, start, b"abc")
        assert await wire.expect(STORED) == [1, [[start, 3]], start + 3]
        await wire.send(PING, 7)
        assert await wire.expect(PONG) == [7]


# -- uploads


async def test_a_stalled_create_holds_up_no_acknowledgement(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with channel(running) as wire:
        await wire.create(1, None)
        stall = Stall(monkeypatch, Manifests, "create")
        await wire.send(CREATE, 2, {"name": "b", "size": 3})
        await until(lambda: stall.waiting)
        await works(wire)
        stall.opened.set()
        await wire.opened(2)


async def test_a_stalled_resume_holds_up_no_acknowledgement(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with channel(running) as wire:
        upload = await wire.create(1, None)
        stall = Stall(monkeypatch, running.services.uploads, "resume")
        await wire.send(RESUME, 2, upload["id"])
        await until(lambda: stall.waiting)
        await works(wire)
        stall.opened.set()
        assert (await wire.opened(2))["upload_size"] == 3


async def test_heartbeats_go_on_while_a_create_is_stalled(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(receiver=ReceiverLimits(heartbeat=1))
    async with inside(tmp_path, database_url, limits=limits) as running, channel(running) as wire:
        stall = Stall(monkeypatch, running.services.uploads, "create")
        await wire.send(CREATE, 1, {"name": "b", "size": 3})
        await until(lambda: stall.waiting)
        assert await wire.receive() == [WINDOW, wire.welcome["window"]]
        stall.opened.set()
        await wire.opened(1)


async def test_a_ref_is_used_again_while_another_create_is_stalled(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with channel(running) as wire:
        await wire.create(1, 3)
        stall = Stall(monkeypatch, running.services.uploads, "create")
        await wire.send(CREATE, 2, {"name": "b", "size": 3})
        await wire.send(DETACH, 1)
        assert await wire.expect(CLOSED) == [1]
        await wire.send(CREATE, 1, {"name": "c", "size": 3})
        await wire.send(ABORT, 2)
        await until(lambda: stall.waiting == 2)
        stall.opened.set()
        answers = [await wire.receive() for _ in range(3)]
        assert sorted(answer[:2] for answer in answers) == [[OPENED, 1], [OPENED, 2], [CLOSED, 2]]
        assert {a[1]: a[2]["name"] for a in answers if a[0] == OPENED} == {1: "c", 2: "b"}


async def test_only_so_many_uploads_are_opened_at_once(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of a connection stays bounded: its next message is read when one was answered."""
    limits = Limits(receiver=ReceiverLimits(max_opening=2))
    async with inside(tmp_path, database_url, limits=limits) as running, channel(running) as wire:
        stall = Stall(monkeypatch, running.services.uploads, "create")
        for ref in range(5):
            await wire.send(CREATE, ref, {"name": "b", "size": 3})
        await until(lambda: stall.waiting == 2)
        async with channel(running):  # takes longer than a third message would
            assert stall.waiting == 2
        stall.opened.set()
        assert {(await wire.receive())[1] for _ in range(5)} == set(range(5))


async def test_a_connection_that_is_lost_while_it_opens_leaves_nothing_behind(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall = Stall(monkeypatch, running.services.uploads, "create")
    async with channel(running) as wire:
        await wire.send(CREATE, 1, {"name": "b", "size": 3})
        await until(lambda: stall.waiting)
    await until(lambda: not running.services.channels)
    stall.opened.set()
    assert running.services.connection_counts.of("admin") == 0
    assert running.services.budget.free == running.services.budget.total


# -- credentials


async def test_a_stalled_token_holds_up_no_acknowledgement(running: Inside) -> None:
    async with channel(running) as wire:
        await wire.create(1, None)
        checks = guard(running)
        await wire.send(TOKEN, "new")
        answer = await checks.next("new")
        await works(wire)
        answer.set_result(Principal("admin"))
        await works(wire, 3)


async def test_what_is_asked_for_after_a_token_waits_for_its_check(running: Inside) -> None:
    async with channel(running) as wire:
        await wire.create(1, 3)
        checks = guard(running)
        await wire.send(TOKEN, "new")
        answer = await checks.next("new")
        await works(wire)
        await wire.send(FINISH, 1, {})
        await wire.send(PING, 8)
        assert await wire.expect(PONG) == [8]
        await wire.send(CREATE, 2, {"name": "b", "size": 3})
        await wire.send(PING, 9)
        answer.set_result(Principal("admin"))
        answers = sorted([await wire.receive() for _ in range(3)])
        assert [each[:2] for each in answers] == [[OPENED, 2], [COMPLETE, 1], [PONG, 9]]


async def test_the_last_of_several_tokens_is_what_counts(running: Inside) -> None:
    async with channel(running) as wire:
        checks = guard(running)
        now = running.services.clock()
        await wire.send(TOKEN, "first")
        answer = await checks.next("first")
        for token in ("second", "third"):
            await wire.send(TOKEN, token)
        await wire.send(PING, 1)
        assert await wire.expect(PONG) == [1]
        assert not checks.asked, "one credential is checked at a time"
        answer.set_result(Principal("admin", expires=now - 1))
        answer = await checks.next("third")
        answer.set_result(Principal("admin", expires=now + 1000))
        await wire.create(1, 3)
        await wire.chunk(1, 0, b"abc")
        await wire.stored(1)


async def test_a_wrong_token_ends_the_connection_after_what_is_in_flight_was_sent(
    running: Inside,
) -> None:
    async with channel(running) as wire:
        await wire.create(1, 3)
        checks = guard(running)
        await wire.send(TOKEN, "wrong")
        answer = await checks.next("wrong")
        await works(wire)
        answer.set_exception(Unauthorized())
        assert (await wire.problem(None))["code"] == "unauthorized"
        assert (await wire.closing()).code == 4401


async def test_a_fault_in_the_check_ends_the_connection(running: Inside) -> None:
    async with channel(running) as wire:
        checks = guard(running)
        await wire.send(TOKEN, "odd")
        (await checks.next("odd")).set_exception(ZeroDivisionError())
        assert (await wire.problem(None))["code"] == "internal"
        assert (await wire.closing()).code == 1011


async def test_messages_sent_with_hello_wait_for_welcome(running: Inside) -> None:
    checks = guard(running)
    async with dial(running) as wire:
        await wire.send(HELLO, {"token": "t"})
        await wire.send(CREATE, 1, {"name": "b", "size": 3})
        await wire.send(CHUNK, 9, 0, 0, b"x")
        (await checks.next("t")).set_result(Principal("admin"))
        assert (await wire.receive())[0] == WELCOME
        answers = {tuple(message[:2]) for message in [await wire.receive(), await wire.receive()]}
        assert (OPENED, 1) in answers


@pytest.mark.parametrize("good", [True, False])
async def test_who_leaves_before_welcome_is_counted_once_or_never(
    running: Inside, good: bool
) -> None:
    checks = guard(running)
    counts = running.services.connection_counts
    # The server takes no more of the socket until the check ends, also not that it is closed.
    async with dial(running, close_timeout=0.1) as wire:
        await wire.send(HELLO, {"token": "t"})
        answer = await checks.next("t")
        assert counts.of("ann") == 0
    if good:
        answer.set_result(Principal("ann"))
    else:
        answer.set_exception(Unauthorized())
    await until(lambda: not running.services.channels)
    assert counts.of("ann") == 0


async def test_who_leaves_while_a_token_is_checked_is_counted_no_more(running: Inside) -> None:
    counts = running.services.connection_counts
    async with channel(running) as wire:
        assert counts.of("admin") == 1
        checks = guard(running)
        await wire.send(TOKEN, "new")
        answer = await checks.next("new")
    await until(lambda: not running.services.channels)
    assert counts.of("admin") == 0
    answer.set_result(Principal("admin"))
    await running.stop()
    assert counts.of("admin") == 0


# -- the byte budget


async def test_the_window_is_small_while_others_wait_for_the_byte_budget(
    tmp_path: Path, database_url: str
) -> None:
    limits = Limits(net=NetLimits(pressed_seconds=0), channel=ChannelLimits(pressure_seconds=0.01))
    async with inside(tmp_path, database_url, limits=limits) as running, channel(running) as wire:
        budget = running.services.budget
        held = [await budget.acquire(budget.total, owner) for owner in ("a",)]
        while budget.free:
            held.append(await budget.acquire(budget.free, f"b{len(held)}"))
        withdraw = budget.ask(1, held.append, "waiting")
        assert await wire.receive() == [WINDOW, wire.welcome["max_chunk_size"]]
        withdraw()
        assert await wire.receive() == [WINDOW, wire.welcome["window"]]
        for reservation in held:
            reservation.release()
