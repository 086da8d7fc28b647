"""Deleting a user: what a crash leaves, the same call completes."""

from __future__ import annotations

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import NotFound, Unavailable
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.uploads import users
from lading.server.uploads.users import Deleted
from tests.support.parts import ANN, BOB, Parts


async def store(parts: Parts, principal: Principal = ANN, data: bytes = b"x" * 100) -> str:
    """The id of a finished file."""
    spec = UploadSpec(name="a", size=len(data), tags=("t",))
    upload = await parts.uploads.create(principal, spec)
    if data:
        await parts.uploads.write(upload, 0, data, crc32c(data))
    return (await parts.uploads.finish(principal, upload.manifest.id)).id


async def test_all_of_one_user_goes_and_nothing_of_others(parts: Parts) -> None:
    mine, theirs = await store(parts), await store(parts, BOB)
    await store(parts, data=b"")
    await parts.uploads.create(ANN, UploadSpec(name="b", size=10))
    assert await parts.users.remove("ann") == Deleted(files=2, uploads=1, tags=1)
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, mine)
    assert (await parts.uploads.get(BOB, theirs)).id == theirs
    assert not (await parts.quotas.account("ann")).known
    assert (await parts.quotas.account("bob")).used == 100
    assert await parts.users.remove("ann") == Deleted()
    assert await parts.audit() == []


async def test_an_interrupted_call_is_completed_by_the_next(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await store(parts)
    delete, calls = parts.uploads.delete, 0

    async def crashing(principal: Principal, file_id: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Unavailable
        await delete(principal, file_id)

    monkeypatch.setattr(parts.uploads, "delete", crashing)
    with pytest.raises(Unavailable):
        await parts.users.remove("ann")
    assert (await parts.quotas.account("ann")).used == 200
    assert (await elsewhere.users.remove("ann")).files == 2
    assert not (await parts.quotas.account("ann")).known


async def test_while_bytes_are_charged_the_account_stays(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "PAUSE_SECONDS", 0)
    await store(parts)
    account = await parts.quotas.account("ann")
    assert not await parts.quotas.remove("ann")
    assert await parts.quotas.account("ann") == account


async def test_a_reservation_that_a_crash_left_does_not_hold_the_account(parts: Parts) -> None:
    await parts.uploads.create(ANN, UploadSpec(name="a", size=10))
    await parts.database.manifests.delete_one({"name": "a"})
    parts.clock.now += 24 * 3600
    assert await parts.users.remove("ann") == Deleted()
    assert not (await parts.quotas.account("ann")).known
