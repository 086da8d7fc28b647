"""FINISH for callers that come back: the work goes on between their requests, and is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from lading.protocol.errors import ChecksumMismatch, RateLimited, ShuttingDown
from lading.protocol.manifest import Manifest
from lading.server.access.principal import Principal
from lading.server.uploads.finishing import RUNS_AT_ONCE, Caller, Finishing, Verifying
from lading.server.uploads.verifier import Progress
from lading.storage.collections.manifests import new_id
from tests.support.blobs import finished
from tests.support.parts import ANN, BOB
from tests.support.servers import until

ID = new_id()
FILE = finished(ID)


class Verification:
    """Stands in for `Uploads.finish`: it verifies until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.asked: list[Principal] = []
        self.failure: Exception | None = None

    async def finish(
        self,
        principal: Principal,
        upload_id: str,
        size: int | None,
        sha256: str | None,
        *,
        progress: Progress,
    ) -> Manifest:
        self.asked.append(principal)
        progress(3, 7)
        await self.opened.wait()
        if self.failure is not None:
            raise self.failure
        return replace(FILE, id=upload_id)


@pytest.fixture
def verification() -> Verification:
    return Verification()


async def listens() -> bool:
    return False


async def hung_up() -> bool:
    return True


async def ask(
    finishing: Finishing,
    who: Principal = ANN,
    seconds: float = 0.0,
    *,
    size: int = 7,
    is_gone: Callable[[], Awaitable[bool]] = listens,
) -> object:
    return await finishing.within(who, ID, size, None, Caller(seconds, is_gone))


async def test_what_takes_no_time_is_answered_at_once(verification: Verification) -> None:
    finishing = Finishing(verification.finish, 60)
    verification.opened.set()
    assert await ask(finishing, seconds=10) == FILE


async def test_who_comes_back_meets_the_same_work_and_gets_its_outcome(
    verification: Verification,
) -> None:
    finishing = Finishing(verification.finish, 60)
    assert await ask(finishing) in (Verifying(0, 0), Verifying(3, 7))
    await until(lambda: verification.asked)
    assert await ask(finishing) == Verifying(3, 7)
    waiting = [asyncio.create_task(ask(finishing, seconds=10)) for _ in range(3)]
    await asyncio.sleep(0)
    verification.opened.set()
    assert await asyncio.gather(*waiting) == [FILE] * 3
    assert verification.asked == [ANN]


async def test_a_failure_is_kept_for_who_comes_back_and_told_once(
    verification: Verification,
) -> None:
    finishing = Finishing(verification.finish, 60)
    verification.failure = ChecksumMismatch("other bytes")
    await ask(finishing)
    verification.opened.set()
    for _ in range(10):
        await asyncio.sleep(0)
    with pytest.raises(ChecksumMismatch):
        await ask(finishing)
    verification.opened.clear()
    await ask(finishing)
    await until(lambda: len(verification.asked) == 2)
    await finishing.stop()


async def test_a_caller_who_hung_up_does_not_take_the_outcome_along(
    verification: Verification,
) -> None:
    finishing = Finishing(verification.finish, 60)
    verification.failure = ChecksumMismatch("other bytes")
    verification.opened.set()
    for is_gone in (hung_up, listens):
        with pytest.raises(ChecksumMismatch):
            await ask(finishing, seconds=10, is_gone=is_gone)
    assert verification.asked == [ANN]


async def test_one_upload_is_not_read_many_times_at_once(verification: Verification) -> None:
    finishing = Finishing(verification.finish, 60)
    for size in range(RUNS_AT_ONCE):
        await ask(finishing, size=size)
    with pytest.raises(RateLimited):
        await ask(finishing, size=RUNS_AT_ONCE)
    assert isinstance(await ask(finishing, size=0), Verifying)
    await finishing.stop()


async def test_an_outcome_is_not_kept_for_ever(verification: Verification) -> None:
    finishing = Finishing(verification.finish, 0.0)
    await ask(finishing)
    verification.opened.set()
    for _ in range(20):
        await asyncio.sleep(0)
    verification.opened.clear()
    assert isinstance(await ask(finishing), Verifying)
    await until(lambda: len(verification.asked) == 2)
    await finishing.stop()


async def test_nobody_meets_the_work_of_another(verification: Verification) -> None:
    finishing = Finishing(verification.finish, 60)
    admin = replace(BOB, admin=True)
    for who in (ANN, BOB, admin):
        await ask(finishing, who)
    await until(lambda: verification.asked == [ANN, BOB, admin])
    await finishing.stop()


async def test_a_server_that_ends_gives_it_up(verification: Verification) -> None:
    finishing = Finishing(verification.finish, 60)
    waiting = asyncio.create_task(ask(finishing, seconds=10))
    await until(lambda: verification.asked)
    await finishing.stop()
    with pytest.raises(ShuttingDown):
        await waiting
