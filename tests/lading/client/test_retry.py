import pytest

from lading.client.address import Credential, Token
from lading.client.errors import Unreachable
from lading.client.retry import LIMITS, LONGEST_WAIT, Again, Retry, asked_wait, judge
from lading.protocol.errors import (
    CATALOGUE,
    ChunkConflict,
    LadingError,
    QuotaExceeded,
    StorageFull,
    Unauthorized,
    Unavailable,
)
from tests.lading.conftest import Clock


@pytest.mark.parametrize("kind", [Unavailable, StorageFull, Unreachable])
def test_what_may_pass_is_tried_with_patience(kind: type[LadingError]) -> None:
    again = judge(kind())
    assert (again.limit, again.after, again.renew) == (None, 0.0, False)


def test_what_a_fresh_look_may_cure_is_tried_a_few_times() -> None:
    assert judge(ChunkConflict()).limit == 3


def test_a_refused_credential_wants_a_new_one() -> None:
    assert judge(Unauthorized()).renew


def test_what_no_attempt_changes_is_raised() -> None:
    error = QuotaExceeded()
    with pytest.raises(QuotaExceeded) as raised:
        judge(error)
    assert raised.value is error


def test_a_sign_to_try_again_stays_one() -> None:
    again = Again(Unreachable(), limit=2)
    assert judge(again) is again


def test_limits_name_codes_of_the_protocol() -> None:
    assert set(LIMITS) <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(3, 3.0), (0.5, 0.5), (-1, 0.0), (10**9, LONGEST_WAIT), ("3", 0.0), (None, 0.0)],
)
def test_what_the_server_asks_to_wait(asked: object, wait: float) -> None:
    assert asked_wait(Unavailable(retry_after=asked)) == wait


# -- attempts --------------------------------------------------------------------------------------


def retry(clock: Clock, patience: float = 600.0, token: Token = None) -> tuple[Retry, list[str]]:
    reasons: list[str] = []
    return Retry(patience, clock.timing(), Credential(token), reasons.append), reasons


async def test_it_waits_longer_each_time_and_says_why(clock: Clock) -> None:
    attempts, reasons = retry(clock)
    for _ in range(3):
        await attempts.wait(Unavailable("Busy."))
    assert clock.slept == pytest.approx([0.2, 0.4, 0.8])
    assert reasons == ["Busy."] * 3


async def test_progress_makes_the_next_failure_the_first_one(clock: Clock) -> None:
    attempts, _ = retry(clock)
    for _ in range(10):
        await attempts.wait(ChunkConflict())
        attempts.progressed()
    assert clock.slept == pytest.approx([0.2] * 10)


async def test_a_limited_error_is_raised_when_it_came_too_often(clock: Clock) -> None:
    attempts, _ = retry(clock)
    for _ in range(LIMITS["chunk-conflict"]):
        await attempts.wait(ChunkConflict())
    error = ChunkConflict()
    with pytest.raises(ChunkConflict) as raised:
        await attempts.wait(error)
    assert raised.value is error


async def test_without_patience_there_is_no_second_attempt(clock: Clock) -> None:
    attempts, reasons = retry(clock, patience=0)
    with pytest.raises(Unreachable):
        await attempts.wait(Unreachable())
    assert (clock.slept, reasons) == ([], [])


async def test_patience_can_grow_while_it_waits(clock: Clock) -> None:
    attempts, _ = retry(clock, patience=0.1)
    await attempts.wait(Unreachable())
    attempts.patience = 100
    await attempts.wait(Unreachable())


async def test_a_refused_credential_is_fetched_again(clock: Clock) -> None:
    tokens = iter(["old", "new"])
    credential = Credential(lambda: next(tokens))
    assert await credential.get() == "old"
    await Retry(10, clock.timing(), credential).wait(Unauthorized())
    assert await credential.get() == "new"


async def test_a_refused_credential_that_cannot_be_renewed_is_an_error(clock: Clock) -> None:
    attempts, _ = retry(clock, token="fixed")
    with pytest.raises(Unauthorized):
        await attempts.wait(Unauthorized())
    assert clock.slept == []
