"""Several small files that are here already, stored side by side, each for itself.

Side by side they share the operations of the database: see `lading/together.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lading.protocol.errors import LadingError, TooLarge
from lading.protocol.manifest import Manifest
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.uploads.approval import Undecided
from lading.server.uploads.intake import HELD, Intake, at_hand
from lading.server.uploads.uploads import Uploads

AT_ONCE = 64
"""So many files are under way at once: what the others wait for is the journal anyway."""


@dataclass(frozen=True, slots=True)
class SmallFiles:
    """Stores files of at most `most` bytes that are at hand; the caller holds the memory for them.

    `spawn` begins work that runs to its end also when the request is gone.
    """

    uploads: Uploads
    most: int
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

    async def store(
        self, principal: Principal, files: Sequence[tuple[UploadSpec, bytes]]
    ) -> list[Manifest | LadingError]:
        """What became of each file: it is durable, or refused and leaves nothing behind.

        One that waits for approval is still an upload. Any error that is none of ours is raised,
        and ends the others.
        """
        room = asyncio.Semaphore(AT_ONCE)

        async def one(spec: UploadSpec, data: bytes) -> Manifest | LadingError:
            async with room:
                try:
                    return await self._store(principal, spec, data)
                except LadingError as error:
                    return error

        tasks = [asyncio.ensure_future(one(spec, data)) for spec, data in files]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _store(self, principal: Principal, spec: UploadSpec, data: bytes) -> Manifest:
        if len(data) > self.most:
            raise TooLarge(
                f"A file sent this way may have at most {self.most} bytes.", limit=self.most
            )
        upload = await self.uploads.create(principal, spec)
        upload_id = upload.manifest.id
        try:
            taken = await Intake(self.uploads, upload, HELD).store(at_hand(data))
            return await self.uploads.finish(
                principal,
                upload_id,
                hashed=taken.sha256,
                head=taken.head,
                proven=taken.proven,
                patience=0.0,
            )
        except Undecided:
            return await self.uploads.get(principal, upload_id)
        except BaseException as error:
            discarding = self.spawn(self._discard(principal, upload_id))
            if isinstance(error, LadingError):
                # The client may send it again at once: its quota must be free before the answer.
                await asyncio.shield(discarding)
            raise

    async def _discard(self, principal: Principal, upload_id: str) -> None:
        owner = Principal(principal.user_id)  # it may be published, which a grant cannot delete
        with suppress(LadingError):  # the janitor removes it later
            await self.uploads.discard(owner, upload_id)
