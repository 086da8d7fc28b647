"""One file on its way into its object: by one request, or in parts that are joined at the end.

A part is whole cells, at least 8 MiB, and so large that 10,000 of them hold the file. Up to 16 MiB
a part is in memory while it is sent, so it can be sent again. A larger one, of a file of more than
156 GiB, is passed on as it is read: when that fails, the whole transfer is begun again later.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from lading.protocol.digests import crc32c, crc32c_combine
from lading.protocol.errors import Internal, LadingError, Unavailable
from lading.protocol.manifest import Manifest, Piece
from lading.storage.blobs.base import Pieces
from lading.storage.blobs.retry import repeat
from lading.storage.blobs.s3_client import S3Client

SMALLEST_PART = 8 * 2**20
MOST_PARTS = 10_000

IN_MEMORY = 16 * 2**20
"""The largest part that is held in memory. The smallest parts of whole cells are not larger."""

PARTS_AT_ONCE = 4
"""Parts that all transfers of a driver together have in memory."""

ABORT_SECONDS = 5.0

Content = list[tuple[Piece, bytes]]
"""The pieces of a part that is in memory."""

WHOLE = "FULL_OBJECT"
"""The kind of a checksum that is of all bytes, and not of the checksums of the parts."""


def encoded(checksum: int) -> str:
    """A CRC-32C as S3 writes it."""
    return b64encode(checksum.to_bytes(4)).decode()


def part_size(size: int, chunk_size: int) -> int:
    """How many bytes of a file of `size` bytes each part has but the last."""
    least = max(SMALLEST_PART, -(-size // MOST_PARTS))
    return -(-least // chunk_size) * chunk_size


class Cursor:
    """The pieces of a file, read on and on. Raises Internal where they do not follow each other."""

    def __init__(self, pieces: Pieces, size: int) -> None:
        self._pieces = pieces
        self._size = size
        self.position = 0

    async def until(self, end: int) -> AsyncIterator[tuple[Piece, bytes]]:
        """The pieces from the position up to `end`, or to the file's end."""
        end = min(end, self._size)
        while self.position < end:
            try:
                piece, data = await anext(self._pieces)
            except StopAsyncIteration:
                raise Internal(f"The file ends at {self.position}, not at {end}.") from None
            if piece.slice_start != self.position:
                raise Internal(f"A piece is missing at {self.position}.")
            self.position = piece.end
            yield piece, data


@dataclass(frozen=True, slots=True)
class Sent:
    """A part that is stored. `proven`: the store computed the same checksum."""

    size: int
    crc32c: int
    tag: str
    proven: bool


