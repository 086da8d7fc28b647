"""CREATE: from a specification to an upload with a reservation."""

from __future__ import annotations

from dataclasses import dataclass

from lading.protocol.errors import Forbidden, LadingError, QuotaExceeded, StorageFull
from lading.protocol.manifest import Manifest
from lading.protocol.media_types import assumed
from lading.protocol.spec import UploadSpec, choose_chunk_size
from lading.server.access.principal import Principal
from lading.server.uploads.open_uploads import OpenUpload, OpenUploads
from lading.server.uploads.quota import explain
from lading.storage.collections.manifests import new_id
from lading.storage.open import Storage


@dataclass(frozen=True, slots=True)
class Creator:
    """Creates uploads. `chunk_size` is the usual one, `largest_chunk` the most a client gets."""

    storage: Storage
    uploads: OpenUploads
    chunk_size: int
    largest_chunk: int
    upload_ttl: float

    async def create(self, principal: Principal, spec: UploadSpec) -> OpenUpload:
        """A new upload of the principal's; raises InvalidArgument, QuotaExceeded, Unavailable.

        With a grant also Forbidden, TooLarge, UnsupportedMediaType, and one use of it is counted.
        """
        spec.check()
        self.storage.free_space.check()
        now, grant = self.storage.clock(), principal.grant
        if grant is not None and spec.public:
            raise Forbidden("Only the owner can make a file public, and not a grant.")
        if grant is None:
            mime_type = assumed(spec.mime_type, spec.name)
        else:
            spec = grant.admit(spec)
            mime_type = spec.mime_type or assumed(None, spec.name)
        manifest = Manifest(
            id=new_id(now),
            user_id=principal.user_id,
            name=spec.name,
            directory=spec.directory,
            size=spec.size,
            mime_type=mime_type,
            chunk_size=choose_chunk_size(spec.chunk_size, self.chunk_size, self.largest_chunk),
            sha256=spec.sha256,
            tags=spec.tags,
            fingerprint=spec.fingerprint,
            blobs=self.storage.blobs.ingest,
            public=spec.public,
            grant_id=None if grant is None else grant.id,
            max_size=None if grant is None else grant.limit,
            created_at=now,
            updated_at=now,
            expires_at=now + self.upload_ttl,
        )
        if grant is not None:
            await self.storage.grants.use(grant, manifest.id, now)
        await self._create(manifest)
        return self.uploads.share(manifest, 0)

    async def _create(self, manifest: Manifest) -> None:
        """Reserve, then insert. On failure a use of a grant that was counted is given back."""
        # Reserved first: a crash in between leaves a reservation, which the janitor releases,
        # and never an upload without a reservation.
        quotas = self.storage.quotas
        try:
            await quotas.reserve(manifest.user_id, manifest.id, manifest.size or 0)
        except LadingError as error:
            await self.give_back(manifest)
            if isinstance(error, QuotaExceeded):
                raise await explain(self.storage, manifest, error) from error
            raise
        try:
            await self.storage.manifests.create(manifest)
        except StorageFull:
            # Certainly not stored. After any other failure the manifest may exist, or may appear
            # later: then the reservation stays, and the janitor releases it if there is no upload.
            # A use of a grant stays counted: there must not be more uploads than uses.
            await quotas.release(manifest.user_id, manifest.id)
            await self.give_back(manifest)
            raise

    async def give_back(self, manifest: Manifest) -> None:
        """Give the upload's use of its grant back, if it has one."""
        if manifest.grant_id is not None:
            await self.storage.grants.give_back(manifest.grant_id, manifest.id)
