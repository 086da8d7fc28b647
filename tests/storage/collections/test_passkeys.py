"""The documents of passkeys: found by their id, listed and deleted for their user only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.protocol.errors import NameTaken
from lading.storage.collections.passkeys import Passkey, Passkeys
from lading.storage.database import Database

MINE = Passkey(
    id=b"\xff\x00id", user_id="ann", public_key=b"key", label="phone", sign_count=3, created_at=4e9
)


async def test_a_passkey_is_kept_as_it_is(each_database: Database) -> None:
    passkeys = Passkeys(each_database)
    await passkeys.insert(MINE)
    await passkeys.insert(MINE)
    assert await passkeys.get(MINE.id) == MINE
    assert await passkeys.get(b"other") is None
    assert MINE.text_id == "_wBpZA"
    with pytest.raises(NameTaken):
        await passkeys.insert(replace(MINE, user_id="eve"))


async def test_a_use_is_noted_and_the_count_never_goes_down(each_database: Database) -> None:
    passkeys = Passkeys(each_database)
    await passkeys.insert(MINE)
    await passkeys.used(MINE, 7, 4e9 + 1)
    await passkeys.used(MINE, 5, 4e9 + 2)
    assert await passkeys.get(MINE.id) == replace(MINE, sign_count=7, used_at=4e9 + 2)


async def test_they_are_listed_and_deleted_for_their_user(each_database: Database) -> None:
    passkeys = Passkeys(each_database)
    newer = replace(MINE, id=b"newer", created_at=4e9 + 9)
    for each in (MINE, newer, replace(MINE, id=b"eve", user_id="eve")):
        await passkeys.insert(each)
    assert await passkeys.of_user("ann") == [newer, MINE]
    assert not await passkeys.remove(MINE.id, "eve")
    assert await passkeys.remove(MINE.id, "ann")
    await passkeys.remove_user("ann")
    assert await passkeys.of_user("ann") == []
    assert len(await passkeys.of_user("eve")) == 1
