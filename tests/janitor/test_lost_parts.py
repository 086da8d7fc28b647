"""Parts in a bucket that nobody will join are deleted, and no others."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from structlog.testing import capture_logs

from lading.janitor.lost_parts import YOUNG_SECONDS, LostParts, _wanted
from lading.protocol.manifest import State
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.blobs.s3_client import S3Options
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from lading.storage.open import Storage, assemble_storage
from tests.support.clock import Clock
from tests.support.janitor import Scene
from tests.support.seaweedfs import BUCKET, SeaweedFS


@dataclass
class Bucket:
    scene: Scene
    home: S3Blobs
    lost: LostParts

    async def begin(self, upload_id: str) -> str:
        """Parts that are under way."""
        answer = await self.home.client.call(
            "create_multipart_upload", Key=self.home.key(upload_id)
        )
        return str(answer["UploadId"])

    async def under_way(self) -> set[str]:
        return {each.multipart_id async for each in self.home.unfinished()}


def opened(database: Database, clock: Clock, home: str, options: S3Options) -> Storage:
    return assemble_storage(database, clock, FreeSpace(database), home=home, s3=options)


@pytest.fixture
async def bucket(database: Database, seaweed: SeaweedFS, s3_home: str) -> AsyncIterator[Bucket]:
    scene = Scene(database, Clock(time.time()))
    storage = opened(database, scene.clock, s3_home, seaweed.options())
    home = storage.blobs.bare(s3_home)
    assert isinstance(home, S3Blobs)
    yield Bucket(scene, home, LostParts(storage.manifests, storage.blobs, scene.clock))
    await storage.blobs.close()


async def test_parts_are_lost_when_their_file_does_not_wait_for_them(bucket: Bucket) -> None:
    scene, home = bucket.scene, bucket.home.name
    moving = replace((await scene.begin()), id=new_id(), state=State.READY, move_to=home)
    await scene.manifests.create(moving)
    arriving = await scene.begin()
    elsewhere, dead = await scene.finished(), await scene.mark_deleted(await scene.finished())
    lost = [await bucket.begin(each.id) for each in (moving, elsewhere, dead)]
    lost.append(await bucket.begin(new_id()))
    kept = [await bucket.begin(arriving.id)]
    assert await bucket.lost.abort() == 0  # they are young
    scene.clock.now += YOUNG_SECONDS + 5
    assert await bucket.lost.abort() == 3
    assert await bucket.under_way() == {lost[0], *kept}


async def test_of_several_of_one_move_the_last_one_is_its_own(bucket: Bucket) -> None:
    home = bucket.home.name
    moving = replace(await bucket.scene.finished(), move_to=home)
    assert _wanted(moving, home, last=True)
    assert not _wanted(moving, home, last=False)
    assert not _wanted(moving, "s3://other", last=True)


async def test_a_bucket_that_does_not_answer_is_left_for_later(
    database: Database, seaweed: SeaweedFS
) -> None:
    storage = opened(
        database, Clock(time.time()), f"s3://{BUCKET}", replace(seaweed.options(), keys=("x", "y"))
    )
    with capture_logs() as logs:
        assert await LostParts(storage.manifests, storage.blobs, Clock()).abort() == 0
    (line,) = [each for each in logs if each["event"] == "s3-parts-not-aborted"]
    assert "AWS_ACCESS_KEY_ID" in line["error"]
    await storage.blobs.close()
