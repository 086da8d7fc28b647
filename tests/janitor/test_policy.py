"""The policy as a table: every state, emptied or not, before and after its time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.janitor.policy import Action, decide
from lading.protocol.manifest import Former, State
from tests.support.manifests import NOW, begun

TIMES = {"before": NOW + 0.001, "at": NOW, "after": NOW - 1, "never": None}

TABLE = """
    state       emptied     before  at      after   never
    uploading   no          keep    expire  expire  keep
    uploading   yes         keep    expire  expire  keep
    ready       no          keep    expire  expire  keep
    ready       yes         keep    expire  expire  keep
    trashed     no          keep    expire  expire  keep
    trashed     yes         keep    expire  expire  keep
    replacing   no          keep    keep    keep    keep
    replacing   yes         keep    keep    keep    keep
    expired     no          empty   empty   empty   empty
    expired     yes         keep    purge   purge   keep
    deleted     no          empty   empty   empty   empty
    deleted     yes         keep    purge   purge   keep
"""


def rows() -> list[tuple[str, bool, str, str]]:
    """State, emptied, time, action."""
    (_, _, *times), *lines = (line.split() for line in TABLE.strip().splitlines())
    return [
        (state, emptied == "yes", time, action)
        for state, emptied, *actions in lines
        for time, action in zip(times, actions, strict=True)
    ]


@pytest.mark.parametrize(("state", "emptied", "time", "action"), rows())
def test_what_becomes_of_it(state: str, emptied: bool, time: str, action: str) -> None:
    manifest = begun(expires_at=TIMES[time], state=State(state), emptied=emptied)
    assert decide(manifest, NOW) is Action[action.upper()]


def test_the_table_is_whole() -> None:
    assert {state for state, *_ in rows()} == set(State)
    assert {action for *_, action in rows()} == {action.name.lower() for action in Action}
    assert len(rows()) == len(State) * 2 * len(TIMES)


def test_replaced_bytes_wait_for_their_readers_and_a_purge_for_their_tombstone() -> None:
    dead = begun(state=State.DELETED, expires_at=NOW)
    assert decide(replace(dead, kept_until=NOW + 1), NOW) is Action.KEEP
    assert decide(replace(dead, kept_until=NOW), NOW) is Action.EMPTY
    former = Former("1" * 24, "2" * 24, 1, 1024)
    emptied = replace(dead, emptied=True)
    assert decide(replace(emptied, former=former), NOW) is Action.KEEP
    assert decide(emptied, NOW) is Action.PURGE
