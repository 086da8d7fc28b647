"""What counts as one address, and how attempts at a password are counted."""

from __future__ import annotations

import pytest

from lading.protocol.errors import RateLimited
from lading.server.access.guesses import Guesses, _network
from lading.server.access.kept_secrets import ServerSecret
from lading.server.access.session_tokens import SessionTokens
from lading.server.access.visitor import Visitor
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from lading.storage.open import assemble_storage
from tests.support.accounts import NOW, cheap
from tests.support.clock import Clock


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
        ("not an address", "another", False),
    ],
)
def test_an_address_of_ipv6_counts_by_its_network(one: str, other: str, same: bool) -> None:
    assert (_network(one) == _network(other)) is same


async def test_one_address_does_not_use_up_what_all_have_at_a_name(database: Database) -> None:
    clock = Clock(NOW)
    storage = assemble_storage(database, clock, FreeSpace(database))
    tokens = SessionTokens(ServerSecret("of the tests"), clock)
    limits = cheap(tries_of_pair=2, tries_of_address=9, tries_of_name=4).accounts
    guesses = Guesses(storage, tokens, limits)

    async def refused(address: str, device: str | None = None) -> bool:
        try:
            await guesses.at_password("Ann", Visitor(address, "", device))
        except RateLimited:
            return True
        return False

    assert [await refused("192.0.2.1") for _ in range(9)] == [False] * 2 + [True] * 7
    assert [await refused("192.0.2.2") for _ in range(3)] == [False] * 2 + [True]
    assert await refused("192.0.2.3"), "all four of the name are used up"
    assert not await refused("192.0.2.1", tokens.device("ann"))
    assert await refused("192.0.2.1", tokens.device("bob"))
    clock.now += limits.window_seconds
    assert not await refused("192.0.2.3")
