"""RESUME: an upload that exists, and what is durable of it."""

from __future__ import annotations

from dataclasses import dataclass

from lading.protocol.errors import Forbidden
from lading.protocol.manifest import Coverage, Manifest, State
from lading.server.access.principal import Principal
from lading.server.uploads.open_uploads import OpenUpload, OpenUploads
from lading.storage.collections.outbox import CONCAT
from lading.storage.open import Storage


def is_joining(manifest: Manifest) -> bool:
    """Whether it is a final upload that is not a file yet: the server appends its parts."""
    return manifest.state is State.UPLOADING and CONCAT in manifest.todo


def check_open(manifest: Manifest) -> None:
    """Raise Forbidden where only the server itself may store bytes, which its parts pay for."""
    if is_joining(manifest):
        raise Forbidden("A final upload is made of its parts; nothing can be added to it.")


@dataclass(frozen=True, slots=True)
class Resumer:
    """Finds uploads that are under way."""

    storage: Storage
    uploads: OpenUploads

    async def resume(self, principal: Principal, upload_id: str) -> tuple[OpenUpload, Coverage]:
        """An upload of the principal's to resume, and what is durable of it.

        Raises NotFound, Gone, Forbidden. A finished upload is returned with nothing missing.
        """
        manifest = await self.uploads.get(principal, upload_id)
        check_open(manifest)
        if manifest.state is State.READY:
            assert manifest.size is not None
            upload = self.uploads.share(manifest, manifest.size)
            return upload, Coverage(manifest.size, manifest.size, [])
        stored = await self.uploads.coverage(manifest)
        # The index may show pieces that are not in the journal yet; the touch makes them durable.
        touched = await self.uploads.touch_manifest(manifest, stored.upload_size)
        return self.uploads.share(touched, stored.upload_size), stored

    async def join(self, principal: Principal, upload_id: str) -> OpenUpload:
        """An upload of the principal's to write one piece to.

        It is remembered for a while, since more pieces are likely to come, one in each request.
        """
        manifest = await self.uploads.get(principal, upload_id)
        check_open(manifest)
        upload = self.uploads.peek(manifest.id)
        if upload is None:
            stored = await self.uploads.coverage(manifest)
            upload = self.uploads.share(manifest, stored.upload_size)
        else:
            upload.know(manifest, manifest.upload_size)
        self.uploads.remember(upload)
        return upload

    async def unfinished(
        self, principal: Principal, fingerprint: str | None, most: int
    ) -> list[tuple[Manifest, Coverage]]:
        """The principal's uploads under way, the newest first, with what is stored of each."""
        grant = principal.grant
        if grant is not None and grant.is_nobodys:
            return []
        grant_id = None if grant is None else grant.id
        manifests = await self.storage.manifests.unfinished(
            principal.user_id, fingerprint, most, grant_id=grant_id
        )
        return [(manifest, await self.uploads.coverage(manifest)) for manifest in manifests]
