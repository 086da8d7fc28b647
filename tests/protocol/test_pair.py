"""Client and server joined: whatever happens on the way, the file arrives, and the window holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.drivers import File
from tests.support.memory_store import CELL
from tests.support.pair import World

numbers = st.integers(0, 2**16)
fates = st.lists(numbers, max_size=40) | st.lists(numbers, min_size=100, max_size=400)
contents = st.binary(max_size=60) | st.binary(min_size=100, max_size=300)


def arrive(world: World) -> None:
    """Everything completed, nothing is left under way, and all credit came back."""
    for client in world.clients:
        assert client.done
    for file in world.files:
        assert file.id is not None
        assert world.store[file.id].ready
        assert world.store[file.id].content == file.data
    for link in world.links():
        assert link.sender.in_flight == 0
        assert link.receiver.in_flight == 0
        assert link.receiver.idle


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [0, 1, CELL - 1, CELL, CELL + 1, 3 * CELL, 60])
@pytest.mark.parametrize("clients", [1, 2])
@pytest.mark.parametrize("early", [True, False])
def test_without_faults(size: int, clients: int, known: bool, early: bool) -> None:
    world = World([File(bytes(range(size)), known)], clients, early=early)
    world.run([])
    arrive(world)


@given(contents, st.booleans(), st.booleans(), fates)
@settings(max_examples=150)
def test_one_connection_at_a_time(
    data: bytes, known: bool, early: bool, decisions: list[int]
) -> None:
    world = World([File(data, known)], 1, early=early)
    world.run(decisions)
    arrive(world)


@given(contents, st.booleans(), st.booleans(), fates)
@settings(max_examples=150)
def test_two_connections_for_one_upload(
    data: bytes, known: bool, early: bool, decisions: list[int]
) -> None:
    world = World([File(data, known)], 2, early=early)
    world.run(decisions)
    arrive(world)


@given(st.lists(st.tuples(contents, st.booleans()), min_size=2, max_size=4), st.booleans(), fates)
@settings(max_examples=150)
def test_several_uploads_on_one_connection(
    files: list[tuple[bytes, bool]], early: bool, decisions: list[int]
) -> None:
    world = World([File(data, known) for data, known in files], 1, early=early)
    world.run(decisions)
    arrive(world)
