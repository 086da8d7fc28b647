"""Events: noted by the change that makes them true, and lost by nothing that follows."""

from __future__ import annotations

import json

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.errors import QuotaExceeded
from lading.protocol.spec import UploadSpec
from lading.protocol.webhooks import Event
from lading.server.http.schemas.files import manifest_of
from lading.server.webhooks import payload
from lading.server.webhooks.announce import QUOTA_SECONDS
from lading.storage.collections.deliveries import Delivery
from lading.storage.database import Database
from tests.server.webhooks.conftest import Scene
from tests.support.clock import Clock
from tests.support.maker import FakeMaker
from tests.support.parts import ANN, CELL, TOMBSTONE_TTL, TTL, Parts, settings
from tests.support.receivers import Receiver

NOBODY = Receiver(port=1)
"""Nothing is sent in these tests."""


async def events(scene: Scene, webhook_id: str) -> list[tuple[str, str, int]]:
    """What is stored for a webhook, the oldest first."""
    while await scene.parts.uploads.todo.once():
        pass
    found = await scene.storage.deliveries.log(webhook_id, state=None, before=None, most=100)
    return [(each.event, each.subject, each.number) for each in reversed(found)]


def content(delivery: Delivery) -> dict[str, object]:
    found: dict[str, object] = json.loads(delivery.body)
    return found


async def test_without_webhooks_an_upload_notes_nothing(scene: Scene, database: Database) -> None:
    file_id = await scene.upload()
    ready = await scene.manifest(file_id)
    assert (ready.notices, "notify" in ready.todo) == ((), False)
    await scene.delete(file_id)
    dead = await scene.manifest(file_id)
    assert (dead.notices, dead.todo) == ((), ())
    assert await database.deliveries.count_documents({}) == 0


async def test_an_event_that_no_webhook_wants_is_not_noted(scene: Scene) -> None:
    webhook = await scene.webhook(NOBODY, [Event.FILE_DELETED])
    file_id = await scene.upload()
    assert (await scene.manifest(file_id)).notices == ()
    await scene.delete(file_id)
    assert await events(scene, webhook.id) == [(Event.FILE_DELETED, file_id, 0)]


async def test_a_publication_is_noted_by_the_write_that_publishes(scene: Scene) -> None:
    webhook = await scene.webhook(NOBODY)
    file_id = await scene.upload()
    ready = await scene.manifest(file_id)
    assert [each.event for each in ready.notices] == [Event.FILE_READY]
    assert ready.todo == ("notify",)
    assert await events(scene, webhook.id) == [(Event.FILE_READY, file_id, 0)]
    told = await scene.manifest(file_id)
    assert (told.notices, told.told, told.todo) == ((), 1, ())


async def test_a_deletion_keeps_what_was_not_told_yet(scene: Scene) -> None:
    """Nobody worked the outbox off between the publication and the deletion."""
    webhook = await scene.webhook(NOBODY)
    file_id = await scene.upload()
    await scene.delete(file_id)
    scene.clock.now += TOMBSTONE_TTL + 1
    await scene.parts.sweeper.sweep()
    assert (await scene.manifest(file_id)).notices, "a tombstone with events stays"
    assert await events(scene, webhook.id) == [
        (Event.FILE_READY, file_id, 0),
        (Event.FILE_DELETED, file_id, 1),
    ]
    await scene.parts.sweeper.sweep()
    assert await scene.parts.manifests.get(file_id) is None


async def test_a_deletion_is_told_at_once(scene: Scene) -> None:
    """Not only when the claim of the process that deletes has ended."""
    webhook = await scene.webhook(NOBODY)
    file_id = await scene.upload()
    await events(scene, webhook.id)
    await scene.delete(file_id)
    assert (await events(scene, webhook.id))[-1] == (Event.FILE_DELETED, file_id, 1)


async def test_an_upload_that_was_aborted_was_never_a_file(scene: Scene) -> None:
    webhook = await scene.webhook(NOBODY)
    upload_id = await scene.upload(finish=False)
    await scene.delete(upload_id)
    assert await events(scene, webhook.id) == []
    assert (await scene.manifest(upload_id)).todo == ()


async def test_an_upload_that_expired_is_told(scene: Scene) -> None:
    webhook = await scene.webhook(NOBODY)
    upload_id = await scene.upload(finish=False)
    scene.clock.now += TTL + 1
    await scene.parts.sweeper.sweep()
    scene.clock.now += 31
    assert await events(scene, webhook.id) == [(Event.UPLOAD_EXPIRED, upload_id, 0)]
    (delivery,) = await scene.log(webhook)
    data = content(delivery)["data"]
    assert isinstance(data, dict)
    assert (data["_id"], data["state"]) == (upload_id, "expired")


