"""Direct uploads: clients send a file to the bucket itself, and its bytes never pass a server.

A file of up to `largest_put` bytes is one PUT, whose length, type and SHA-256 are signed: S3
refuses any other. A larger one is sent in parts of equal length, each to an address of its own,
which S3 joins when all are there. The key is that of every file, so a direct file is deleted and
moved like all others. But no piece of it is listed, and a read asks for the object with exactly the
entity tag that was published. Source: page 9 of the design, "S3".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lading.protocol.errors import Internal
from lading.protocol.manifest import Manifest
from lading.storage.blobs.base import Blobs, moved
from lading.storage.blobs.s3_client import S3Client, S3Error

MOST_PARTS = 10_000
"""S3 joins no more of them."""

LARGEST_OBJECT = 5 * 2**40

LONGEST_SECONDS = 7 * 24 * 3600
"""No presigned address of S3 is valid for longer."""

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client sends bytes by PUT, and the headers that it must send, which are signed."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the bucket has. They are numbered from 1."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Found:
    """The object of a file. `sha256` is None where the store does not prove it."""

    size: int
    etag: str
    sha256: str | None


def part_size(size: int, usual: int) -> int:
    """The length of the parts of a file of `size` bytes: `usual`, or what makes them few enough."""
    least = -(-size // MOST_PARTS)
    return max(usual, -(-least // MIB) * MIB)


class S3Direct:
    """What a client may do at one bucket, and what it did. `key` names the object of an upload."""

    def __init__(self, client: S3Client, key: Callable[[str], str]) -> None:
        self._client = client
        self._key = key

    # -- addresses

    async def put_address(self, manifest: Manifest, seconds: float) -> Address:
        """Where the whole file is sent. No request is made. Raises S3Error."""
        assert manifest.sha256 is not None
        digest = base64.b64encode(bytes.fromhex(manifest.sha256)).decode()
        url = await self._client.presign(
            "put_object",
            _valid(seconds),
            Key=self._key(manifest.id),
            ContentLength=manifest.size,
            ContentType=manifest.mime_type,
            ChecksumSHA256=digest,
        )
        return Address(url, {"Content-Type": manifest.mime_type, "x-amz-checksum-sha256": digest})

    async def part_address(
        self, manifest: Manifest, number: int, size: int, seconds: float
    ) -> Address:
        """Where one part of `size` bytes is sent. No request is made. Raises S3Error."""
        url = await self._client.presign(
            "upload_part",
            _valid(seconds),
            Key=self._key(manifest.id),
            UploadId=manifest.multipart,
            PartNumber=number,
            ContentLength=size,
        )
        return Address(url, {})

    # -- parts

    async def begin(self, manifest: Manifest) -> str:
        """Begin an upload in parts; returns the bucket's name for it. Raises S3Error."""
        answer = await self._client.call(
            "create_multipart_upload", Key=self._key(manifest.id), ContentType=manifest.mime_type
        )
        return str(answer["UploadId"])

    async def abort(self, manifest: Manifest, multipart: str) -> None:
        """Delete an upload in parts that nobody knows. Raises S3Error."""
        await self._client.call(
            "abort_multipart_upload", Key=self._key(manifest.id), UploadId=multipart
        )

    async def parts(self, manifest: Manifest, after: int = 0, most: int = 1000) -> list[Part]:
        """Up to `most` parts that the bucket has, those with numbers greater than `after`.

        Raises S3Error, with the code NoSuchUpload when they were joined or deleted.
        """
        answer = await self._client.call(
            "list_parts",
            Key=self._key(manifest.id),
            UploadId=manifest.multipart,
            PartNumberMarker=after,
            MaxParts=most,
        )
        return [_part(each) for each in answer.get("Parts", ())]

    async def every_part(self, manifest: Manifest) -> AsyncIterator[Part]:
        """All parts that the bucket has, by number. Raises as `parts`."""
        last = 0
        while page := await self.parts(manifest, last):
            for part in page:
                yield part
            last = page[-1].number

    async def join(self, manifest: Manifest, parts: Sequence[Part]) -> None:
        """Make the object of all its parts. Raises S3Error, as `parts`."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        await self._client.call(
            "complete_multipart_upload",
            Key=self._key(manifest.id),
            UploadId=manifest.multipart,
            MultipartUpload={"Parts": listed},
        )

    # -- the object

    async def look(self, manifest: Manifest) -> Found | None:
        """What the bucket has of the file; None while there is nothing. Raises S3Error."""
        try:
            answer = await self._client.call(
                "head_object", Key=self._key(manifest.id), ChecksumMode="ENABLED"
            )
        except S3Error as error:
            if error.absent:
                return None
            raise
        return Found(answer["ContentLength"], answer["ETag"], _sha256(answer))

    async def read(self, manifest: Manifest, start: int, end: int) -> bytes:
        """The bytes `[start, end)` of a file.

        Raises Moved when there is no object, Internal when it is not the one that was published,
        S3Error.
        """
        try:
            data = await self._client.read(
                self._key(manifest.id), start, end, IfMatch=manifest.etag
            )
        except S3Error as error:
            if error.absent:
                raise moved(manifest.id, start) from error
            if error.s3_code not in ("PreconditionFailed", "412", "InvalidRange"):
                raise
            data = b""
        if len(data) != end - start:
            raise Internal(
                f"The object of {manifest.id} in the bucket is not the one that was published.",
                upload_id=manifest.id,
                slice_start=start,
            )
        return data


def direct_of(driver: Blobs | None) -> S3Direct | None:
    """What a driver offers for direct uploads, bare or wrapped; None where it has nothing."""
    found: S3Direct | None = getattr(driver, "direct", None)
    return found


def _valid(seconds: float) -> int:
    return max(1, min(int(seconds), LONGEST_SECONDS))


def _part(listed: Mapping[str, Any]) -> Part:
    return Part(listed["PartNumber"], listed["Size"], listed["ETag"])


def _sha256(answer: Mapping[str, Any]) -> str | None:
    """The SHA-256 of a whole object; that of one made of parts is made of theirs, and no proof."""
    try:
        digest = base64.b64decode(answer.get("ChecksumSHA256", ""), validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None
