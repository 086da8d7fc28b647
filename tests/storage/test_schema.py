"""Servers of two versions work on one database, and one that is too old is told so."""

from __future__ import annotations

import pytest

from lading.storage.blobs.base import Unusable
from lading.storage.database import Database
from lading.storage.schema import MARK, SCHEMA, Schema, agree


async def kept(database: Database) -> Schema:
    found = await database.marks.find_one(MARK)
    return Schema(found["version"], found["oldest"])


def test_servers_of_the_version_before_can_work_beside_these() -> None:
    assert 1 <= SCHEMA.oldest <= max(1, SCHEMA.version - 1)


async def test_a_new_database_gets_the_form_of_its_first_server(database: Database) -> None:
    await agree(database)
    assert await kept(database) == SCHEMA


async def test_a_server_of_the_version_before_works_beside_a_newer_one(database: Database) -> None:
    await agree(database, Schema(2, 1))
    await agree(database, Schema(1, 1))  # it starts again, and takes nothing back
    assert await kept(database) == Schema(2, 1)


async def test_a_server_that_is_two_versions_old_is_told_what_to_do(database: Database) -> None:
    await agree(database, Schema(3, 2))
    with pytest.raises(Unusable) as error:
        await agree(database, Schema(1, 1))
    assert str(error.value) == (
        "LADING_DATABASE_URL: a newer Lading has changed the database to form 3, and this version "
        "knows none above 1. Start that version or a newer one. The way back is to restore the "
        "backup from before."
    )
    assert await kept(database) == Schema(3, 2)


async def test_two_servers_that_start_at_once_agree_on_the_newer_form(database: Database) -> None:
    for first, second in (((1, 1), (2, 1)), ((2, 1), (1, 1))):
        await database.marks.delete_one(MARK)
        await agree(database, Schema(*first))
        await agree(database, Schema(*second))
        assert await kept(database) == Schema(2, 1)
