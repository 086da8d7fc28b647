"""The accounts: what may be reserved, and that each change counts once, whoever else is at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lading.protocol.errors import QuotaExceeded
from lading.storage.collections.manifests import new_id
from lading.storage.collections.quotas import MOST, Account, Quotas
from lading.storage.database import Database, connect
from tests.support.steps import Steps

A, B = new_id(), new_id()


def sums(account: Account) -> tuple[int, int]:
    return account.used, account.reserved


async def refused(work: Awaitable[object]) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        await work
    return caught.value


# -- limits


@pytest.mark.parametrize("default", [None, 0, 10])
async def test_who_was_never_heard_of_has_the_default(
    each_database: Database, default: int | None
) -> None:
    quotas = Quotas(each_database, default)
    assert await quotas.account("ann") == Account("ann", default, known=False)
    assert await quotas.users() == []


async def test_a_limit_of_ones_own_wins_over_the_default(each_database: Database) -> None:
    quotas = Quotas(each_database, 10)
    assert (await quotas.set_quota("ann", 20)).quota == 20
    assert (await quotas.set_quota("bob", None)).quota is None
    assert (await quotas.account("eve")).quota == 10
    await quotas.reserve("ann", A, 20)
    await quotas.reserve("bob", B, 10**15)
    assert (await refused(quotas.reserve("eve", new_id(), 11))).extra["limit"] == 10
    assert sorted(await quotas.users()) == ["ann", "bob"]


async def test_the_default_may_change_from_start_to_start(each_database: Database) -> None:
    await Quotas(each_database, 10).reserve("ann", A, 5)
    assert (await Quotas(each_database, 7).account("ann")).quota == 7
    assert (await Quotas(each_database).account("ann")).quota is None
    await refused(Quotas(each_database, 7).reserve("ann", B, 3))


async def test_the_last_byte_may_be_reserved_and_no_more(each_database: Database) -> None:
    quotas = Quotas(each_database, 100)
    await quotas.reserve("ann", A, 60)
    error = await refused(quotas.reserve("ann", B, 41))
    assert error.extra == {"limit": 100, "used": 0, "reserved": 60}
    assert "100 bytes" in str(error)
    assert (await quotas.account("ann")).open == {A: 60}
    await quotas.reserve("ann", B, 40)
    assert sums(await quotas.account("ann")) == (0, 100)


async def test_a_lowered_limit_takes_nothing_away(each_database: Database) -> None:
    quotas = Quotas(each_database)
    await quotas.reserve("ann", A, 60)
    account = await quotas.set_quota("ann", 10)
    assert sums(account) == (0, 60)
    await refused(quotas.reserve("ann", B, 0))
    await refused(quotas.grow("ann", A, 61))
    assert await quotas.grow("ann", A, 60), "what it has, it keeps"
    await quotas.keep("ann", A, 60)
    assert sums(await quotas.account("ann")) == (60, 0)
    await quotas.set_quota("ann", 60)
    await quotas.reserve("ann", B, 0)


@pytest.mark.parametrize("quota", [None, MOST, 2 * MOST])
async def test_nobody_has_more_than_can_be_counted(
    each_database: Database, quota: int | None
) -> None:
    quotas = Quotas(each_database, quota)
    await quotas.reserve("ann", A, MOST - 10)
    error = await refused(quotas.reserve("ann", B, 11))
    assert error.extra == {"limit": MOST, "used": 0, "reserved": MOST - 10}
    assert str(MOST) in str(error)
    await quotas.reserve("ann", B, 10)
    await refused(quotas.grow("ann", B, 11))
    await quotas.reserve("ann", new_id(), 0)
    assert sums(await quotas.account("ann")) == (0, MOST)
    await quotas.release("ann", A)
    assert sums(await quotas.account("ann")) == (0, 10)


@pytest.mark.parametrize("user_id", ["a.b", "$set", "jo@example.org", "é" * 200, " "])
async def test_any_name_is_only_a_name(each_database: Database, user_id: str) -> None:
    quotas = Quotas(each_database, 100)
    await quotas.reserve(user_id, A, 10)
    assert sums(await quotas.account(user_id)) == (0, 10)
    assert await quotas.users() == [user_id]


# -- an upload


async def test_reserving_once_more_changes_nothing(each_database: Database) -> None:
    quotas = Quotas(each_database, 10)
    for _ in range(3):
        await quotas.reserve("ann", A, 10)
    assert sums(await quotas.account("ann")) == (0, 10)


async def test_an_upload_of_unknown_length_reserves_as_it_grows(each_database: Database) -> None:
    quotas = Quotas(each_database, 100)
    await quotas.reserve("ann", A, 0)
    for size, has in ((10, 10), (70, 70), (30, 70), (100, 100)):
        assert await quotas.grow("ann", A, size)
        assert (await quotas.account("ann")).open == {A: has}
    assert (await refused(quotas.grow("ann", A, 101))).extra["reserved"] == 100
    assert (await quotas.account("ann")).reserved == 100


async def test_only_what_is_reserved_grows(each_database: Database) -> None:
    quotas = Quotas(each_database, 100)
    assert not await quotas.grow("ann", A, 10)
    await quotas.reserve("ann", A, 0)
    await quotas.keep("ann", A, 0)
    assert not await quotas.grow("ann", A, 10)
    assert await quotas.account("ann") == Account("ann", 100)


async def test_a_finished_upload_is_used_and_no_longer_reserved(each_database: Database) -> None:
    quotas = Quotas(each_database)
    await quotas.reserve("ann", A, 10)
    await quotas.reserve("ann", B, 50)
    for _ in range(2):
        await quotas.keep("ann", A, 10)
        await quotas.keep("ann", B, 40)  # of unknown length, and shorter in the end
    assert sums(await quotas.account("ann")) == (50, 0)
    await quotas.release("ann", A)
    assert sums(await quotas.account("ann")) == (50, 0), "a file is not given back as an upload"


async def test_a_dead_upload_gives_back_what_it_reserved(each_database: Database) -> None:
    quotas = Quotas(each_database)
    await quotas.reserve("ann", A, 10)
    await quotas.reserve("ann", B, 50)
    for _ in range(2):
        await quotas.release("ann", B)
        await quotas.keep("ann", B, 50)
    assert sums(await quotas.account("ann")) == (0, 10)
    await quotas.release("nobody", A)
    assert await quotas.users() == ["ann"]


# -- a finished file that is deleted


async def test_a_deleted_file_is_charged_no_longer(each_database: Database) -> None:
    quotas = Quotas(each_database)
    for each in (A, B):
        await quotas.reserve("ann", each, 10)
        await quotas.keep("ann", each, 10)
    assert await quotas.leave(await quotas.account("ann"), A, 10)
    account = await quotas.account("ann")
    assert (sums(account), account.leaving) == ((10, 0), frozenset({A}))
    assert await quotas.leave(account, A, 10), "it has left: the manifest is to note it"
    for _ in range(2):
        await quotas.left("ann", A)
    account = await quotas.account("ann")
    assert (sums(account), account.leaving) == ((10, 0), frozenset())


async def test_a_file_may_go_before_its_reservation_became_use(each_database: Database) -> None:
    quotas = Quotas(each_database)
    await quotas.reserve("ann", A, 50)
    assert await quotas.leave(await quotas.account("ann"), A, 40)
    await quotas.keep("ann", A, 40)
    await quotas.left("ann", A)
    await quotas.keep("ann", A, 40)
    assert sums(await quotas.account("ann")) == (0, 0)


async def test_what_was_read_before_a_file_left_is_of_no_use(each_database: Database) -> None:
    quotas = Quotas(each_database)
    for each in (A, B):
        await quotas.reserve("ann", each, 10)
        await quotas.keep("ann", each, 10)
    old = await quotas.account("ann")
    assert await quotas.leave(old, A, 10)
    assert not await quotas.leave(old, A, 10)
    await quotas.left("ann", A)
    assert not await quotas.leave(old, A, 10), "or it would be taken off twice"
    assert not await quotas.leave(old, B, 10)
    assert sums(await quotas.account("ann")) == (10, 0)


async def test_what_was_read_before_a_reservation_became_use_is_of_no_use(
    each_database: Database,
) -> None:
    quotas = Quotas(each_database)
    await quotas.reserve("ann", A, 50)
    old = await quotas.account("ann")
    await quotas.keep("ann", A, 40)
    assert not await quotas.leave(old, A, 40)
    assert sums(await quotas.account("ann")) == (40, 0)


async def test_a_correction_is_of_the_account_that_was_read(each_database: Database) -> None:
    quotas = Quotas(each_database)
    await quotas.reserve("ann", A, 10)
    old = await quotas.account("ann")
    assert await quotas.correct(old, charged=17, reserved=10)
    assert sums(await quotas.account("ann")) == (7, 10)
    assert not await quotas.correct(old, charged=10, reserved=10)
    old = await quotas.account("ann")
    await quotas.reserve("ann", B, 0)
    assert not await quotas.correct(old, charged=10, reserved=10)


# -- races, on the real thing only


@pytest.mark.parametrize("admitted", [0, 1, 7, 20])
async def test_of_twenty_at_once_exactly_as_many_as_fit_are_let_in(
    database: Database, database_url: str, admitted: int
) -> None:
    other = Database(connect(database_url))
    both = [Quotas(database, 10 * admitted + 9), Quotas(other, 10 * admitted + 9)]

    async def reserve(number: int) -> bool:
        try:
            await both[number % 2].reserve("ann", new_id(), 10)
        except QuotaExceeded:
            return False
        return True

    outcomes = await asyncio.gather(*(reserve(number) for number in range(20)))
    await other.close()
    assert sum(outcomes) == admitted
    account = await both[0].account("ann")
    assert (len(account.open), sums(account)) == (admitted, (0, 10 * admitted))


async def test_of_two_at_once_one_is_beyond_what_can_be_counted(database: Database) -> None:
    quotas, half = Quotas(database), MOST // 2 + 1
    work = (quotas.reserve("ann", new_id(), half) for _ in range(2))
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["NoneType", "QuotaExceeded"]
    assert sums(await quotas.account("ann")) == (0, half)


async def test_growth_at_once_is_never_over(database: Database) -> None:
    quotas = Quotas(database, 100)
    uploads = [new_id() for _ in range(4)]
    for each in uploads:
        await quotas.reserve("ann", each, 0)

    async def grow(upload_id: str) -> int:
        size = 0
        try:
            for size in range(1, 101):
                await quotas.grow("ann", upload_id, size)
        except QuotaExceeded:
            return size - 1
        return size

    reached = await asyncio.gather(*(grow(each) for each in uploads))
    account = await quotas.account("ann")
    assert account.open == dict(zip(uploads, reached, strict=True))
    assert sums(account) == (0, 100)


async def test_a_limit_that_moves_holds_from_then_on(database: Database) -> None:
    quotas = Quotas(database, 1000)

    async def reserve() -> None:
        for _ in range(30):
            await quotas.reserve("ann", new_id(), 10)

    async def lower() -> int:
        return (await quotas.set_quota("ann", 100)).charged

    *_, had = await asyncio.gather(reserve(), reserve(), lower(), return_exceptions=True)
    assert isinstance(had, int)
    assert sums(await quotas.account("ann")) == (0, max(100, had))


Ending = Callable[[Quotas], Awaitable[object]]
ENDINGS: dict[str, tuple[Ending, tuple[int, int]]] = {
    "keep": (lambda quotas: quotas.keep("ann", A, 40), (41, 0)),
    "release": (lambda quotas: quotas.release("ann", A), (1, 0)),
    "reserve": (lambda quotas: quotas.reserve("ann", A, 50), (1, 50)),
    "grow": (lambda quotas: quotas.grow("ann", A, 60), (1, 60)),
}


async def with_one_upload(quotas: Quotas) -> None:
    await quotas.reserve("ann", B, 1)
    await quotas.keep("ann", B, 1)
    await quotas.reserve("ann", A, 50)


@pytest.mark.parametrize("name", ENDINGS)
async def test_eight_at_once_count_once(database: Database, name: str) -> None:
    end, expected = ENDINGS[name]
    quotas = Quotas(database)
    for _ in range(5):
        await database.quotas.delete_many({})
        await with_one_upload(quotas)
        await asyncio.gather(*(end(quotas) for _ in range(8)))
        assert sums(await quotas.account("ann")) == expected


@pytest.mark.parametrize("callers", [1, 8])
@pytest.mark.parametrize("name", ENDINGS)
async def test_a_lost_answer_counts_once(
    database: Database, steps: Steps, name: str, callers: int
) -> None:
    end, expected = ENDINGS[name]
    await with_one_upload(Quotas(database))
    steps.lose_every_write()
    await asyncio.gather(*(end(Quotas(steps)) for _ in range(callers)))
    account = await Quotas(database).account("ann")
    assert sums(account) == expected
    assert account.reserved == sum(account.open.values())


@pytest.mark.parametrize("lossy", [False, True])
async def test_many_at_once_are_few_operations_and_each_counts_once(
    database: Database, steps: Steps, lossy: bool
) -> None:
    quotas, uploads = Quotas(steps, 10_000), [new_id() for _ in range(100)]
    users = ["ann" if number % 2 else "bob" for number in range(100)]
    for user in ("ann", "bob"):
        await quotas.reserve(user, B, 1)
    if lossy:
        steps.lose_every_write()
    before = steps.taken

    async def whole(user: str, upload_id: str) -> None:
        await quotas.reserve(user, upload_id, 10)
        await quotas.keep(user, upload_id, 10)

    await asyncio.gather(*map(whole, users, uploads))
    for user in ("ann", "bob"):
        account = await quotas.account(user)
        assert sums(account) == (500, 1)
        assert account.open == {B: 1}
    if not lossy:
        assert steps.taken - before <= 12  # instead of 200


async def test_of_many_at_once_those_are_let_in_that_fit(database: Database) -> None:
    quotas = Quotas(database, 100)
    await quotas.reserve("ann", B, 5)
    work = (quotas.reserve("ann", new_id(), 10) for _ in range(20))
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert sum(isinstance(each, QuotaExceeded) for each in outcomes) == 11
    assert sums(await quotas.account("ann")) == (0, 95)


async def test_the_same_twice_at_once_counts_once(database: Database) -> None:
    quotas = Quotas(database, 100)
    await quotas.reserve("ann", B, 5)
    await asyncio.gather(*(quotas.reserve("ann", A, 10) for _ in range(3)))
    assert sums(await quotas.account("ann")) == (0, 15)
    await asyncio.gather(*(quotas.keep("ann", A, 10) for _ in range(3)))
    assert sums(await quotas.account("ann")) == (10, 5)


async def test_eight_keep_and_release_at_once_and_one_of_both_counts(database: Database) -> None:
    quotas = Quotas(database)
    for _ in range(10):
        await database.quotas.delete_many({})
        await with_one_upload(quotas)
        await asyncio.gather(
            *(quotas.keep("ann", A, 40) for _ in range(4)),
            *(quotas.release("ann", A) for _ in range(4)),
            *(quotas.grow("ann", A, 60) for _ in range(4)),
        )
        assert sums(await quotas.account("ann")) in ((41, 0), (1, 0))


@pytest.mark.parametrize("lossy", [False, True])
async def test_eight_let_one_file_leave_once(database: Database, steps: Steps, lossy: bool) -> None:
    quotas, noted = Quotas(database), asyncio.Event()
    await with_one_upload(quotas)
    if lossy:
        steps.lose_every_write()

    async def leave(mine: Quotas) -> None:
        """As the sweeper does it, with `noted` for the mark in the manifest."""
        while True:
            account = await mine.account("ann")
            if noted.is_set():
                return
            if await mine.leave(account, A, 40):
                break
        noted.set()
        await mine.left("ann", A)

    mine = Quotas(steps if lossy else database)
    await asyncio.gather(*(leave(mine) for _ in range(8)), mine.keep("ann", A, 40))
    account = await quotas.account("ann")
    assert (sums(account), account.leaving) == ((1, 0), frozenset())