async def test_a_file_whose_end_has_come_is_told_as_deleted(scene: Scene) -> None:
    webhook = await scene.webhook(NOBODY, [Event.FILE_DELETED])
    file_id = await scene.upload()
    end = scene.clock.now + 10
    await scene.parts.manifests.change(file_id, expires_at=end, now=scene.clock.now)
    await scene.parts.sweeper.sweep()
    assert await events(scene, webhook.id) == []
    scene.clock.now = end
    await scene.parts.sweeper.sweep()
    scene.clock.now += 31
    assert await events(scene, webhook.id) == [(Event.FILE_DELETED, file_id, 0)]
    (delivery,) = await scene.log(webhook)
    data = content(delivery)["data"]
    assert isinstance(data, dict)
    assert (data["_id"], data["state"]) == (file_id, "deleted")


async def test_a_file_says_what_the_http_api_says(database: Database) -> None:
    """Also what images were made of it; the long fields are left out."""
    scene = Scene(Parts(database, Clock(), settings(), maker=FakeMaker()))
    webhook = await scene.webhook(NOBODY)
    opened = await scene.parts.uploads.create(
        ANN, UploadSpec(name="a.jpg", size=CELL, mime_type="image/jpeg", directory="d", tags=("t",))
    )
    data = b"\xff\xd8\xff\xe0" + b"p" * (CELL - 4)
    await scene.parts.uploads.write(opened, 0, data, crc32c(data))
    file_id = opened.manifest.id
    await scene.upload_finish(file_id)
    while await scene.parts.uploads.pictures.todo.once():
        pass
    assert await events(scene, webhook.id) == [
        (Event.FILE_READY, file_id, 0),
        (Event.FILE_DERIVED, file_id, 1),
    ]
    derived, _ = await scene.log(webhook)
    said = content(derived)["data"]
    shown = dict(manifest_of(await scene.manifest(file_id)))
    assert isinstance(said, dict)
    assert set(shown) - set(said) == {
        "upload_end",
        "chunk_size",
        "blobs",
        "expires_at",
        "trashed_at",
    }
    left_out = {"waveform", "placeholder"}
    media = shown["media"]
    assert isinstance(media, dict)
    assert set(payload.MEDIA) | left_out == set(media)
    shown["media"] = {name: media[name] for name in payload.MEDIA}
    assert said == {name: shown[name] for name in said}
    assert said["pictures"]


async def test_the_next_images_are_the_next_event(database: Database) -> None:
    scene = Scene(Parts(database, Clock(), settings(), maker=FakeMaker()))
    webhook = await scene.webhook(NOBODY, [Event.FILE_DERIVED])
    opened = await scene.parts.uploads.create(
        ANN, UploadSpec(name="a.txt", size=CELL, mime_type="image/jpeg")
    )
    data = b"\xff\xd8\xff\xe0" + b"p" * (CELL - 4)
    await scene.parts.uploads.write(opened, 0, data, crc32c(data))
    file_id = opened.manifest.id
    await scene.upload_finish(file_id)
    while await scene.parts.uploads.pictures.todo.once():
        pass
    await scene.parts.uploads.pictures.find(await scene.manifest(file_id), 3, "square")
    assert await events(scene, webhook.id) == [
        (Event.FILE_DERIVED, file_id, 0),
        (Event.FILE_DERIVED, file_id, 1),
    ]


async def test_a_refusal_for_the_quota_is_told_once_an_hour(scene: Scene) -> None:
    webhook = await scene.webhook(NOBODY)
    await scene.parts.quotas.set_quota("ann", 100)
    for _ in range(3):
        with pytest.raises(QuotaExceeded):
            await scene.upload()
    (delivery,) = await scene.log(webhook)
    assert delivery.event == Event.QUOTA_EXCEEDED
    assert content(delivery)["data"] == {
        "user_id": "ann",
        "name": "a.bin",
        "size": CELL,
        "quota": 100,
        "used": 0,
        "reserved": 0,
    }
    scene.clock.now += QUOTA_SECONDS
    with pytest.raises(QuotaExceeded):
        await scene.upload()
    assert len(await scene.log(webhook)) == 2


async def test_another_process_learns_of_a_webhook_when_it_looks(
    scene: Scene, other: Scene
) -> None:
    webhook = await scene.webhook(NOBODY)
    await other.upload()
    assert await events(other, webhook.id) == []
    await other.deliverer.once()
    file_id = await other.upload()
    assert await events(other, webhook.id) == [(Event.FILE_READY, file_id, 0)]


async def test_each_webhook_gets_its_own(scene: Scene) -> None:
    first = await scene.webhook(NOBODY, [Event.FILE_READY])
    second = await scene.webhook(NOBODY)
    file_id = await scene.upload()
    await scene.delete(file_id)
    assert [event for event, _, _ in await events(scene, first.id)] == [Event.FILE_READY]
    assert len(await events(scene, second.id)) == 2
