"""Deleting a user with all they have: sign-in, grants, uploads, files, tags, and the account.

Each step can be repeated, and finds what an interrupted call left, so the same call resumes it.
The account goes last: until then the user is listed, and nothing that is charged is lost track of.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from lading.janitor.verify import recount
from lading.protocol.errors import Unavailable, UploadEnded
from lading.protocol.manifest import Manifest
from lading.server.access.principal import Principal
from lading.server.uploads.uploads import Uploads
from lading.storage.collections.manifests import ANY_FILE
from lading.storage.open import Storage

DELETED_AT_ONCE = 100
TRIES = 20
PAUSE_SECONDS = 0.25
"""How often, and after which pause, it is looked whether the last bytes of a user are gone."""


@dataclass(slots=True)
class Deleted:
    """How many of each were deleted, and whether there was an account to sign in to."""

    files: int = 0
    uploads: int = 0
    tags: int = 0
    grants: int = 0
    account: bool = False


class Users:
    """The users of the server, as an admin manages them."""

    def __init__(self, uploads: Uploads, storage: Storage) -> None:
        self._uploads = uploads
        self._storage = storage

    async def remove(self, user_id: str, actor: str | None = None) -> Deleted:
        """Delete a user's account, grants, uploads, files and tags; a second call finds nothing.

        Raises Unavailable while bytes are still being deleted; the same call then resumes. A user
        whose credential is still valid may upload again, and then has a new account. `actor` is
        the admin who does it.
        """
        manifests, done = self._storage.manifests, Deleted()
        # First, so that nobody signs in, and no bearer of a grant creates another upload meanwhile.
        done.account = await self._storage.users.remove(user_id)
        await self._storage.passkeys.remove_user(user_id)
        await self._storage.sessions.end_user(user_id)
        done.grants = await self._storage.grants.remove_user(user_id)
        owner = Principal(user_id, actor=actor)
        while found := await manifests.unfinished(user_id, None, DELETED_AT_ONCE):
            done.uploads += await self._delete(owner, found)
        while found := await manifests.ready(user_id, ANY_FILE, before=None, most=DELETED_AT_ONCE):
            done.files += await self._delete(owner, found)
        while found := await manifests.trashed(user_id, before=None, most=DELETED_AT_ONCE):
            done.files += await self._delete(owner, found)
        done.tags = await self._storage.tags.remove_user(user_id)
        await self._storage.idempotency.remove_user(user_id)
        await self._close_account(user_id)
        return done

    async def _delete(self, owner: Principal, found: list[Manifest]) -> int:
        deleted = 0
        for manifest in found:
            with suppress(UploadEnded):  # deleted or expired in the meantime
                await self._uploads.delete(owner, manifest.id)
                deleted += 1
        return deleted

    async def _close_account(self, user_id: str) -> None:
        storage = self._storage
        for _ in range(TRIES):
            if await storage.quotas.remove(user_id):
                return
            # A crash may have left a reservation without an upload.
            now = storage.clock()
            await recount(storage.manifests, storage.quotas, user_id, now=now, correct=True)
            if await storage.quotas.remove(user_id):
                return
            await asyncio.sleep(PAUSE_SECONDS)
        raise Unavailable(
            "The bytes of the user's last files are still being deleted; send the request again."
        )
