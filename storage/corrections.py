"""Documents that an older version wrote, brought into the form that this one asks for.

At its start each server looks through what was written since the last look, in steps with a pause
between them. `marks` holds how far that went, so a start soon after is cheap, and a step that broke
off is done again. Until it is through, files of the old form are found by the old form only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from bson import ObjectId

from lading.protocol.errors import LadingError
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.tags import Tags
from lading.storage.database import Database, persist

log = structlog.get_logger()

AT_ONCE = 500
PAUSE_SECONDS = 0.1
RETRY_SECONDS = 30.0

LATE = timedelta(hours=1)
"""A server of the version before, which still runs beside this one, may write a document with an
id that lies before the mark: its clock may be behind, and ids are older than their documents."""

NAMES = "names-2"
"""The mark of the present form. Another name looks at all documents again: `names` was the mark
before there was a form in which names are searched."""

Correct = Callable[[ObjectId | None, int], Awaitable[ObjectId | None]]


class Corrections:
    """Brings names, directories and tags into their one form."""

    def __init__(self, database: Database, manifests: Manifests, tags: Tags) -> None:
        self._database = database
        self._manifests = manifests
        self._tags = tags

    async def run(self) -> None:
        """Look through everything once, and try again while the database does not answer."""
        while True:
            try:
                await self.once()
                return
            except LadingError as error:
                log.warning("names-not-corrected", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def once(self, pause: float = PAUSE_SECONDS) -> None:
        """Look through what was written since the last time; raises Unavailable."""
        await self._walk("tags", self._tags.correct_names, pause)
        await self._walk(NAMES, self._manifests.correct_names, pause)

    async def _walk(self, name: str, correct: Correct, pause: float) -> None:
        mark = {"_id": name}
        found = await self._database.read(lambda: self._database.marks.find_one(mark))
        last = None
        if found is not None:
            last = ObjectId.from_datetime(found["last"].generation_time - LATE)
        while (reached := await correct(last, AT_ONCE)) is not None:
            last = reached
            await self._note(mark, last)
            await asyncio.sleep(pause)

    async def _note(self, mark: dict[str, str], last: ObjectId) -> None:
        change = {"$set": {"last": last}}
        await persist(lambda: self._database.marks.update_one(mark, change, upsert=True))
