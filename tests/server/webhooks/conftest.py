"""A process with webhooks, whose receivers are on the loopback, by a clock that a test moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest
from lading.protocol.spec import UploadSpec
from lading.protocol.webhooks import Event, secret_of
from lading.server.limits import WebhookLimits
from lading.server.webhooks.deliver import Deliverer
from lading.server.webhooks.send import Sender
from lading.storage.collections.deliveries import Delivery
from lading.storage.collections.manifests import new_id
from lading.storage.collections.webhooks import Webhook
from lading.storage.database import Database
from tests.support.parts import ANN, CELL, Parts
from tests.support.receivers import Receiver

LIMITS = WebhookLimits()
SECRET = secret_of(b"s" * 32)
PIECE = b"x" * CELL


@dataclass
class Scene:
    """The parts of one process, and its deliverer."""

    parts: Parts
    limits: WebhookLimits = LIMITS
    holder: str = "a"
    tries: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = self.parts.storage
        self.clock = self.parts.clock
        self.sender = Sender(self.limits, private=True)
        self.deliverer = Deliverer(
            self.storage,
            self.sender,
            self.parts.uploads.announcer.news,
            self.limits,
            holder=self.holder,
            jitter=lambda: 0.0,
            observe=lambda event, outcome, _seconds: self.tries.append((event, outcome)),
        )

    async def webhook(self, receiver: Receiver, events: Sequence[str] = tuple(Event)) -> Webhook:
        """A webhook at a receiver, which every event reaches if none is named."""
        found = Webhook(
            id=new_id(self.clock()),
            url=f"http://127.0.0.1:{receiver.port}/hook",
            events=tuple(map(str, events)),
            secret=SECRET,
            created_at=self.clock(),
        )
        await self.storage.webhooks.insert(found)
        await self.storage.webhooks.look()
        return found

    async def upload(self, *, finish: bool = True) -> str:
        uploads = self.parts.uploads
        opened = await uploads.create(ANN, UploadSpec(name="a.bin", size=CELL))
        await uploads.write(opened, 0, PIECE, crc32c(PIECE))
        if finish:
            await uploads.finish(ANN, opened.manifest.id)
        return opened.manifest.id

    async def upload_finish(self, upload_id: str) -> None:
        await self.parts.uploads.finish(ANN, upload_id)

    async def manifest(self, upload_id: str) -> Manifest:
        found = await self.parts.manifests.get(upload_id)
        assert found is not None
        return found

    async def log(self, webhook: Webhook) -> list[Delivery]:
        return await self.storage.deliveries.log(webhook.id, state=None, before=None, most=100)

    async def delete(self, file_id: str) -> None:
        await self.parts.uploads.delete(ANN, file_id)

    async def work(self) -> None:
        """Work the outbox off, and send what is due."""
        while await self.parts.uploads.todo.once():
            pass
        await self.deliverer.once()


@pytest.fixture
def scene(parts: Parts) -> Scene:
    return Scene(parts)


@pytest.fixture
def other(database: Database, scene: Scene) -> Scene:
    """Another process on the same database."""
    return Scene(Parts(database, scene.clock), holder="b")