class Transfer:
    """Sends one file.

    Afterwards `checksum` is its CRC-32C, None when it was not all read, and `proven` says whether
    the store computed the same for each part.

    `slots` are the parts that may be in memory. Without `extras` no checksum is sent, and an
    object that is there already is replaced: for a store that knows neither.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        manifest: Manifest,
        pieces: Pieces,
        *,
        slots: asyncio.Semaphore,
        pauses: Sequence[float],
        metadata: dict[str, str],
        extras: bool,
    ) -> None:
        assert manifest.size is not None
        self.proven = False
        self.checksum = manifest.crc32c
        self._client = client
        self._key = key
        self._manifest = manifest
        self._size = manifest.size
        self._cursor = Cursor(pieces, manifest.size)
        self._slots = slots
        self._pauses = pauses
        self._metadata = metadata
        self._extras = extras

    async def run(self) -> None:
        """Send it. Raises S3Error, Internal, and what the pieces raise."""
        step = part_size(self._size, self._manifest.chunk_size)
        sent = await (self._at_once() if self._size <= step else self._in_parts(step))
        self.proven = all(each.proven for each in sent)

    # -- by one request

    async def _at_once(self) -> list[Sent]:
        async with self._slots:
            content = [each async for each in self._cursor.until(self._size)]
            self._note(checksum_of(content))
            parameters: dict[str, Any] = {"Metadata": self._metadata}
            headers = {f"x-amz-meta-{name}": value for name, value in self._metadata.items()}
            if self._extras:
                parameters["IfNoneMatch"] = headers["If-None-Match"] = "*"
            return [await self._send("put_object", content, headers, **parameters)]

    # -- in parts

    async def _in_parts(self, step: int) -> list[Sent]:
        parameters: dict[str, Any] = {"Metadata": self._metadata}
        if self._extras:
            parameters |= {"ChecksumAlgorithm": "CRC32C", "ChecksumType": WHOLE}
        begun = await self._request("create_multipart_upload", **parameters)
        multipart_id: str = begun["UploadId"]
        try:
            sent = await self._parts(multipart_id, step)
            await self._join(multipart_id, sent)
        except BaseException:
            await self._abort(multipart_id)
            raise
        return sent

    async def _parts(self, multipart_id: str, step: int) -> list[Sent]:
        if step > IN_MEMORY:
            return [
                await self._passed_on(multipart_id, number, step)
                for number in range(1, -(-self._size // step) + 1)
            ]
        sent: dict[int, Sent] = {}
        reading = asyncio.Lock()

        async def work() -> None:
            while True:
                async with self._slots:
                    async with reading:
                        number = self._cursor.position // step + 1
                        content = [each async for each in self._cursor.until(number * step)]
                    if not content:
                        return
                    sent[number] = await self._send(
                        "upload_part", content, {}, UploadId=multipart_id, PartNumber=number
                    )

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(PARTS_AT_ONCE):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [sent[number] for number in sorted(sent)]

    async def _passed_on(self, multipart_id: str, number: int, step: int) -> Sent:
        """Send a part while it is read; its checksum is known only afterwards."""
        size, checksum = min(step, self._size - self._cursor.position), 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal checksum
            async for _, data in self._cursor.until(number * step):
                checksum = crc32c(data, checksum)
                yield data

        which = {"UploadId": multipart_id, "PartNumber": number}
        answer = await self._client.send("upload_part", body(), size, {}, Key=self._key, **which)
        return _sent(size, checksum, answer)

    async def _send(
        self,
        operation: str,
        content: Content,
        headers: dict[str, str],
        **parameters: Any,
    ) -> Sent:
        size = sum(piece.size for piece, _ in content)
        checksum = checksum_of(content)
        if self._extras:
            parameters["ChecksumCRC32C"] = headers["x-amz-checksum-crc32c"] = encoded(checksum)

        async def send() -> Sent:
            answer = await self._client.send(
                operation, _each(content), size, headers, Key=self._key, **parameters
            )
            return _sent(size, checksum, answer)

        return await repeat(send, self._pauses)

    async def _join(self, multipart_id: str, sent: list[Sent]) -> None:
        whole = 0
        for each in sent:
            whole = crc32c_combine(whole, each.crc32c, each.size)
        self._note(whole)
        parts = [{"PartNumber": number, "ETag": each.tag} for number, each in enumerate(sent, 1)]
        extras: dict[str, Any] = {}
        if self._extras:
            extras = {"IfNoneMatch": "*", "ChecksumCRC32C": encoded(whole), "ChecksumType": WHOLE}
            for part, each in zip(parts, sent, strict=True):
                part["ChecksumCRC32C"] = encoded(each.crc32c)
        joined = {"MultipartUpload": {"Parts": parts}, **extras}
        await self._request("complete_multipart_upload", UploadId=multipart_id, **joined)

    async def _abort(self, multipart_id: str) -> None:
        """Try to delete the parts; what is left of them the janitor finds."""
        with suppress(LadingError, TimeoutError):
            async with asyncio.timeout(ABORT_SECONDS):
                await self._client.call(
                    "abort_multipart_upload", Key=self._key, UploadId=multipart_id
                )

    async def _request(self, operation: str, **parameters: Any) -> dict[str, Any]:
        call = partial(self._client.call, operation, Key=self._key, **parameters)
        return await repeat(call, self._pauses)

    def _note(self, checksum: int) -> None:
        self.checksum = checksum
        if self._manifest.crc32c not in (None, checksum):
            raise Internal(f"The stored bytes of {self._manifest.id} are not those of the file.")


def checksum_of(content: Content) -> int:
    """The CRC-32C of pieces that follow each other."""
    checksum = 0
    for _, data in content:
        checksum = crc32c(data, checksum)
    return checksum


async def _each(content: Content) -> AsyncIterator[bytes]:
    for _, data in content:
        yield data


def _sent(size: int, checksum: int, answer: Mapping[str, str]) -> Sent:
    """What was sent, by the store's answer; Unavailable when the store has other bytes."""
    told = answer.get("x-amz-checksum-crc32c")
    if told not in (None, encoded(checksum)):
        raise Unavailable("The store computed another checksum; the part is to be sent again.")
    return Sent(size, checksum, answer["ETag"], proven=told is not None)
