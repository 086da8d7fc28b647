"""Tags: created, used, counted, renamed and deleted, with crashes and others in between."""

from __future__ import annotations

import asyncio

import pytest

from lading.protocol.errors import NameTaken, NotFound
from lading.protocol.manifest import Manifest, State
from lading.storage.collections.manifests import Manifests, new_id
from lading.storage.collections.tags import Tag, Tags
from lading.storage.database import Database
from tests.support.steps import Crash, Steps

NOW = 1_790_000_000.0


async def file(
    database: Database, *tags: str, user_id: str = "ann", state: State = State.READY
) -> str:
    """A file with these tags, as finishing it leaves them."""
    manifest = Manifest(
        id=new_id(),
        user_id=user_id,
        name="a",
        size=1,
        chunk_size=1024,
        created_at=NOW,
        updated_at=NOW,
        expires_at=None,
        state=state,
        tags=tags,
    )
    await Manifests(database).create(manifest)
    await Tags(database).note(user_id, tags, NOW)
    return manifest.id


async def tags_of(database: Database, file_id: str) -> list[str]:
    found = await Manifests(database).get(file_id)
    assert found is not None
    return sorted(found.tags)


async def listed(database: Database, user_id: str = "ann") -> list[tuple[str, int]]:
    found = await Tags(database).list(user_id, after=None, most=100)
    return [(tag.name, tag.files) for tag in found]


# -- looking


async def test_a_tag_is_there_when_it_is_created_or_used(each_database: Database) -> None:
    tags = Tags(each_database)
    assert await tags.create("ann", "created", NOW) == Tag("created", 0)
    await file(each_database, "used", "twice")
    await file(each_database, "twice")
    assert await listed(each_database) == [("created", 0), ("twice", 2), ("used", 1)]
    assert await tags.get("ann", "twice") == Tag("twice", 2)
    for name in ("created", "used"):
        with pytest.raises(NameTaken, match=name):
            await tags.create("ann", name, NOW)
    with pytest.raises(NotFound):
        await tags.get("ann", "other")


async def test_only_finished_files_are_counted(each_database: Database) -> None:
    for state in State:
        await file(each_database, "x", state=state)
    assert await listed(each_database) == [("x", 1)]


async def test_tags_are_a_users_own(each_database: Database) -> None:
    tags = Tags(each_database)
    theirs = await file(each_database, "x", "y", user_id="bob")
    await file(each_database, "x")
    assert await listed(each_database) == [("x", 1)]
    await tags.rename("ann", "x", "y", NOW)
    await tags.remove("ann", "y", NOW)
    assert await tags_of(each_database, theirs) == ["x", "y"]
    assert await listed(each_database, "bob") == [("x", 1), ("y", 1)]
    for act in (
        tags.get("ann", "x"),
        tags.remove("ann", "x", NOW),
        tags.rename("ann", "x", "z", NOW),
    ):
        with pytest.raises(NotFound):
            await act


async def test_the_list_is_in_order_and_in_pages(each_database: Database) -> None:
    tags = Tags(each_database)
    names = ["a", "ab", "a b", "Z", "é", "$", "\U0001f600", "~"]
    for name in names:
        await tags.create("ann", name, NOW)
    in_order, after = sorted(names), None
    found: list[str] = []
    while page := await tags.list("ann", after=after, most=3):
        found += [tag.name for tag in page]
        after = found[-1]
    assert found == in_order


async def test_a_tag_that_no_document_tells_of_is_found_by_its_files(
    each_database: Database,
) -> None:
    tags = Tags(each_database)
    kept = await file(each_database, "x")
    await each_database.tags.delete_many({})  # the server died between the two writes
    assert await tags.get("ann", "x") == Tag("x", 1)
    await tags.create("ann", "y", NOW)
    with pytest.raises(NameTaken):
        await tags.rename("ann", "y", "x", NOW)
    assert await tags.rename("ann", "x", "z", NOW) == Tag("z", 1)
    assert await tags_of(each_database, kept) == ["z"]
    await each_database.tags.delete_many({})
    await tags.remove("ann", "z", NOW)
    assert await tags_of(each_database, kept) == []


# -- changing


async def test_renaming_changes_all_files_and_uploads(each_database: Database) -> None:
    tags = Tags(each_database)
    files = [
        await file(each_database, "a", "x"),
        await file(each_database, "x"),
        await file(each_database, "x", state=State.UPLOADING),
    ]
    other = await file(each_database, "a")
    assert await tags.rename("ann", "x", "y", NOW) == Tag("y", 2)
    assert [await tags_of(each_database, each) for each in files] == [["a", "y"], ["y"], ["y"]]
    assert await tags_of(each_database, other) == ["a"]
    assert await listed(each_database) == [("a", 2), ("y", 2)]
    with pytest.raises(NotFound):
        await tags.rename("ann", "x", "z", NOW)


