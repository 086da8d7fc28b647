"""The documents of grants: what is kept of a token, uses counted under races, who is forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lading.protocol.errors import Forbidden, QuotaExceeded, RateLimited
from lading.protocol.grants import Action, Grant
from lading.storage.collections.grants import (
    KEPT_ELSE_SECONDS,
    KEPT_SECONDS,
    NOTED,
    Grants,
    from_document,
    to_document,
)
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database

NOW = 4_000_000_000.25
"""Far in the future: the database goes by its own clock in what it forgets."""
TOKEN = "lg_" + "t" * 43


def grant(**changes: object) -> Grant:
    plain = Grant(
        id=new_id(),
        action=Action.UPLOAD,
        user_id="ann",
        minter="site",
        created_at=NOW,
        expires_at=NOW + 60,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


FULL = grant(
    name="a.png",
    directory="d",
    size=5,
    max_size=9,
    sha256="0" * 64,
    mime_types=("image/png", "image/*"),
    uses=3,
    used=2,
)
DOWNLOAD = grant(action=Action.DOWNLOAD, file_id=new_id(), quality=3)


@pytest.mark.parametrize("each", [FULL, grant(), DOWNLOAD], ids=["full", "bare", "download"])
def test_a_document_holds_all_of_a_grant(each: Grant) -> None:
    assert from_document(to_document(each, TOKEN)) == each


def test_a_document_holds_nothing_of_the_token() -> None:
    assert TOKEN[3:] not in repr(to_document(FULL, TOKEN))
    assert to_document(FULL, TOKEN)["token"] != to_document(FULL, TOKEN + "x")["token"]


async def test_what_is_minted_is_found_by_its_token_and_its_id(each_database: Database) -> None:
    grants = Grants(each_database)
    await grants.insert(FULL, TOKEN)
    await grants.insert(FULL, TOKEN)
    assert await grants.find(TOKEN, NOW) == FULL
    assert await grants.get(FULL.id) == FULL
    assert await grants.find(TOKEN + "x", NOW) is None
    assert await grants.find("\ud800", NOW) is None
    assert await grants.get(new_id()) is None
    assert await each_database.grants.count_documents({}) == 1


async def test_what_someone_minted_the_newest_first(each_database: Database) -> None:
    grants = Grants(each_database)
    mine = [grant() for _ in range(3)]
    for number, each in enumerate([*mine, grant(minter="other")]):
        await grants.insert(each, f"{TOKEN}{number}")
    assert await grants.minted("site", before=None, most=2) == [mine[2], mine[1]]
    assert await grants.minted("site", before=mine[1].id, most=2) == [mine[0]]


async def test_uses_are_counted_up_to_the_last(each_database: Database) -> None:
    grants, each = Grants(each_database), grant(uses=2)
    await grants.insert(each, TOKEN)
    uploads = [new_id() for _ in range(3)]
    await grants.use(each, uploads[0], NOW)
    await grants.use(each, uploads[0], NOW)
    assert await grants.get(each.id) == replace(each, used=1)
    await grants.use(each, uploads[1], NOW)
    with pytest.raises(Forbidden, match="used up"):
        await grants.use(each, uploads[2], NOW)
    await grants.use(each, uploads[1], NOW)
    assert await grants.get(each.id) == replace(each, used=2)


async def test_a_use_that_came_to_nothing_is_given_back_once(each_database: Database) -> None:
    grants, each = Grants(each_database), grant(uses=2)
    await grants.insert(each, TOKEN)
    kept, lost = new_id(), new_id()
    await grants.use(each, kept, NOW)
    await grants.use(each, lost, NOW)
    for upload_id in (lost, lost, new_id()):
        await grants.give_back(each.id, upload_id)
    assert await grants.get(each.id) == replace(each, used=1)


async def test_an_expired_grant_counts_no_use(each_database: Database) -> None:
    grants, each = Grants(each_database), grant()
    await grants.insert(each, TOKEN)
    with pytest.raises(Forbidden, match="expired"):
        await grants.use(each, new_id(), each.expires_at)
    assert await grants.find(TOKEN, each.expires_at) == each
    await grants.use(each, new_id(), each.expires_at - 0.001)


async def test_a_revoked_grant_is_forgotten(each_database: Database) -> None:
    grants, each, other = Grants(each_database), grant(), grant()
    await grants.insert(each, TOKEN)
    await grants.insert(other, TOKEN + "x")
    assert await grants.living([each.id, other.id, new_id()], NOW) == {each.id, other.id}
    await grants.revoke(each.id)
    await grants.revoke(each.id)
    assert await grants.find(TOKEN, NOW) is None
    assert await grants.living([each.id, other.id], NOW) == {other.id}
    with pytest.raises(Forbidden, match="revoked"):
        await grants.use(each, new_id(), NOW)


async def test_of_many_at_once_as_many_are_counted_as_are_allowed(database: Database) -> None:
    grants, each = Grants(database), grant(uses=3)
    await grants.insert(each, TOKEN)
    uses = [grants.use(each, new_id(), NOW) for _ in range(20)]
    told = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(answer is None for answer in told) == 3
    assert sum(isinstance(answer, Forbidden) for answer in told) == 17


async def test_a_grant_does_not_grow_with_its_uses(database: Database) -> None:
    grants, each = Grants(database), grant(uses=NOTED + 20)
    await grants.insert(each, TOKEN)
    for _ in range(NOTED + 10):
        await grants.use(each, new_id(), NOW)
    found = await database.grants.find_one({})
    assert (len(found["noted"]), found["used"]) == (NOTED, NOTED + 10)


async def kept_until(database: Database) -> float:
    found = await database.grants.find_one({})
    return float(found["kept_until"].timestamp())


async def test_the_database_forgets_grants_that_expired_long_ago(database: Database) -> None:
    grants, each = Grants(database), grant()
    await grants.insert(each, TOKEN)
    indexes = await database.grants.index_information()
    assert indexes["kept_until"]["expireAfterSeconds"] == 0
    assert await kept_until(database) == pytest.approx(each.expires_at + KEPT_SECONDS, abs=0.01)


@pytest.mark.parametrize("action", [Action.DOWNLOAD, Action.MEDIA_UPLOAD])
async def test_grants_that_begin_nothing_are_forgotten_soon(
    database: Database, action: Action
) -> None:
    each = grant(action=action, file_id=new_id())
    await Grants(database).insert(each, TOKEN)
    until = pytest.approx(each.expires_at + KEPT_ELSE_SECONDS, abs=0.01)
    assert await kept_until(database) == until


async def test_who_still_uses_an_old_grant_keeps_it(database: Database) -> None:
    grants, each = Grants(database), grant()
    await grants.insert(each, TOKEN)
    before = await kept_until(database)
    await grants.find(TOKEN, each.expires_at + KEPT_SECONDS / 2)
    assert await kept_until(database) == before
    late = each.expires_at + KEPT_SECONDS / 2 + 1
    await grants.find(TOKEN, late)
    assert await kept_until(database) == pytest.approx(late + KEPT_SECONDS, abs=0.01)
    await grants.living([each.id], late + 9)
    assert await kept_until(database) == pytest.approx(late + 9 + KEPT_SECONDS, abs=0.01)


# -- links


def link(**changes: object) -> Grant:
    return grant(**{"action": Action.SHARE, "directory": "d", "uses": 2, **changes})


async def test_a_visit_is_counted_once(each_database: Database) -> None:
    grants, shared = Grants(each_database), link()
    await grants.insert(shared, TOKEN)
    assert await grants.visit(shared, "one", NOW) is True
    assert await grants.visit(shared, "one", NOW) is False
    assert await grants.visit(shared, "two", NOW) is True
    assert await grants.visit(shared, "three", NOW) is None, "it is used up"
    assert await grants.visit(shared, "two", NOW) is False
    assert await grants.visit(shared, "two", shared.expires_at) is None, "it is expired"
    found = await grants.get(shared.id)
    assert found is not None
    assert found.used == 2
    await grants.revoke(shared.id)
    assert await grants.visit(shared, "one", NOW) is None


async def test_visits_at_once_are_no_more_than_may_be(database: Database) -> None:
    grants, shared = Grants(database), link(uses=5)
    await grants.insert(shared, TOKEN)
    visits = (Grants(database).visit(shared, f"visit {n}", NOW) for n in range(20))
    found = await asyncio.gather(*visits)
    assert (found.count(True), found.count(None)) == (5, 15)


async def test_guesses_at_once_are_no_more_than_may_be(database: Database) -> None:
    grants, shared = Grants(database), link(password="x")
    await grants.insert(shared, TOKEN)

    async def guesses(number: int, now: float) -> int:
        tries = (Grants(database).guess(shared.id, now, most=5, seconds=60) for _ in range(number))
        return (await asyncio.gather(*tries)).count(True)

    begin = NOW // 60 * 60
    assert await guesses(20, begin) == 5
    assert await guesses(3, begin + 59) == 0
    await grants.guessed(shared.id)
    assert await guesses(3, begin + 59) == 1
    assert await guesses(20, begin + 60) == 5


async def test_a_changed_grant_is_kept_as_long_as_it_lasts(each_database: Database) -> None:
    grants, shared = Grants(each_database), link()
    await grants.insert(shared, TOKEN)
    later = replace(shared, expires_at=NOW + 9000, uses=9, password="hash")
    assert await grants.change(later) == later
    assert await grants.find(TOKEN, NOW) == later, "its token stays"
    document = await each_database.grants.find_one({})
    assert document["kept_until"].timestamp() > NOW + 9000
    assert await grants.change(link()) is None


async def test_grants_are_listed_by_what_they_are_for(each_database: Database) -> None:
    grants = Grants(each_database)
    shared, upload = link(), grant()
    await grants.insert(shared, TOKEN)
    await grants.insert(upload, TOKEN + "2")
    assert await grants.minted("site", before=None, most=9) == [upload, shared]
    assert await grants.minted("site", actions=[Action.SHARE], before=None, most=9) == [shared]


# -- requests


def request(**changes: object) -> Grant:
    return grant(action=Action.REQUEST, directory="inbox", uses=100, **changes)


async def sent(grants: Grants, asked: Grant, token: str, name: str = "Ann") -> Grant:
    """The grant of somebody who gave a name."""
    named = replace(grant(), minter="", parent=asked.id, sender=name)
    assert await grants.name_sender(named, token)
    found = await grants.find(token, NOW)
    assert found is not None
    return found


async def room(grants: Grants, asked: Grant) -> tuple[int, int]:
    found = await grants.get(asked.id)
    assert found is not None
    return found.used, found.taken


async def test_who_sends_has_the_bounds_that_the_request_has_now(each_database: Database) -> None:
    grants, asked = Grants(each_database), request(max_size=10, kind="film")
    await grants.insert(asked, TOKEN)
    ann = await sent(grants, asked, TOKEN + "1")
    assert (ann.action, ann.parent, ann.sender) == (Action.UPLOAD, asked.id, "Ann")
    assert (ann.directory, ann.kind, ann.max_size) == ("inbox", "film", 10)
    await grants.change(replace(asked, max_size=20, expires_at=NOW + 9000))
    changed = await grants.get(ann.id)
    assert changed is not None
    assert (changed.max_size, changed.expires_at, changed.senders) == (20, NOW + 9000, 1)
    assert await grants.living([ann.id, asked.id], NOW) == {ann.id, asked.id}
    await grants.revoke(asked.id)
    assert await grants.find(TOKEN + "1", NOW) is None
    assert await grants.living([ann.id, asked.id], NOW) == set()
    assert not await grants.name_sender(replace(ann, id=new_id()), TOKEN + "2")


async def test_bytes_of_all_who_send_are_counted_once(each_database: Database) -> None:
    grants, asked = Grants(each_database), request(max_size=10)
    await grants.insert(asked, TOKEN)
    ann, ben = [await sent(grants, asked, f"{TOKEN}{each}", each) for each in "12"]
    one, two = new_id(), new_id()
    for _ in range(2):
        await grants.use(ann, one, NOW, 6)
    assert await room(grants, asked) == (1, 6)
    with pytest.raises(QuotaExceeded) as full:
        await grants.use(ben, two, NOW, 5)
    assert full.value.extra == {"limit": 10, "used": 6}
    await grants.use(ben, two, NOW, 0)
    for _ in range(2):
        await grants.grow(asked.id, two, 3)
    await grants.grow(asked.id, two, 2)
    assert await room(grants, asked) == (2, 9)
    with pytest.raises(QuotaExceeded):
        await grants.grow(asked.id, two, 5)
    for _ in range(2):
        await grants.settle(asked.id, one, 6)
        await grants.settle(asked.id, two, 0)
    assert await room(grants, asked) == (2, 6)
    await grants.grow(asked.id, two, 4)
    assert await room(grants, asked) == (2, 6), "what ended does not grow"


async def test_a_request_is_bounded_in_what_it_notes(each_database: Database) -> None:
    grants, asked = Grants(each_database, senders=1, under_way=2), request()
    await grants.insert(asked, TOKEN)
    ann = await sent(grants, asked, TOKEN + "1")
    assert not await grants.name_sender(replace(ann, id=new_id()), TOKEN + "2")
    ids = [new_id() for _ in range(3)]
    await grants.use(ann, ids[0], NOW)
    await grants.use(ann, ids[1], NOW)
    with pytest.raises(RateLimited):
        await grants.use(ann, ids[2], NOW)
    await grants.settle(asked.id, ids[0], 0)
    await grants.use(ann, ids[2], NOW)
