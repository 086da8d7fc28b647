"""Pieces that are stored a moment too late, when the file was published or the upload is gone: none
is acknowledged and then part of nothing, and none is left behind.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import AlreadyComplete, InvalidArgument, NotFound
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec
from lading.server.uploads import OpenUpload
from lading.storage.collections.manifests import Manifests
from lading.storage.database import Database
from tests.support.clock import Clock
from tests.support.gate import Gate
from tests.support.parts import ANN, CELL, Parts, settings
from tests.support.servers import until

PIECE = bytes(range(256)) * (CELL // 256)


async def create(parts: Parts, size: int | None = None) -> OpenUpload:
    return await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=size))


async def write(parts: Parts, upload: OpenUpload, cell: int) -> int:
    """Write a piece; gives how much is stored in all, as the client is told."""
    written = await parts.uploads.write(upload, cell * CELL, PIECE, crc32c(PIECE))
    return written.upload_size


async def test_behind_the_end_of_a_file_nothing_is_kept(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await create(parts)
    await write(parts, upload, 0)
    gate = Gate(monkeypatch)
    late = asyncio.create_task(write(parts, upload, 1))
    await until(lambda: gate.waiting)
    await elsewhere.uploads.finish(ANN, upload.manifest.id, CELL)
    gate.opened.set()
    with pytest.raises(AlreadyComplete):
        await late
    assert await parts.pieces(upload.manifest.id) == 1
    assert await write(parts, upload, 0) == CELL, "no more is told of than there is"
    assert await parts.usage("ann") == (CELL, 0)
    assert await parts.audit() == []


@pytest.mark.parametrize("tombstone_ttl", [0.0, 0.5, 60.0])
async def test_of_an_upload_that_is_dead_and_forgotten_nothing_is_kept(
    database: Database, tombstone_ttl: float
) -> None:
    brief = settings(tombstone_ttl=tombstone_ttl)
    parts = Parts(database, chosen=brief)
    elsewhere = Parts(database, parts.clock, brief)
    upload = await create(parts, 2 * CELL)
    await write(parts, upload, 0)
    await elsewhere.uploads.delete(ANN, upload.manifest.id)
    await Parts(database, Clock(parts.clock.now + tombstone_ttl), brief).sweeper.sweep()
    assert await parts.manifests.get(upload.manifest.id) is None
    with pytest.raises(NotFound):
        await write(parts, upload, 1)
    assert await parts.pieces(upload.manifest.id) == 0
    assert await parts.audit() == []


async def test_what_is_stored_between_proof_and_publishing_stops_it(
    parts: Parts, elsewhere: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await create(parts)
    await write(parts, upload, 0)
    publish = Manifests.finish

    async def beaten(*arguments: Any, **options: Any) -> Manifest | None:
        assert await write(parts, upload, 1) == 2 * CELL
        return await publish(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Manifests, "finish", beaten)
        with pytest.raises(InvalidArgument, match="beyond the size"):
            await elsewhere.uploads.finish(ANN, upload.manifest.id, CELL)
    file = await elsewhere.uploads.finish(ANN, upload.manifest.id, 2 * CELL)
    assert (file.state, file.size) == (State.READY, 2 * CELL)
    assert await parts.audit() == []