async def test_renaming_to_a_name_that_is_taken_changes_nothing(each_database: Database) -> None:
    tags = Tags(each_database)
    kept = await file(each_database, "x")
    await tags.create("ann", "y", NOW)
    with pytest.raises(NameTaken):
        await tags.rename("ann", "x", "y", NOW)
    assert await tags_of(each_database, kept) == ["x"]
    assert await tags.rename("ann", "x", "x", NOW) == Tag("x", 1)
    assert await listed(each_database) == [("x", 1), ("y", 0)]


async def test_a_name_that_was_given_is_taken_for_a_new_tag_of_the_old_name(
    each_database: Database,
) -> None:
    tags = Tags(each_database)
    await tags.create("ann", "x", NOW)
    await tags.rename("ann", "x", "y", NOW)
    await file(each_database, "x")
    with pytest.raises(NameTaken):
        await tags.rename("ann", "x", "y", NOW)


async def test_deleting_takes_it_off_all_files_and_uploads(each_database: Database) -> None:
    tags = Tags(each_database)
    ready = await file(each_database, "a", "x")
    arriving = await file(each_database, "x", state=State.UPLOADING)
    await tags.remove("ann", "x", NOW)
    assert await tags_of(each_database, ready) == ["a"]
    assert await tags_of(each_database, arriving) == []
    assert await listed(each_database) == [("a", 1)]
    with pytest.raises(NotFound):
        await tags.remove("ann", "x", NOW)


# -- failures and races


async def test_a_creation_whose_answer_is_lost_is_ours(database: Database, steps: Steps) -> None:
    steps.lose(1)
    assert await Tags(steps).create("ann", "x", NOW) == Tag("x", 0)
    assert await listed(database) == [("x", 0)]


async def test_renaming_goes_on_where_a_crash_stopped_it(database: Database, steps: Steps) -> None:
    tags = Tags(steps)
    first, both = await file(database, "n0"), await file(database, "n0", "z")
    for number in range(30):
        old, new = f"n{number}", f"n{number + 1}"
        steps.crash_before(number + 1)
        try:
            await tags.rename("ann", old, new, NOW)
        except Crash:
            steps.recover()
            for each in (first, both):
                assert {old, new} & set(await tags_of(database, each))
            try:
                await tags.rename("ann", old, new, NOW)
            except NotFound:  # all was done but to note it
                assert (await tags.get("ann", new)).files == 2
        else:
            break
        assert await tags_of(database, first) == [new]
        assert await tags_of(database, both) == [new, "z"]
        assert await listed(database) == [(new, 2), ("z", 1)]
    else:
        raise AssertionError("it never came to an end")
    assert number > 10


async def test_deleting_goes_on_where_a_crash_stopped_it(database: Database, steps: Steps) -> None:
    tags = Tags(steps)
    for number in range(30):
        kept = await file(database, "x")
        steps.crash_before(number + 1)
        try:
            await tags.remove("ann", "x", NOW)
        except Crash:
            steps.recover()
            await asyncio.gather(tags.remove("ann", "x", NOW), return_exceptions=True)
        else:
            break
        assert await tags_of(database, kept) == []
        assert await listed(database) == []
    else:
        raise AssertionError("it never came to an end")
    assert number > 3


@pytest.mark.parametrize("deed", ["rename", "remove"])
async def test_a_file_that_gets_the_tag_meanwhile_ends_with_one_that_is_listed(
    database: Database, steps: Steps, deed: str
) -> None:
    """A file is tagged between any two operations of a change, or around them."""
    tags = Tags(steps)

    async def change(name: str) -> None:
        if deed == "rename":
            await tags.rename("ann", name, f"{name}-new", NOW)
        else:
            await tags.remove("ann", name, NOW)

    number = 0
    while number == 0 or steps.taken >= number:
        number += 1
        steps.taken = 0
        name = f"t{number}"
        await file(database, name)

        async def tag(name: str = name) -> None:
            await file(database, name)

        steps.before(number, tag)
        await change(name)
        found = await database.manifests.distinct("tags", {"user_id": "ann"})
        assert set(found) <= {each for each, _ in await listed(database)}
    assert number > 5


async def test_of_two_at_once_one_gets_the_name(database: Database) -> None:
    for number in range(10):
        tags, name = Tags(database), f"x{number}"
        made = await asyncio.gather(
            *(tags.create("ann", name, NOW) for _ in range(5)), return_exceptions=True
        )
        assert [each for each in made if not isinstance(each, NameTaken)] == [Tag(name, 0)]
