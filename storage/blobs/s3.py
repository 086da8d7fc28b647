"""Bytes in a bucket: each finished file is one object, `<prefix>/<last 2 of its id>/<id>/0`.

Its pictures are objects beside it, with names such as `3` and `3-square` in the place of `0`.

A file arrives in MongoDB and is moved here when it is finished (`take`); nothing is written here
piece by piece. A large file is sent in parts of whole cells, several at a time. Each part carries
its CRC-32C, and the object that of the whole file, so a store that knows these proves itself what
it holds. What a store does not prove is read back and compared.

An object is never there in part: S3 shows it when all of its parts are joined. It carries the
CRC-32C of its file, so a repeated `take` sees that it is done. Parts that nobody will join are
aborted by the janitor (`unfinished`, `abort`).

The pieces stay listed in MongoDB. Some that follow each other are read by one request for their
range; each is verified as in every home. Source: page 9 of the design, "S3".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from lading.protocol.digests import crc32c
from lading.protocol.errors import Internal, Unavailable
from lading.protocol.manifest import MAX_INTEGER, Manifest, Piece
from lading.storage.blobs.base import (
    LARGEST_PICTURE,
    ORIGINAL,
    Check,
    Pieces,
    Traits,
    moved,
    verify,
)
from lading.storage.blobs.retry import PAUSES, repeat
from lading.storage.blobs.s3_client import S3Client, S3Error, S3Options
from lading.storage.blobs.s3_direct import S3Direct
from lading.storage.blobs.s3_transfer import PARTS_AT_ONCE, WHOLE, Transfer, encoded
from lading.storage.collections.chunks import Chunks

log = structlog.get_logger()

SPAN = MAX_INTEGER + 1
"""How far the places of two attempts are apart, see `contents.py`."""

READ_BACK = 8 * 2**20
"""Bytes that are read at once from a store that proves nothing itself."""

CHECKSUM = "lading-crc32c"
"""The metadata of an object with the CRC-32C of its file, as eight hexadecimal digits."""

ANOTHER = ("PreconditionFailed", "NoSuchUpload")
"""What S3 answers when the object is there already, and when its parts were joined or aborted."""

_KEY = re.compile(r"(?P<end>[0-9a-f]{2})/(?P<id>[0-9a-f]{22}(?P=end))/\d+(-[a-z]+)?")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Parts of an object that is not joined yet. `begun` is in Unix seconds."""

    upload_id: str
    key: str
    multipart_id: str
    begun: float


