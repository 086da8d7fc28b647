"""The byte budget: what it counts, who is served first, and that every share comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.server.net.byte_budget import COPIES, PRESSED_SECONDS, ByteBudget, Reservation, Throttle


class Asking:
    """Requests to one budget, by name, with what was granted in order."""

    def __init__(self, total: int) -> None:
        self.budget = ByteBudget(total)
        self.granted: list[str] = []
        self.holds: dict[str, Reservation] = {}

    def ask(self, name: str, size: int) -> Callable[[], None]:
        def granted(reservation: Reservation) -> None:
            self.granted.append(name)
            self.holds[name] = reservation

        return self.budget.ask(size, granted, name[0])


def test_a_message_counts_as_often_as_it_is_copied() -> None:
    asking = Asking(100 * COPIES)
    asking.ask("a", 60)
    assert asking.budget.free == 40 * COPIES
    asking.holds["a"].release()
    assert asking.budget.free == 100 * COPIES


def test_releasing_twice_gives_back_once() -> None:
    asking = Asking(100 * COPIES)
    asking.ask("a", 60)
    for _ in range(3):
        asking.holds["a"].release()
    assert asking.budget.free == asking.budget.total


def test_a_share_may_shrink_and_does_not_grow() -> None:
    asking = Asking(100 * COPIES)
    asking.ask("a", 60)
    reservation = asking.holds["a"]
    reservation.shrink(30)
    reservation.shrink(90)
    assert reservation.size == 30
    assert asking.budget.free == 100 * COPIES - 30


def test_a_share_widens_only_where_nobody_has_to_be_waited_for() -> None:
    budget = ByteBudget(100 * COPIES, 60 * COPIES)
    holds: list[Reservation] = []
    for owner in ("ann", "bob"):
        budget.ask(20, holds.append, owner)
    ann, bob = holds
    assert ann.widen(10), "it is wide enough"
    assert ann.widen(50)
    assert ann.size == 50 * COPIES
    assert budget.free == 30 * COPIES
    assert bob.widen(50)
    assert not ann.widen(60), "there is no room"
    bob.shrink(COPIES)
    assert ann.widen(70), "more than an owner's part is his part"
    assert ann.size == 60 * COPIES
    budget.ask(60, holds.append, "bob")
    assert not bob.widen(2), "others wait"
    while holds:
        holds.pop().release()
    assert budget.free == budget.total


def test_the_budget_is_pressed_when_somebody_has_waited_for_long() -> None:
    now = 0.0
    budget = ByteBudget(100 * COPIES, 60 * COPIES, clock=lambda: now)
    holds: list[Reservation] = []
    budget.ask(60, holds.append, "ann")
    budget.ask(60, holds.append, "ann")
    now = PRESSED_SECONDS + 1
    assert budget.pressed("ann"), "she waits for what she holds herself"
    assert not budget.pressed("bob")
    budget.ask(60, holds.append, "bob")
    assert not budget.pressed("bob"), "he has not waited for long"
    now += PRESSED_SECONDS + 1
    assert budget.pressed("cid")
    assert budget.pressed()
    while holds:
        holds.pop().release()
    assert not budget.pressed("ann")


def test_first_come_first_served_though_the_second_would_fit() -> None:
    asking = Asking(100 * COPIES)
    asking.ask("first", 80)
    asking.ask("large", 50)
    asking.ask("small", 10)
    assert asking.granted == ["first"], "a small one must not starve a large one"
    asking.holds["first"].release()
    assert asking.granted == ["first", "large", "small"]


def test_the_queue_moves_on_when_the_one_in_front_leaves() -> None:
    asking = Asking(100 * COPIES)
    asking.ask("first", 80)
    withdraw = asking.ask("large", 50)
    asking.ask("small", 10)
    withdraw()
    withdraw()
    assert asking.granted == ["first", "small"]
    asking.holds["first"].release()
    assert asking.granted == ["first", "small"]


def test_a_message_larger_than_the_budget_goes_alone() -> None:
    asking = Asking(100)
    asking.ask("small", 1)
    asking.ask("huge", 1_000_000)
    asking.ask("next", 1)
    assert asking.granted == ["small"]
    asking.holds["small"].release()
    assert asking.granted == ["small", "huge"]
    assert asking.budget.free == 0
    asking.holds["huge"].release()
    assert asking.granted == ["small", "huge", "next"]


def test_one_that_releases_while_it_is_granted_does_not_disturb() -> None:
    budget = ByteBudget(10 * COPIES)
    budget.ask(10, lambda reservation: reservation.release(), "ann")
    done: list[Reservation] = []
    budget.ask(10, done.append, "ann")
    assert len(done) == 1
    assert budget.free == 0


def test_no_owner_gets_more_than_his_part_and_others_pass_him_by() -> None:
    budget = ByteBudget(100 * COPIES, 40 * COPIES)
    granted: list[tuple[str, Reservation]] = []

    def ask(name: str, size: int) -> None:
        budget.ask(size, lambda reservation: granted.append((name, reservation)), name[0])

    for name, size in (("a1", 30), ("a2", 30), ("a3", 5), ("b1", 40), ("c1", 20)):
        ask(name, size)
    assert [name for name, _ in granted] == ["a1", "b1", "c1"]
    granted[0][1].release()
    assert [name for name, _ in granted][3:] == ["a2", "a3"], "in the order of asking again"
    for _, reservation in granted:
        reservation.release()
    assert budget.free == budget.total


def test_a_message_larger_than_an_owners_part_takes_all_of_it() -> None:
    budget = ByteBudget(100, 40)
    granted: list[Reservation] = []
    budget.ask(1000, granted.append, "ann")
    budget.ask(1, granted.append, "ann")
    budget.ask(1, granted.append, "bob")
    assert [reservation.size for reservation in granted] == [40, COPIES]


def test_what_comes_faster_than_the_rate_waits() -> None:
    throttle = Throttle(10)
    assert [throttle.delay(0) for _ in range(10)] == [0] * 10
    assert throttle.delay(0) == pytest.approx(0.1)
    assert throttle.delay(0) == pytest.approx(0.2)
    assert throttle.delay(10) == 0
    assert [throttle.delay(20) for _ in range(10)] == [0] * 10, "what was not used does not add up"
    assert throttle.delay(20) > 0


async def test_acquiring_waits_for_room() -> None:
    budget = ByteBudget(10 * COPIES)
    first = await budget.acquire(10, "ann")
    second = asyncio.create_task(budget.acquire(5, "ann"))
    third = asyncio.create_task(budget.acquire(5, "ann"))
    await asyncio.sleep(0)
    assert not second.done()
    first.release()
    assert (await second).size == (await third).size == 5 * COPIES
    assert budget.free == 0


async def test_one_that_gives_up_waiting_leaves_no_trace() -> None:
    budget = ByteBudget(10 * COPIES)
    first = await budget.acquire(10, "ann")
    waiting = asyncio.create_task(budget.acquire(10, "ann"))
    behind = asyncio.create_task(budget.acquire(1, "ann"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    first.release()
    (await behind).release()
    assert budget.free == budget.total


async def test_one_cancelled_in_the_moment_it_was_granted_gives_back() -> None:
    budget = ByteBudget(10 * COPIES)
    first = await budget.acquire(10, "ann")
    waiting = asyncio.create_task(budget.acquire(10, "ann"))
    await asyncio.sleep(0)
    first.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.free == budget.total


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "release", "withdraw"]),
            st.integers(0, 20),
            st.sampled_from("ab"),
        )
    ),
)
def test_whatever_happens_the_budget_is_exact_and_nobody_waits_in_vain(
    total: int, part: int, steps: list[tuple[str, int, str]]
) -> None:
    budget = ByteBudget(total, part)
    asked: list[tuple[int, Callable[[], None]]] = []
    held: list[Reservation] = []
    for what, number, owner in steps:
        match what:
            case "ask":
                asked.append((number, budget.ask(number, held.append, owner)))
            case "release" if held:
                held.pop(number % len(held)).release()
            case "withdraw" if asked:
                asked.pop(number % len(asked))[1]()
        assert 0 <= budget.free <= total
        assert budget.free == total - sum(reservation.size for reservation in held)
    while held:
        held.pop().release()
    assert budget.free == total


def test_it_is_reported_how_long_each_has_waited() -> None:
    now, waited = [100.0], list[float]()
    budget = ByteBudget(100 * COPIES, clock=lambda: now[0], waited=waited.append)
    held: list[Reservation] = []
    budget.ask(60, held.append, "a")
    budget.ask(60, held.append, "b")
    assert budget.waiting == 1
    now[0] += 2.5
    held[0].release()
    assert waited == [0.0, 2.5]
    assert budget.waiting == 0
