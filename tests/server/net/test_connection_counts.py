"""Counting over several processes, here several views of one table."""

from __future__ import annotations

import pytest

from lading.server.net.connection_counts import ConnectionCounts, prepare, table_size


@pytest.fixture
def together() -> list[ConnectionCounts]:
    table = memoryview(bytearray(table_size(3)))
    prepare(table)
    return [ConnectionCounts(table, processes=3, number=number) for number in range(3)]


def test_alone_it_counts_its_own() -> None:
    connection_counts = ConnectionCounts()
    connection_counts.note_connections(3)
    connection_counts.enter("ann")
    assert (
        connection_counts.connections,
        connection_counts.of("ann"),
        connection_counts.of("bob"),
    ) == (3, 1, 0)
    connection_counts.leave("ann")
    assert connection_counts.of("ann") == 0


def test_everyone_sees_the_sum(together: list[ConnectionCounts]) -> None:
    for number, connection_counts in enumerate(together):
        connection_counts.note_connections(number + 1)
        connection_counts.enter("ann")
    together[0].enter("ann")
    together[1].enter("bob")
    for connection_counts in together:
        assert (
            connection_counts.connections,
            connection_counts.of("ann"),
            connection_counts.of("bob"),
        ) == (6, 4, 1)
    together[2].leave("ann")
    assert together[0].of("ann") == 3


def test_who_dies_is_counted_no_more(together: list[ConnectionCounts]) -> None:
    for connection_counts in together:
        connection_counts.note_connections(5)
        connection_counts.enter("ann")
    together[0].clear(1)
    assert (together[2].connections, together[2].of("ann")) == (10, 2)


def test_users_lie_apart_and_not_where_they_choose(together: list[ConnectionCounts]) -> None:
    names = [f"user-{number}" for number in range(200)]
    for name in names:
        together[0].enter(name)
    assert sum(together[1].of(name) == 1 for name in names) > 150
    places = {ConnectionCounts()._place("ann") for _ in range(20)}
    assert len(places) > 10
