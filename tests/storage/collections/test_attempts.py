"""Attempts are counted before they are made, in windows of time, whoever counts."""

from __future__ import annotations

import asyncio

import pytest

from lading.storage.collections.attempts import Attempts, Counted
from lading.storage.database import Database

NOW = 4_000_000_000.0
ANN = Counted("name ann", 3)


async def test_so_many_are_allowed_in_a_window(each_database: Database) -> None:
    attempts = Attempts(each_database)
    for _ in range(3):
        assert await attempts.count(ANN, NOW, 60) is None
    assert await attempts.count(ANN, NOW, 60) == pytest.approx(20)
    assert await attempts.count(Counted("name bob", 3), NOW, 60) is None
    assert await attempts.count(ANN, NOW + 20, 60) is None


async def test_one_that_succeeded_does_not_count(each_database: Database) -> None:
    attempts = Attempts(each_database)
    for _ in range(9):
        assert await attempts.count(ANN, NOW, 60) is None
        await attempts.give_back(ANN, NOW, 60)


async def test_those_that_come_together_are_not_more(database: Database) -> None:
    attempts = Attempts(database)
    answers = await asyncio.gather(*(attempts.count(ANN, NOW, 60) for _ in range(20)))
    assert answers.count(None) == 3


async def test_nothing_of_what_was_typed_is_kept(each_database: Database) -> None:
    await Attempts(each_database).count(Counted("name my password", 3), NOW, 60)
    assert "password" not in repr(await each_database.attempts.find({}).to_list(None))
