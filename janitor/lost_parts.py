"""Parts in buckets that nobody will join: a transfer broke off, and could not delete its own.

S3 keeps such parts for ever and bills them, and shows no object for them.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lading.janitor.sweep import always
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Manifest, State
from lading.storage.blobs.base import Check
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.collections.manifests import Manifests
from lading.storage.homes import Homes

log = structlog.get_logger()

YOUNG_SECONDS = 3600.0
"""Parts that were begun later are left alone, whatever they seem to be for."""


class LostParts:
    """Deletes lost parts in all buckets that are in use. `clock` returns Unix seconds."""

    def __init__(self, manifests: Manifests, homes: Homes, clock: Callable[[], float]) -> None:
        self._manifests = manifests
        self._homes = homes
        self._clock = clock

    async def abort(self, check: Check = always) -> int:
        """Delete them; returns of how many objects. Raises what `check` raises.

        A bucket that does not answer, or does not allow it, is left for the next time.
        """
        aborted = 0
        for home in self._homes:
            bucket = self._homes.bare(home)
            if isinstance(bucket, S3Blobs):
                try:
                    aborted += await self._abort(bucket, check)
                except LadingError as error:
                    log.warning("s3-parts-not-aborted", home=home, error=str(error))
        return aborted

    async def _abort(self, bucket: S3Blobs, check: Check) -> int:
        found = [each async for each in bucket.unfinished()]
        newest = {each.upload_id: each for each in sorted(found, key=lambda each: each.begun)}
        aborted = 0
        for each in found:
            await check()
            if each.begun > self._clock() - YOUNG_SECONDS:
                continue
            manifest = await self._manifests.keeping(each.upload_id)
            if not _wanted(manifest, bucket.name, last=each is newest[each.upload_id]):
                await bucket.abort(each)
                aborted += 1
        return aborted


def _wanted(manifest: Manifest | None, home: str, *, last: bool) -> bool:
    """Whether parts may still become an object; `last`: no later ones of this file exist."""
    match manifest:
        case Manifest(state=State.UPLOADING):
            return True  # a client sends them; when the upload dies, they die with it
        case Manifest(state=State.READY | State.TRASHED):
            return manifest.move_to == home and last
    return False
