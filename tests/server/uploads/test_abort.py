"""What ABORT, `DELETE /v1/uploads/{id}` and discarding a broken body delete, and for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.protocol.errors import AlreadyComplete, Forbidden, NotFound
from lading.protocol.grants import Action, Grant
from lading.protocol.manifest import State
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.storage.collections.manifests import new_id
from tests.support.parts import ANN, Parts


async def upload(parts: Parts, principal: Principal = ANN, *, finish: bool = False) -> str:
    opened = await parts.uploads.create(principal, UploadSpec(name="a.bin", size=0))
    if finish:
        await parts.uploads.finish(principal, opened.manifest.id)
    return opened.manifest.id


async def bearer(parts: Parts) -> Principal:
    """Somebody with a grant for one upload."""
    now = parts.clock()
    grant = Grant(
        id=new_id(now),
        action=Action.UPLOAD,
        user_id="ann",
        minter="site",
        created_at=now,
        expires_at=now + 1000,
    )
    await parts.storage.grants.insert(grant, "token")
    return replace(ANN, grant=grant)


@pytest.mark.parametrize("finish", [False, True], ids=["upload", "file"])
async def test_abort_deletes_whatever_the_upload_became(parts: Parts, finish: bool) -> None:
    upload_id = await upload(parts, finish=finish)
    await parts.uploads.abort(ANN, upload_id)
    with pytest.raises(NotFound):
        await parts.uploads.abort(ANN, upload_id)


async def test_unfinished_only_leaves_a_file(parts: Parts) -> None:
    upload_id, file_id = await upload(parts), await upload(parts, finish=True)
    await parts.uploads.abort(ANN, upload_id, unfinished_only=True)
    with pytest.raises(AlreadyComplete, match="/v1/files"):
        await parts.uploads.abort(ANN, file_id, unfinished_only=True)
    assert (await parts.uploads.get(ANN, file_id)).state is State.READY


@pytest.mark.parametrize("finish", [False, True], ids=["upload", "file"])
async def test_a_grant_aborts_its_upload_and_not_the_file(parts: Parts, finish: bool) -> None:
    site = await bearer(parts)
    upload_id = await upload(parts, site, finish=finish)
    if not finish:
        await parts.uploads.abort(site, upload_id)
        return
    for delete in (parts.uploads.abort, parts.uploads.delete, parts.uploads.discard):
        with pytest.raises(Forbidden, match="a grant cannot delete the file"):
            await delete(site, upload_id)
    assert (await parts.uploads.get(ANN, upload_id)).state is State.READY


@pytest.mark.parametrize(("discard", "used"), [(True, 0), (False, 1)])
async def test_discarding_gives_the_use_of_a_grant_back_and_abort_does_not(
    parts: Parts, discard: bool, used: int
) -> None:
    site = await bearer(parts)
    upload_id = await upload(parts, site)
    await (parts.uploads.discard if discard else parts.uploads.abort)(site, upload_id)
    assert site.grant is not None
    grant = await parts.storage.grants.get(site.grant.id)
    assert grant is not None
    assert grant.used == used
