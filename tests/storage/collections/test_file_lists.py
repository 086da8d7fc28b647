"""Lists of files: words anywhere in a name, every order, pages while files come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient, monitoring

from lading.protocol.manifest import Manifest, State
from lading.storage.collections.directories import Directories
from lading.storage.collections.file_lists import (
    FEW,
    FileLists,
    Order,
    Ordering,
    Place,
    place_of,
)
from lading.storage.collections.manifests import FileFilter, Manifests, to_document
from lading.storage.database import Database
from tests.conftest import Mongo
from tests.support.manifests import NOW, begun

MANY = 50_000


def ready(name: str, **more: Any) -> Manifest:
    return begun(state=State.READY, name=name, **more)


async def keep(database: Database, *files: Manifest) -> None:
    for each in files:
        await Manifests(database).create(each)


async def test_every_word_is_looked_for_anywhere_in_the_name(each_database: Database) -> None:
    names = ["Holiday Sea.JPG", "seaside.png", "Éclair (1).jpg", "a.b*c$.txt", "STRASSE.txt"]
    await keep(each_database, *(ready(name) for name in names))
    lists = FileLists(each_database)

    async def found(*words: str, by: Order = Order.NAME) -> list[str]:
        ordering = Ordering(by, descending=False)
        page = await lists.page("ann", FileFilter(words=words), ordering, most=9)
        return [each.name for each in page]

    for by in Order:
        assert sorted(await found("SEA", by=by)) == ["Holiday Sea.JPG", "seaside.png"]
    assert await found("jpg", "sea") == ["Holiday Sea.JPG"]
    assert await found("eclair") == await found("ÉCLAIR") == ["Éclair (1).jpg"]
    assert await found("straße") == ["STRASSE.txt"]
    assert await found("b*c$") == ["a.b*c$.txt"], "a word is text, not a pattern"
    assert await found(".*") == []
    assert await found("sea", "txt") == []


async def test_a_new_name_is_found_and_the_old_one_is_not(each_database: Database) -> None:
    file, manifests = ready("old.txt"), Manifests(each_database)
    await keep(each_database, file)
    await manifests.change(file.id, name="Zoë.txt", now=NOW)
    lists = FileLists(each_database)
    assert await lists.page("ann", FileFilter(words=("old",)), most=9) == []
    (found,) = await lists.page("ann", FileFilter(words=("zoe",)), most=9)
    assert found.name == "Zoë.txt"


async def test_every_order_in_both_directions(each_database: Database) -> None:
    one = ready("b", size=3, mime_type="a/a", created_at=NOW + 2)
    two = ready("C", size=1, mime_type="b/b", modified_at=NOW + 3)
    three = ready("a", size=2, mime_type="b/b", modified_at=NOW + 1)
    hidden = [begun(name="x"), ready("x", user_id="bob"), begun(name="x", state=State.DELETED)]
    await keep(each_database, one, two, three, *hidden)
    lists = FileLists(each_database)
    expected = {
        Order.NAME: [three, one, two],
        Order.SIZE: [two, three, one],
        Order.CREATED: [one, two, three],
        Order.MODIFIED: [three, one, two],
        Order.TYPE: [one, two, three],
    }
    for order, files in expected.items():
        for descending in (False, True):
            page = await lists.page("ann", FileFilter(), Ordering(order, descending), most=9)
            assert page == (files[::-1] if descending else files), order


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_hold_while_files_come_and_go(
    each_database: Database, order: Order, descending: bool
) -> None:
    """Each file that is there all the time is on exactly one page; so many are equal as can be."""
    files = [
        ready(f"{n % 3}", size=n % 2, mime_type=f"a/{n % 2}", modified_at=NOW + n % 2)
        for n in range(12)
    ]
    await keep(each_database, *files)
    lists, manifests, ordering = (
        FileLists(each_database),
        Manifests(each_database),
        Ordering(order, descending),
    )
    seen: list[Manifest] = []
    gone: set[str] = set()
    after: Place | None = None
    while page := await lists.page("ann", FileFilter(), ordering, after=after, most=2):
        seen += page
        after = place_of(page[-1], order)
        # The very file that the next page begins behind is deleted, and another one comes.
        gone.add(page[-1].id)
        until = {"becomes": State.DELETED, "until": NOW, "only": (State.READY,)}
        await manifests.mark_deleted(page[-1].id, now=NOW, **until)  # type: ignore[arg-type]  # by name
        await keep(each_database, ready("0", size=0, mime_type="a/0", modified_at=NOW))
        if len(seen) > 40:
            break
    ids = [each.id for each in seen]
    assert len(set(ids)) == len(ids)
    assert {each.id for each in files} <= set(ids)


# -- 50,000 files


class Commands(monitoring.CommandListener):
    """The commands that a client sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in ("find", "aggregate"):
            self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing is noted."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing is noted."""


