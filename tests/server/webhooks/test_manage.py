"""What an admin does with webhooks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lading.protocol.errors import Forbidden, InvalidArgument, NotFound
from lading.protocol.webhooks import TEST, Event
from lading.server.webhooks.manage import BY_ADMIN, WebhookAdmin
from lading.server.webhooks.send import Sender
from lading.storage.collections.deliveries import State
from tests.server.webhooks.conftest import LIMITS, SECRET, Scene
from tests.support.receivers import OK, Got, receiving, status, verify

EVENTS = [Event.FILE_READY, Event.FILE_DELETED]
UNKNOWN = "0" * 24


@pytest.fixture
def admin(scene: Scene) -> WebhookAdmin:
    return WebhookAdmin(scene.storage, scene.sender, asyncio.Event(), LIMITS)


async def test_a_webhook_that_was_added_gets_what_happens_then(
    scene: Scene, admin: WebhookAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        webhook = await admin.add(url, ["file.deleted", "file.ready", "file.ready"])
        assert webhook.events == ("file.ready", "file.deleted")
        assert await admin.all() == [webhook]
        await scene.upload()
        await scene.work()
    (got,) = receiver.got
    assert verify(webhook.secret, got, scene.clock(), monkeypatch)["type"] == "file.ready"


@pytest.mark.parametrize("events", [[], ["file.read"], ["file.ready", TEST]])
async def test_events_must_be_known(admin: WebhookAdmin, events: list[str]) -> None:
    with pytest.raises(InvalidArgument, match=r"file\.derived"):
        await admin.add("https://8.8.8.8/", events)


async def test_an_address_is_judged_when_it_is_added_or_changed(scene: Scene) -> None:
    strict = WebhookAdmin(scene.storage, Sender(LIMITS, private=False), asyncio.Event(), LIMITS)
    with pytest.raises(InvalidArgument, match="not public"):
        await strict.add("https://127.0.0.1/", EVENTS)
    webhook = await strict.add("https://8.8.8.8/", EVENTS)
    with pytest.raises(InvalidArgument, match="not public"):
        await strict.change(webhook.id, url="https://[::1]/")
    assert (await strict.get(webhook.id)).url == "https://8.8.8.8/"
    changed = await strict.change(webhook.id, url="https://8.8.4.4/", events=["file.derived"])
    assert (changed.url, changed.events) == ("https://8.8.4.4/", ("file.derived",))


async def test_there_are_so_many_at_most(scene: Scene) -> None:
    admin = WebhookAdmin(scene.storage, scene.sender, asyncio.Event(), replace(LIMITS, most=1))
    await admin.add("https://8.8.8.8/", EVENTS)
    with pytest.raises(Forbidden, match="remove one"):
        await admin.add("https://8.8.8.8/", EVENTS)


async def test_what_a_webhook_missed_comes_when_it_is_enabled_again(
    scene: Scene, admin: WebhookAdmin
) -> None:
    taken = list[Got]()
    fails = True

    def answer(got: Got) -> bytes:
        if fails:
            return status(500)
        taken.append(got)
        return OK

    async with receiving(answer) as receiver:
        webhook = await scene.webhook(receiver)
        file_id = await scene.upload()
        await scene.work()
        await scene.delete(file_id)
        await scene.work()
        while await scene.storage.webhooks.look():
            scene.clock.now += 86_400
            await scene.work()
        fails = False
        await scene.work()
        assert taken == []
        assert (await admin.change(webhook.id, enabled=True)).disabled_because is None
        await scene.work()
    assert [got.event for got in taken] == [Event.FILE_READY, Event.FILE_DELETED]
    assert {each.state for each in await scene.log(webhook)} == {State.DELIVERED}


async def test_a_disabled_webhook_gets_nothing(scene: Scene, admin: WebhookAdmin) -> None:
    async with receiving() as receiver:
        webhook = await scene.webhook(receiver)
        await scene.upload()
        while await scene.parts.uploads.todo.once():
            pass
        disabled = await admin.change(webhook.id, enabled=False)
        assert disabled.disabled_because == BY_ADMIN
        await scene.upload()
        await scene.work()
        assert receiver.got == []
        assert (await admin.change(webhook.id, enabled=False)).disabled_at == disabled.disabled_at
        await admin.change(webhook.id, enabled=True)
        await scene.work()
    assert len(receiver.got) == 1, "what happened while it was disabled was for nobody"


async def test_a_test_is_sent_once_and_logged(
    scene: Scene, admin: WebhookAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        webhook = await scene.webhook(receiver)
        await admin.change(webhook.id, enabled=False)
        delivery = await admin.test(webhook.id)
        assert (delivery.state, delivery.status, delivery.error) == (State.DELIVERED, 204, None)
        receiver.answer = lambda _got: status(500)
        failed = await admin.test(webhook.id)
        assert (failed.state, failed.status) == (State.FAILED, 500)
        receiver.answer = lambda _got: OK
        await admin.change(webhook.id, enabled=True)
        await scene.work()
    assert len(receiver.got) == 2, "a test that failed is not sent again"
    assert verify(SECRET, receiver.got[0], scene.clock(), monkeypatch)["type"] == TEST
    assert receiver.got[0].id == delivery.message_id
    assert await scene.log(webhook) == [failed, delivery]


async def test_the_log_is_read_in_pages_and_by_state(scene: Scene, admin: WebhookAdmin) -> None:
    async with receiving() as receiver:
        webhook = await scene.webhook(receiver)
        for _ in range(3):
            scene.clock.now += 1
            await scene.upload()
            await scene.work()
        page = await admin.log(webhook.id, state=None, before=None, most=2)
        rest = await admin.log(webhook.id, state=None, before=page[-1].id, most=2)
    assert [*page, *rest] == await scene.log(webhook)
    assert await admin.log(webhook.id, state=State.PENDING, before=None, most=2) == []


async def test_a_webhook_that_was_removed_is_gone_with_its_log(
    scene: Scene, admin: WebhookAdmin
) -> None:
    async with receiving() as receiver:
        webhook = await scene.webhook(receiver)
        await scene.upload()
        await scene.work()
        await admin.remove(webhook.id)
        assert await scene.log(webhook) == []
        file_id = await scene.upload()
        assert (await scene.manifest(file_id)).notices == ()


async def test_an_unknown_webhook_is_not_found(admin: WebhookAdmin) -> None:
    for call in (admin.get, admin.remove, admin.test, admin.change):
        with pytest.raises(NotFound):
            await call(UNKNOWN)
    with pytest.raises(NotFound):
        await admin.log(UNKNOWN, state=None, before=None, most=1)
    with pytest.raises(InvalidArgument):
        await admin.get("none")
