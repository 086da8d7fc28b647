"""CREATE: from a specification to an upload with a reservation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lading.protocol.allowed_types import assumed_type
from lading.protocol.errors import Forbidden, Incomplete, LadingError, QuotaExceeded, StorageFull
from lading.protocol.grants import Grant
from lading.protocol.kinds import Kind, Kinds
from lading.protocol.manifest import Manifest, State
from lading.protocol.media_types import is_named
from lading.protocol.spec import UploadSpec, choose_chunk_size
from lading.server.access.principal import Principal
from lading.server.uploads.open_uploads import OpenUpload, OpenUploads
from lading.server.uploads.quota import explain
from lading.storage.blobs.s3_direct import direct_of
from lading.storage.collections.manifest_documents import secret_id
from lading.storage.collections.manifests import new_id
from lading.storage.open import Storage


@dataclass(frozen=True, slots=True)
class Creator:
    """Creates uploads. `chunk_size` is the usual one, `largest_chunk` the most a client gets."""

    storage: Storage
    uploads: OpenUploads
    kinds: Kinds
    chunk_size: int
    largest_chunk: int
    upload_ttl: float

    async def create(
        self,
        principal: Principal,
        spec: UploadSpec,
        *,
        direct: bool = False,
        todo: tuple[str, ...] = (),
        paid: int = 0,
        revision: int | None = None,
    ) -> OpenUpload:
        """A new upload of the principal's; raises InvalidArgument, QuotaExceeded, Unavailable.

        One that replaces a file does so only at its `revision`, if that is given; raises NotFound,
        Gone, Incomplete where that file is not there.

        `todo` are the steps by which the server itself brings its bytes. `paid` of them are
        reserved already, by the uploads that it is made of. With `direct` the bytes may be sent to
        the bucket where the file will live, if it has one. With a kind also TooLarge and
        UnsupportedMediaType. With a grant also Forbidden, and one use of it is counted.
        """
        spec.check()
        self.storage.free_space.check()
        now, grant = self.storage.clock(), principal.grant
        if grant is not None and spec.public:
            raise Forbidden("Only the owner can make a file public, and not a grant.")
        principal, spec = await self._replacing(principal, spec)
        spec, kind = self._admit(spec, grant)
        manifest = Manifest(
            id=_id(grant, now),
            user_id=principal.user_id,
            name=spec.name,
            directory=spec.directory,
            size=spec.size,
            mime_type=_mime_type(spec, grant, kind),
            chunk_size=choose_chunk_size(spec.chunk_size, self.chunk_size, self.largest_chunk),
            sha256=spec.sha256,
            tags=spec.tags,
            fingerprint=spec.fingerprint,
            blobs=self.storage.blobs.ingest,
            move_to=self._bucket() if direct else None,
            grant_id=None if grant is None else grant.id,
            request_id=None if grant is None else grant.parent,
            sender=None if grant is None else grant.sender,
            max_size=largest_size(grant, kind),
            kind=spec.kind,
            modified_at=spec.modified_at,
            meta=spec.meta,
            concat=spec.concat,
            public=spec.public or (kind is not None and kind.public),
            todo=todo,
            replaces=spec.replaces,
            replaces_revision=revision,
            created_at=now,
            updated_at=now,
            expires_at=now + self.upload_ttl,
        )
        reserved = max(0, (spec.size or 0) - paid)
        if grant is not None:
            await self.storage.grants.use(grant, manifest.id, now, reserved)
        await self._create(manifest, reserved)
        return self.uploads.share(manifest, 0)

    async def _replacing(
        self, principal: Principal, spec: UploadSpec
    ) -> tuple[Principal, UploadSpec]:
        """The owner, and the upload with all that stays as it is, where it replaces a file."""
        if spec.replaces is None:
            return principal, spec
        if principal.grant is not None:
            raise Forbidden("Only the owner can replace a file, and not a grant.")
        file = await self.uploads.get(principal, spec.replaces)
        if file.state is not State.READY:
            raise Incomplete("An unfinished upload cannot be replaced; abort it instead.")
        kind = file.kind if self.kinds.get(file.kind) is not None else None
        stays = replace(
            spec, replaces=file.id, name=file.name, directory=file.directory, tags=(), kind=kind
        )
        return principal.acting_for(file.user_id), stays

    def _admit(self, spec: UploadSpec, grant: Grant | None) -> tuple[UploadSpec, Kind | None]:
        """The upload as its grant and its kind have it, and that kind."""
        if grant is not None:
            spec = grant.admit(spec)
        kind = self.kinds.find(spec.kind)
        if kind is None:
            return spec, None
        kind.check_size(spec.size)
        if spec.mime_type is not None and is_named(spec.mime_type):
            kind.check_type(spec.mime_type)
        # What one grant says is closer to the file than what holds for all files of a kind.
        if kind.directory is not None and (grant is None or grant.directory is None):
            spec = replace(spec, directory=kind.directory)
        return spec, kind

    def _bucket(self) -> str | None:
        homes = self.storage.blobs
        return None if direct_of(homes.get(homes.home)) is None else homes.home

    async def _create(self, manifest: Manifest, reserved: int) -> None:
        """Reserve, then insert. On failure a use of a grant that was counted is given back."""
        # Reserved first: a crash in between leaves a reservation, which the janitor releases,
        # and never an upload without a reservation.
        quotas = self.storage.quotas
        try:
            await quotas.reserve(manifest.user_id, manifest.id, reserved)
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
        if manifest.request_id is not None:
            await self.storage.grants.settle(manifest.request_id, manifest.id, 0)
        if manifest.grant_id is not None:
            counted = manifest.request_id or manifest.grant_id
            await self.storage.grants.give_back(counted, manifest.id)


def _id(grant: Grant | None, now: float) -> str:
    """An id. All who have the token of a request must not find the uploads of each other."""
    return new_id(now) if grant is None or grant.parent is None else secret_id(now)


def _mime_type(spec: UploadSpec, grant: Grant | None, kind: Kind | None) -> str:
    """The type that somebody named, else the one that is assumed until the first bytes decide."""
    if spec.mime_type is not None and is_named(spec.mime_type):
        return spec.mime_type
    lists = [bounds.mime_types for bounds in (grant, kind) if bounds is not None]
    return assumed_type(spec.name, *lists)


def largest_size(grant: Grant | None, kind: Kind | None) -> int | None:
    """The smaller of their limits in bytes; None where there is none."""
    limits = [None if grant is None else grant.limit, None if kind is None else kind.max_size]
    return min((limit for limit in limits if limit is not None), default=None)
