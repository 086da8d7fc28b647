"""Counting over several processes, here several views of one table."""

from __future__ import annotations

import pytest

from server.census import Census, prepare, table_size


@pytest.fixture
def together() -> list[Census]:
    table = memoryview(bytearray(table_size(3)))
    prepare(table)
    return [Census(table, processes=3, number=number) for number in range(3)]


def test_alone_it_counts_its_own() -> None:
    census = Census()
    census.note_connections(3)
    census.enter("ann")
    assert (census.connections, census.of("ann"), census.of("bob")) == (3, 1, 0)
    census.leave("ann")
    assert census.of("ann") == 0


def test_everyone_sees_the_sum(together: list[Census]) -> None:
    for number, census in enumerate(together):
        census.note_connections(number + 1)
        census.enter("ann")
    together[0].enter("ann")
    together[1].enter("bob")
    for census in together:
        assert (census.connections, census.of("ann"), census.of("bob")) == (6, 4, 1)
    together[2].leave("ann")
    assert together[0].of("ann") == 3


def test_who_dies_is_counted_no_more(together: list[Census]) -> None:
    for census in together:
        census.note_connections(5)
        census.enter("ann")
    together[0].clear(1)
    assert (together[2].connections, together[2].of("ann")) == (10, 2)


def test_users_lie_apart_and_not_where_they_choose(together: list[Census]) -> None:
    names = [f"user-{number}" for number in range(200)]
    for name in names:
        together[0].enter(name)
    assert sum(together[1].of(name) == 1 for name in names) > 150
    places = {Census()._place("ann") for _ in range(20)}
    assert len(places) > 10
