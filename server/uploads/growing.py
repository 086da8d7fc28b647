"""Reading an upload while it arrives: what is stored from a place on, and a wait for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from lading.protocol.errors import ShuttingDown, Unavailable
from lading.protocol.manifest import MAX_INTEGER, Manifest, State
from lading.server.limits import UploadLimits
from lading.server.uploads.arrivals import Arrivals
from lading.server.uploads.fragments import HEAD_BYTES, is_fragmented
from lading.server.uploads.open_uploads import REPLACED, OpenUploads
from lading.server.uploads.reader import Reader
from lading.storage.open import Storage

STALLED = "The upload received nothing for too long; the rest of the file may come later."


@dataclass(frozen=True, slots=True)
class Growing:
    """Uploads under way, for those who read them."""

    storage: Storage
    uploads: OpenUploads
    reader: Reader
    arrivals: Arrivals
    limits: UploadLimits

    async def stored(self, manifest: Manifest, start: int, end: int = MAX_INTEGER) -> int:
        """Where the stored run that begins at `start` ends, at most `end`.

        Returns `start` where that byte is not stored. Of a very long run it is the end of a part.
        """
        return min(end, await self.storage.contents.run_end(manifest, start, end))

    async def is_fragmented(self, manifest: Manifest, stored: int) -> bool:
        """Whether this is a film in fragments, by the first bytes of the `stored` ones."""
        end = min(stored, HEAD_BYTES)
        return is_fragmented(b"".join([part async for part in self.reader.read(manifest, 0, end)]))

    async def until_stored(self, manifest: Manifest, offset: int, seconds: float) -> Manifest:
        """Wait until the byte at `offset` is stored or the upload is finished, at most `seconds`.

        Returns the present manifest. Raises NotFound, Gone, and ShuttingDown.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self.arrivals.waiting(manifest.id, offset) as waiter:
            while True:
                found = await self.uploads.after_end(manifest.id)
                if found.state is State.READY or await self.stored(found, offset) > offset:
                    return found
                if self.arrivals.stopped:
                    raise ShuttingDown
                left = deadline - loop.time()
                if left <= 0:
                    return found
                await waiter.wait(left)

    async def while_live(self, manifest: Manifest, offset: int) -> Manifest:
        """Wait for the byte at `offset` for as long as the upload receives anything.

        Returns and raises as `until_stored`, and raises Unavailable when it stalls.
        """
        patience = self.limits.live_seconds
        while True:
            found = await self.until_stored(manifest, offset, patience)
            if found.state is State.READY or await self.stored(found, offset) > offset:
                return found
            patience = found.updated_at + self.limits.live_seconds - self.storage.clock()
            if patience <= 0:
                raise Unavailable(STALLED)

    async def follow(self, manifest: Manifest) -> AsyncGenerator[bytes, None]:
        """The whole file as it arrives, verified piece by piece.

        Raises Unavailable when the upload stalls or its bytes are replaced, Gone and NotFound when
        it ends, ShuttingDown, and what `Reader.read` raises.
        """
        position, bytes_of = 0, (manifest.key, manifest.attempt)
        while manifest.size is None or position < manifest.size:
            end = await self.stored(manifest, position, manifest.size or MAX_INTEGER)
            if end == position:
                manifest = await self.while_live(manifest, position)
                if (manifest.key, manifest.attempt) != bytes_of:
                    raise Unavailable(REPLACED)
                continue
            async with aclosing(self.reader.read(manifest, position, end)) as blocks:
                async for data in blocks:
                    yield data
            position = end