Explain = Callable[[Callable[[Database], Awaitable[Any]]], Awaitable[tuple[Any, int, int]]]


@pytest.fixture(scope="module")
def large(mongod: str, mongo: Mongo) -> Iterator[str]:
    """The address of a database with 50,000 files of one user."""

    url = mongod.replace("/?", "/large?")

    async def fill() -> None:
        client: Any = AsyncMongoClient(url)
        database = Database(client)
        await database.prepare()
        usual = to_document(ready("x"))
        for begin in range(0, MANY, 10_000):
            await database.manifests.insert_many(
                {
                    **usual,
                    "_id": ObjectId(),
                    "name": f"IMG_{n:05}.jpg",
                    "name_key": f"img_{n:05}.jpg",
                    "size": n % 1000,
                    "mime_type": "image/jpeg",
                    "directory": f"{n % 50:02}/{n % 100:02}",
                }
                for n in range(begin, begin + 10_000)
            )
        await client.close()

    asyncio.run(fill())
    yield url
    mongo.drop_database("large")


@pytest.fixture
async def explain(large: str) -> AsyncIterator[Explain]:
    """Calls a function, and returns its result with the documents and keys that were looked at."""
    commands = Commands()
    client: Any = AsyncMongoClient(large, event_listeners=[commands], tz_aware=True)

    async def ask(function: Callable[[Database], Awaitable[Any]]) -> tuple[Any, int, int]:
        commands.sent.clear()
        result = await function(Database(client))
        documents = keys = 0
        for sent in [*commands.sent]:
            command = {key: value for key, value in sent.items() if key not in _OF_SESSION}
            plan = await client.get_default_database().command(
                "explain", command, verbosity="executionStats"
            )
            stats = plan.get("executionStats") or plan["stages"][0]["$cursor"]["executionStats"]
            documents += stats["totalDocsExamined"]
            keys += stats["totalKeysExamined"]
        return result, documents, keys

    yield ask
    await client.close()


_OF_SESSION = ("lsid", "$db", "$clusterTime", "readConcern", "$readPreference")


async def test_a_rare_word_is_found_among_50_000_files_by_the_index_alone(
    explain: Explain,
) -> None:
    for order in Order:
        wanted, ordering = FileFilter(words=("4217",)), Ordering(order)
        found, documents, keys = await explain(
            lambda db, w=wanted, o=ordering: FileLists(db).page("ann", w, o, most=100)  # type: ignore[misc]  # bound now
        )
        assert len(found) == sum("4217" in f"{n:05}" for n in range(MANY))
        assert documents == len(found)
        assert keys <= 2 * (MANY + 1)


async def test_a_word_that_all_names_have_costs_a_page(explain: Explain) -> None:
    for order in Order:
        wanted, ordering = FileFilter(words=("img",)), Ordering(order)
        found, documents, keys = await explain(
            lambda db, w=wanted, o=ordering: FileLists(db).page("ann", w, o, most=100)  # type: ignore[misc]  # bound now
        )
        assert len(found) == 100
        assert documents <= 200
        assert keys <= 200 + 2 * FEW


@pytest.mark.parametrize("order", Order)
async def test_a_page_of_any_order_costs_a_page_wherever_it_begins(
    explain: Explain, order: Order
) -> None:
    """Also in the middle of 50,000 files with the same value."""
    ordering = Ordering(order, descending=False)
    found, documents, keys = await explain(
        lambda db: FileLists(db).page("ann", FileFilter(), ordering, most=100)
    )
    assert (len(found), documents) == (100, 100)
    middle, _, _ = await explain(
        lambda db: FileLists(db).page("ann", FileFilter(words=("25000",)), most=1)
    )
    after = place_of(middle[0], order)
    _, documents, keys = await explain(
        lambda db: FileLists(db).page("ann", FileFilter(), ordering, after=after, most=100)
    )
    assert documents <= 100
    assert keys <= 101


async def test_directories_are_added_up_without_reading_a_document(explain: Explain) -> None:
    found, documents, keys = await explain(
        lambda db: Directories(db).below("ann", "", after=None, most=9)
    )
    assert [(each.path, each.files) for each in found][:2] == [("00", 1000), ("01", 1000)]
    assert documents == 0
    assert keys <= MANY + 1
    _, documents, keys = await explain(
        lambda db: Directories(db).below("ann", "07", after=None, most=9)
    )
    assert (documents, keys) == (0, 1000)
