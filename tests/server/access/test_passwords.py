"""Passwords are hashed as RFC 9106 recommends, beside the loop, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lading.protocol.errors import RateLimited
from lading.server.access.passwords import Passwords
from lading.server.limits import AccountLimits
from tests.support.accounts import CHEAP


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    found = Passwords(CHEAP)
    yield found
    found.close()


async def test_a_hash_is_of_its_password_and_has_a_salt_of_its_own(passwords: Passwords) -> None:
    one, other = await passwords.hash("secret"), await passwords.hash("secret")
    assert one != other
    assert await passwords.matches(one, "secret")
    assert not await passwords.matches(one, "Secret")
    assert not await passwords.matches("no hash", "secret")


async def test_the_usual_parameters_are_those_of_the_rfc() -> None:
    passwords = Passwords(AccountLimits())
    hashed = await passwords.hash("secret")
    passwords.close()
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    salt, tag = hashed.split("$")[-2:]
    assert (len(salt), len(tag)) == (22, 43), "128 and 256 bits in Base64 without padding"


async def test_a_hash_with_other_parameters_is_outdated(passwords: Passwords) -> None:
    other = Passwords(replace(CHEAP, passes=2))
    hashed = await other.hash("secret")
    other.close()
    assert passwords.is_outdated(hashed)
    assert await passwords.matches(hashed, "secret")
    assert not passwords.is_outdated(await passwords.hash("secret"))


async def test_where_there_is_no_hash_another_is_compared(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    await passwords.prepare()
    compared, compare = [], passwords._compare

    def watched(hashed: str, password: str) -> bool:
        compared.append(hashed)
        return compare(hashed, password)

    monkeypatch.setattr(passwords, "_compare", watched)
    assert not await passwords.matches(None, "secret")
    (hashed,) = compared
    assert hashed.startswith("$argon2id$")


async def test_whoever_would_wait_too_long_is_refused() -> None:
    passwords = Passwords(replace(CHEAP, memory_kib=8192, hashes_at_once=1, hashes_waiting=2))
    work = [asyncio.create_task(passwords.hash("secret")) for _ in range(5)]
    done = await asyncio.gather(*work, return_exceptions=True)
    assert sum(isinstance(each, RateLimited) for each in done) == 2
    assert await passwords.hash("secret")
    passwords.close()


async def test_one_who_gives_up_keeps_the_place_until_the_thread_is_free() -> None:
    passwords = Passwords(replace(CHEAP, memory_kib=8192, hashes_at_once=1, hashes_waiting=0))
    work = asyncio.create_task(passwords.hash("secret"))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    with pytest.raises(RateLimited):
        await passwords.hash("secret")
    passwords.close()
