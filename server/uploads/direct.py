"""Direct uploads: a client sends its bytes to the bucket where the file will live.

While it is under way the manifest says so by `move_to`, the bucket that the bytes are on their way
to; so its deletion reaches what clients sent there, and the same upload may also come here by any
other transport. FINISH looks at what there is: a file that is whole here is published here, and
moved later; else what is in the bucket is compared with what was announced, and the write that
publishes it says that it lives there.

Bytes that are not the announced ones are never published. The upload is deleted then, first in the
database and after that in the bucket, so that no other server can publish it in the meantime.
Source: page 9 of the design, "S3".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    Incomplete,
    LadingError,
    NotFound,
)
from lading.protocol.manifest import MISSING_SHOWN, Manifest, State
from lading.server.limits import UploadLimits
from lading.server.uploads.deletion import Deletion
from lading.server.uploads.open_uploads import OpenUploads
from lading.storage.blobs.s3_client import S3Error
from lading.storage.blobs.s3_direct import (
    LARGEST_OBJECT,
    LONGEST_SECONDS,
    Address,
    Part,
    S3Direct,
    direct_of,
    part_size,
)
from lading.storage.open import Storage

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is cut into parts: each has `size` bytes, the last one the rest."""

    size: int
    count: int

    def length(self, number: int, total: int) -> int:
        """The length of a part of a file of `total` bytes."""
        return min(self.size, total - (number - 1) * self.size)


@dataclass(frozen=True, slots=True)
class PartToSend:
    """A part of a file: where it begins, its length, and where it is sent.

    `stored` says that the bucket has it already.
    """

    number: int
    start: int
    size: int
    stored: bool
    address: Address


@dataclass(frozen=True, slots=True)
class PartsPage:
    """Some parts, the number of the one that follows, and until when the addresses are valid."""

    parts: Sequence[PartToSend]
    next: int | None
    valid_until: float