class S3Blobs:
    """The home in a bucket. `client` is for what others ask of the bucket itself."""

    traits = Traits(
        durable=True, ranges_while_uploading=False, presigns=True, largest_block=2 * 2**20
    )

    def __init__(
        self,
        address: str,
        chunks: Chunks,
        options: S3Options,
        *,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """`address` is `s3://bucket/prefix`; `pauses` are those between the tries of a part."""
        self.name = address
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self.client = S3Client(bucket, options)
        self.direct = S3Direct(self.client, self.key)
        self._prefix = f"{prefix}/" if prefix else ""
        self._chunks = chunks
        self._pauses = pauses
        self._slots = asyncio.Semaphore(PARTS_AT_ONCE)
        self._extras = True
        """The store takes checksums and conditions. Cleared when it says that it does not."""

    def key(self, upload_id: str, name: str = ORIGINAL) -> str:
        """The key of the object of a file, or of its picture."""
        return f"{self._prefix}{upload_id[-2:]}/{upload_id}/{name}"

    async def close(self) -> None:
        await self.client.close()

    async def check(self) -> None:
        """Raise S3Error unless the bucket answers and may be listed."""
        await self.client.call("list_objects_v2", Prefix=self._prefix, MaxKeys=1)
        await self.client.call("list_multipart_uploads", Prefix=self._prefix, MaxUploads=1)

    # -- reading

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        place = pieces[0].slice_start
        start, size = place % SPAN, pieces[-1].end - place
        try:
            data = await self.client.read(self.key(upload_id), start, start + size)
        except S3Error as error:
            if error.absent:
                raise moved(upload_id, place) from error
            if error.s3_code != "InvalidRange":
                raise
            data = b""
        verify(upload_id, pieces, data)
        return data

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        await self._request(
            "put_object", Key=self.key(upload_id, name), Body=data, ContentType="image/webp"
        )

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        try:
            return await self.client.read(self.key(upload_id, name), 0, LARGEST_PICTURE)
        except S3Error as error:
            if error.absent:
                return None
            raise

    async def presigned_get(
        self,
        manifest: Manifest,
        seconds: int,
        content_type: str,
        disposition: str,
        name: str = ORIGINAL,
    ) -> str:
        """An address at which anyone may fetch a file or its picture for so many seconds.

        It is answered with these headers. No request is made. Raises S3Error.
        """
        return await self.client.presign(
            "get_object",
            seconds,
            Key=self.key(manifest.id, name),
            ResponseContentType=content_type,
            ResponseContentDisposition=disposition,
        )

    async def uploads(self) -> AsyncIterator[str]:
        async for page in self._pages("list_objects_v2", self._prefix, "ContinuationToken"):
            for each in page.get("Contents", ()):
                upload_id = self._id_of(each["Key"])
                if upload_id is not None and each["Key"] == self.key(upload_id):
                    yield upload_id

    async def pictured(self) -> AsyncIterator[str]:
        async for page in self._pages("list_objects_v2", self._prefix, "ContinuationToken"):
            for each in page.get("Contents", ()):
                upload_id = self._id_of(each["Key"])
                if upload_id is not None and each["Key"] != self.key(upload_id):
                    yield upload_id

    async def _pages(
        self, operation: str, prefix: str, *markers: str
    ) -> AsyncIterator[dict[str, Any]]:
        """The answers of a list; each but the first begins at the `Next…` of the one before.

        SeaweedFS names only some of the markers, and wants no others back.
        """
        where: dict[str, Any] = {"Prefix": prefix}
        while True:
            page = await self._request(operation, **where)
            yield page
            following = {each: page[f"Next{each}"] for each in markers if page.get(f"Next{each}")}
            if not page.get("IsTruncated") or not following:
                return
            where |= following

    def _id_of(self, key: str) -> str | None:
        """The id of the file whose object has a key; None for what is not Lading's."""
        found = _KEY.fullmatch(key.removeprefix(self._prefix))
        return found["id"] if found else None

    # -- deleting

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        deleted = await self._chunks.delete(manifest.id, most, before)
        if before is None and deleted < most:
            await self._delete(manifest.id)
        return deleted

    async def drop(self, manifest: Manifest, check: Check) -> None:  # noqa: ARG002 - it is short
        await self._delete(manifest.id)

    async def _delete(self, upload_id: str) -> None:
        """Delete the objects, if there are any: a bucket that was never made has none.

        Such a bucket was named by mistake, and its files stayed where they were. If only the
        endpoint is wrong, the tombstone's second deletion finds the objects of a deleted file;
        those of a file which moved on are orphans that the audit names. Parts are deleted first:
        joined later, they would be an object again.
        """
        key = self.key(upload_id)
        try:
            async for each in self._unfinished(key):
                await self.abort(each)
        except S3Error as error:
            if error.s3_code == "NoSuchBucket":
                log.warning("s3-nothing-to-delete", error=str(error))
                return
            if error.s3_code not in ("AccessDenied", "NotImplemented"):
                raise
            log.warning("s3-parts-not-listed", error=str(error))
        await self.client.call("delete_object", Key=key)
        async for page in self._pages("list_objects_v2", key[:-1], "ContinuationToken"):
            for each in page.get("Contents", ()):
                await self.client.call("delete_object", Key=each["Key"])

    # -- parts that wait to be joined

    def unfinished(self) -> AsyncIterator[Unfinished]:
        """All parts here that are not joined yet. Raises S3Error."""
        return self._unfinished(self._prefix)

    async def _unfinished(self, prefix: str) -> AsyncIterator[Unfinished]:
        markers = ("KeyMarker", "UploadIdMarker")
        async for page in self._pages("list_multipart_uploads", prefix, *markers):
            for each in page.get("Uploads", ()):
                upload_id = self._id_of(each["Key"])
                if upload_id is not None:
                    begun: datetime = each["Initiated"]
                    yield Unfinished(upload_id, each["Key"], each["UploadId"], begun.timestamp())

    async def abort(self, parts: Unfinished) -> None:
        """Delete parts; when they are gone already that is no failure. Raises S3Error."""
        try:
            await self.client.call(
                "abort_multipart_upload", Key=parts.key, UploadId=parts.multipart_id
            )
        except S3Error as error:
            if error.s3_code != "NoSuchUpload":
                raise

    # -- taking

    async def place(self, manifest: Manifest) -> None:
        """Nothing to do: an object has one place."""

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        found = await self._found(manifest)
        if found:
            return
        if found is False:
            await self._request("delete_object", Key=self.key(manifest.id))
        transfer = Transfer(
            self.client,
            self.key(manifest.id),
            manifest,
            pieces,
            slots=self._slots,
            pauses=self._pauses,
            metadata=_metadata(manifest),
            extras=self._extras,
        )
        try:
            await transfer.run()
        except S3Error as error:
            if error.s3_code == "NotImplemented":
                self._extras = False
            # Another taker was faster, or an answer was lost: then the object is there.
            if error.s3_code not in ANOTHER or not await self._found(manifest):
                raise
        else:
            if not await self._found(manifest):
                raise Unavailable(f"The object of {manifest.id} is not there as it was sent.")
        if not transfer.proven:
            await self._read_back(manifest, transfer.checksum)

    async def _found(self, manifest: Manifest) -> bool | None:
        """Whether the object of a file is there and is of it; None when there is none."""
        answer = await repeat(partial(self._head, self.key(manifest.id)), self._pauses)
        if answer is None:
            return None
        proof = answer.get("ChecksumCRC32C") if answer.get("ChecksumType") == WHOLE else None
        return bool(
            answer["ContentLength"] == manifest.size
            and answer.get("Metadata", {}) == _metadata(manifest)
            and proof in (None, _checksum(manifest))
        )

    async def _head(self, key: str) -> dict[str, Any] | None:
        """What S3 says of an object; None when there is none, which no further try changes."""
        try:
            return await self.client.call("head_object", Key=key, ChecksumMode="ENABLED")
        except S3Error as error:
            # Who may not list is not told what is absent: then writing says what is not allowed.
            if error.absent or error.status == 403:
                return None
            raise

    async def _read_back(self, manifest: Manifest, expected: int | None) -> None:
        """Compare an object whose store proves nothing; raises Internal, and removes it then."""
        assert manifest.size is not None
        key, checksum = self.key(manifest.id), 0
        for start in range(0, manifest.size, READ_BACK):
            end = min(start + READ_BACK, manifest.size)
            data = await repeat(partial(self.client.read, key, start, end), self._pauses)
            checksum = crc32c(data, checksum)
        if checksum != expected:
            await self._request("delete_object", Key=key)
            raise Internal(f"The store of the files did not keep {manifest.id} as it was sent.")

    async def _request(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return await repeat(partial(self.client.call, operation, **parameters), self._pauses)


def _checksum(manifest: Manifest) -> str | None:
    return None if manifest.crc32c is None else encoded(manifest.crc32c)


def _metadata(manifest: Manifest) -> dict[str, str]:
    return {} if manifest.crc32c is None else {CHECKSUM: f"{manifest.crc32c:08x}"}
