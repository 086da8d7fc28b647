"""The documents of accounts: one for each name, and another revision with each change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.protocol.errors import NameTaken
from lading.storage.collections.users import User, Users
from lading.storage.database import Database

ANN = User(name="Ann", password="hash", scopes=("admin",), revision="r1", created_at=4e9)


async def test_an_account_is_found_by_whatever_means_its_name(each_database: Database) -> None:
    users = Users(each_database)
    await users.insert(ANN)
    await users.insert(ANN)
    assert await users.get("Ann") == ANN
    assert await users.find("ANN") == ANN
    assert await users.get("ann") is None
    assert await users.find("bob") is None
    assert await users.find("\ud800") is None


async def test_a_name_that_looks_like_another_is_taken(each_database: Database) -> None:
    users = Users(each_database)
    await users.insert(ANN)
    for other in (replace(ANN, name="ann"), replace(ANN, revision="r2")):
        with pytest.raises(NameTaken):
            await users.insert(other)
    assert await users.get("Ann") == ANN


async def test_a_change_is_another_revision(each_database: Database) -> None:
    users = Users(each_database)
    await users.insert(ANN)
    changed = await users.change("Ann", "r2", {"disabled": True, "scopes": []})
    assert changed == replace(ANN, disabled=True, scopes=(), revision="r2")
    assert await users.change("bob", "r2", {"disabled": True}) is None


async def test_a_better_hash_counts_only_for_the_password_that_it_is_of(
    each_database: Database,
) -> None:
    users = Users(each_database)
    await users.insert(ANN)
    await users.rehash(ANN, "better")
    assert await users.get("Ann") == replace(ANN, password="better")
    await users.change("Ann", "r2", {"password": "another"})
    await users.rehash(ANN, "late")
    found = await users.get("Ann")
    assert found is not None
    assert found.password == "another"


async def test_a_page_is_in_order_and_goes_on(each_database: Database) -> None:
    users = Users(each_database)
    for name in ("bob", "ann", "cleo"):
        await users.insert(replace(ANN, name=name))
    assert [each.name for each in await users.page(after=None, most=2)] == ["ann", "bob"]
    assert [each.name for each in await users.page(after="bob", most=2)] == ["cleo"]


async def test_what_is_removed_was_there(each_database: Database) -> None:
    users = Users(each_database)
    await users.insert(ANN)
    assert await users.remove("Ann")
    assert not await users.remove("Ann")