@dataclass(frozen=True, slots=True)
class DirectUploads:
    """What clients send to a bucket."""

    storage: Storage
    uploads: OpenUploads
    deletion: Deletion
    limits: UploadLimits

    # -- addresses

    async def address(self, manifest: Manifest) -> Address | None:
        """Where the whole file is sent by one PUT; None where it is sent otherwise.

        It is valid for as long as the upload lives.
        """
        direct = self._bucket(manifest)
        if direct is None or self.layout(manifest) is not None:
            return None
        try:
            return await direct.put_address(manifest, self._seconds(manifest))
        except S3Error as error:
            log.warning("address-not-signed", error=str(error))
            return None  # the bytes come here, and are moved when it answers again

    def layout(self, manifest: Manifest) -> Layout | None:
        """The parts of a file that is too large for one PUT; None for others."""
        size = manifest.size
        if self._bucket(manifest) is None or size is None or size <= self.limits.largest_put:
            return None
        length = part_size(size, self.limits.direct_part)
        return Layout(length, -(-size // length))

    async def parts(self, manifest: Manifest, first: int, most: int) -> PartsPage:
        """Up to `most` parts from number `first` on, with addresses that are valid from now on.

        Asking keeps the upload alive. Raises NotFound when the file is not sent in parts,
        AlreadyComplete, Gone, S3Error.
        """
        if manifest.state is State.READY:
            raise AlreadyComplete("The file is published already.")
        layout, direct = self.layout(manifest), self._bucket(manifest)
        if layout is None or direct is None:
            raise NotFound("The file is not sent in parts; send it whole to its address.")
        manifest = await self.uploads.touch_manifest(manifest, manifest.upload_size)
        manifest = await self._begun(manifest, direct)
        assert manifest.size is not None
        end = min(first + most, layout.count + 1)
        has = await self._has(manifest, direct, range(first, end), layout)
        told = []
        for number in range(first, end):
            size = layout.length(number, manifest.size)
            where = await direct.part_address(manifest, number, size, self._seconds(manifest))
            start = (number - 1) * layout.size
            told.append(PartToSend(number, start, size, has.get(number) == size, where))
        return PartsPage(told, end if end <= layout.count else None, self.valid_until(manifest))

    async def _has(
        self, manifest: Manifest, direct: S3Direct, numbers: range, layout: Layout
    ) -> dict[int, int]:
        """The lengths of the parts that the bucket has, of those with these numbers."""
        assert manifest.size is not None
        try:
            found = await direct.parts(manifest, numbers.start - 1, len(numbers))
        except S3Error as error:
            if error.s3_code != "NoSuchUpload":
                raise
            joined = await direct.look(manifest)
            if joined is None or joined.size != manifest.size:
                raise NotFound("The bucket deleted the parts; send the bytes here.") from error
            return {number: layout.length(number, manifest.size) for number in numbers}
        return {part.number: part.size for part in found}

    async def _begun(self, manifest: Manifest, direct: S3Direct) -> Manifest:
        """The manifest with the bucket's name for the upload in parts, which is begun once."""
        if manifest.multipart is not None:
            return manifest
        name = await direct.begin(manifest)
        begun = await self.storage.manifests.begin_parts(manifest.id, name)
        if begun is not None:
            return begun
        await direct.abort(manifest, name)
        return await self._begun(await self.uploads.after_end(manifest.id), direct)

    def _bucket(self, manifest: Manifest) -> S3Direct | None:
        if manifest.move_to is None or manifest.state is not State.UPLOADING:
            return None
        if manifest.size is None or manifest.sha256 is None or manifest.size > LARGEST_OBJECT:
            return None
        return direct_of(self.storage.blobs.get(manifest.move_to))

    def _seconds(self, manifest: Manifest) -> float:
        assert manifest.expires_at is not None
        return manifest.expires_at - self.storage.clock()

    def valid_until(self, manifest: Manifest) -> float:
        """When the addresses that are given now end, in Unix seconds."""
        assert manifest.expires_at is not None
        return min(manifest.expires_at, self.storage.clock() + LONGEST_SECONDS)

    # -- what arrived

    async def arrived(self, manifest: Manifest, size: int) -> Manifest | None:
        """The manifest of the file as the bucket has it; None where its bytes came here.

        `sha256` is set only where the store proves it. Nothing is published yet. Raises Incomplete
        with what is missing, ChecksumMismatch for another length, S3Error.
        """
        direct, bucket = self._bucket(manifest), manifest.move_to
        if direct is None or bucket is None or not (await self.uploads.coverage(manifest)).missing:
            return None
        if manifest.multipart is not None:
            await self._join(manifest, direct)
        found = await direct.look(manifest)
        if found is None:
            return None
        if found.size != size:
            await self.refuse(manifest)
            raise ChecksumMismatch(
                f"The bucket has {found.size} bytes, not {size}. They were deleted: announce the "
                "file again."
            )
        return replace(
            manifest,
            state=State.READY,
            blobs=bucket,
            move_to=None,
            multipart=None,
            etag=found.etag,
            sha256=found.sha256,
        )

    async def _join(self, manifest: Manifest, direct: S3Direct) -> None:
        """Join the parts, if they are all there; raises Incomplete when only some are."""
        assert manifest.size is not None
        layout = self.layout(manifest)
        assert layout is not None
        try:
            has = [part async for part in direct.every_part(manifest)]
            missing = _missing(layout, manifest.size, has)
            if not has:
                return
            if missing:
                raise Incomplete(
                    "The bucket lacks some parts; send them, then finalize again.",
                    missing=missing[:MISSING_SHOWN],
                )
            await direct.join(manifest, has)
        except S3Error as error:
            if error.s3_code != "NoSuchUpload":
                raise  # else they were joined a moment ago

    async def refuse(self, manifest: Manifest) -> None:
        """Delete an upload whose bytes are not the announced ones, unless it became a file."""
        await self.deletion.reject(manifest)

    async def clear(self, manifest: Manifest) -> None:
        """Delete what came here of a file that is published from the bucket."""
        try:
            if (await self.uploads.coverage(manifest)).upload_size:
                await self.storage.contents.delete(manifest)
        except LadingError as error:  # they go with the file
            log.warning("pieces-not-deleted", id=manifest.id, error=str(error))


def _missing(layout: Layout, size: int, has: Sequence[Part]) -> list[list[int]]:
    """The ranges of the parts that are not there, or have another length."""
    there = {part.number for part in has if part.size == layout.length(part.number, size)}
    missing: list[list[int]] = []
    for number in range(1, layout.count + 1):
        start = (number - 1) * layout.size
        if number in there:
            continue
        end = start + layout.length(number, size)
        if missing and missing[-1][1] == start:
            missing[-1][1] = end
        else:
            missing.append([start, end])
    return missing
