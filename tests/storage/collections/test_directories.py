"""Directories: added up, and moved with all that is below them."""

from __future__ import annotations

import asyncio

import pytest

from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import State
from lading.storage.collections.directories import Directories, Directory
from lading.storage.collections.manifests import Manifests
from lading.storage.database import Database
from tests.support.manifests import NOW, begun


async def keep(database: Database, *directories: str, state: State = State.READY) -> None:
    for size, directory in enumerate(directories, 1):
        await Manifests(database).create(begun(directory=directory, size=size, state=state))


async def where(database: Database) -> list[str]:
    found = await database.manifests.find({}).sort("_id", 1).to_list(None)
    return [each["directory"] for each in found]


async def test_the_directories_in_one_with_all_that_is_below_each(each_database: Database) -> None:
    await keep(each_database, "", "a", "a/b", "a/b/c", "a-b", "a0", "é/x", "a b")
    await keep(each_database, "u", state=State.UPLOADING)
    await keep(each_database, "d", state=State.DELETED)
    await Manifests(each_database).create(begun(user_id="bob", directory="x", state=State.READY))
    directories = Directories(each_database)
    assert await directories.below("ann", "", after=None, most=9) == [
        Directory("a", "a", 3, 2 + 3 + 4),
        Directory("a b", "a b", 1, 8),
        Directory("a-b", "a-b", 1, 5),
        Directory("a0", "a0", 1, 6),
        Directory("é", "é", 1, 7),
    ]
    assert await directories.below("ann", "a", after=None, most=9) == [
        Directory("a/b", "b", 2, 3 + 4)
    ]
    assert await directories.below("ann", "é", after=None, most=9) == [Directory("é/x", "x", 1, 7)]
    assert await directories.below("ann", "x", after=None, most=9) == []


async def test_pages_of_directories(each_database: Database) -> None:
    await keep(each_database, "p/a/x", "p/a-b", "p/a", "p/a0/y", "p/b", "q")
    directories, seen, after = Directories(each_database), [], None
    while page := await directories.below("ann", "p", after=after, most=2):
        seen += [each.name for each in page]
        after = page[-1].name
    assert seen == ["a", "a-b", "a0", "b"]


async def test_a_directory_is_moved_with_what_is_below_it(database: Database) -> None:
    await keep(database, "a/b", "a/b/c", "a/bc", "a", "$x/é")
    await keep(database, "a/b/u", state=State.UPLOADING)
    await keep(database, "a/b", state=State.DELETED)
    await Manifests(database).create(begun(user_id="bob", directory="a/b", state=State.READY))
    directories = Directories(database)
    assert await directories.move("ann", "a/b", "$d/é", NOW + 1) == 3
    others = ["a/bc", "a", "$x/é"]
    assert await where(database) == ["$d/é", "$d/é/c", *others, "$d/é/u", "a/b", "a/b"]
    assert await directories.move("ann", "a/b", "$d/é", NOW + 2) == 0, "again"
    # Up, and into the root.
    assert await directories.move("ann", "$d/é", "$d", NOW + 3) == 3
    assert await directories.move("ann", "$d", "", NOW + 4) == 3
    assert await where(database) == ["", "c", *others, "u", "a/b", "a/b"]
    moved = await database.manifests.find_one({"directory": "c"})
    assert moved["revision"] == 3
    assert moved["updated_at"].timestamp() == NOW + 4


@pytest.mark.parametrize(
    ("directory", "to"), [("", "a"), ("a", "a/b"), ("a", "a/b/c"), ("a/b", "x" * 1023)]
)
async def test_what_cannot_be_moved_stays(database: Database, directory: str, to: str) -> None:
    await keep(database, "a", "a/b", "a/b/c")
    with pytest.raises(InvalidArgument):
        await Directories(database).move("ann", directory, to, NOW)
    assert await where(database) == ["a", "a/b", "a/b/c"]


async def test_what_was_moved_in_part_is_moved_whole_by_the_same_request(
    database: Database,
) -> None:
    """As a crash in the middle leaves it."""
    await keep(database, "new", "new/c", "old", "old/c")
    assert await Directories(database).move("ann", "old", "new", NOW) == 2
    assert await where(database) == ["new", "new/c", "new", "new/c"]


async def test_two_moves_at_once_leave_each_file_in_one_of_both_places(database: Database) -> None:
    await keep(database, *(f"a/{n}" for n in range(200)))
    one, two = Directories(database), Directories(database)
    moved = await asyncio.gather(one.move("ann", "a", "b", NOW), two.move("ann", "a", "c", NOW))
    assert sum(moved) == 200
    places = [each.partition("/")[0] for each in await where(database)]
    assert (places.count("b"), places.count("c")) == tuple(moved)
