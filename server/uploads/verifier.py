"""The proofs of FINISH: no piece is missing, and the stored bytes have the declared digest.

Only some uploads are read back at the same time, each for a bounded turn.
Source: page 2 of the design.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import NamedTuple

from lading.protocol.digests import Sha256
from lading.protocol.errors import ChecksumMismatch
from lading.protocol.manifest import Manifest, Proof
from lading.server.limits import UploadLimits
from lading.server.uploads.media_type import HEAD_BYTES
from lading.server.uploads.reader import Reader
from lading.storage.contents import Contents

Progress = Callable[[int, int], None]
"""Called with the bytes verified so far and those to verify in all."""


class Proven(NamedTuple):
    """One caller stored each piece of `attempt` itself, from the first byte to the last: the write
    of each returned, so it is durable. Then the index need not be asked what is stored."""

    attempt: int
    size: int
    crc32c: int


class Verifier:
    """Proves uploads from what is stored of them."""

    def __init__(self, contents: Contents, reader: Reader, limits: UploadLimits) -> None:
        self._contents = contents
        self._reader = reader
        self._turn = limits.verification_turn
        self._turns = asyncio.Semaphore(limits.verified_at_once)

    async def prove(self, manifest: Manifest, size: int, proven: Proven | None = None) -> int:
        """Prove that every byte is stored; returns the CRC-32C of the file.

        Raises Incomplete, InvalidArgument.
        """
        if proven is not None and (proven.attempt, proven.size) == (manifest.attempt, size):
            return proven.crc32c
        proof = Proof(size)
        async for piece in self._contents.pieces(manifest):
            proof.add(piece)
        return proof.conclude()

    async def digest(
        self,
        manifest: Manifest,
        size: int,
        wanted: str | None,
        hashed: str | None,
        progress: Progress | None,
    ) -> str | None:
        """The SHA-256 of the stored bytes, where it is known or `wanted` asks for it.

        `hashed` is what the transport computed over all bytes that it stored; then nothing is read.
        Raises ChecksumMismatch when it is not `wanted`.
        """
        if hashed is None and wanted is not None:
            hashed = await self._hash(manifest, size, progress)
        if wanted is not None and hashed != wanted:
            raise ChecksumMismatch(
                f"The stored bytes have the SHA-256 {hashed}, not {wanted}. "
                "The file differs from what was sent: abort, and upload it again."
            )
        return hashed

    async def _hash(self, manifest: Manifest, size: int, progress: Progress | None) -> str:
        whole = Sha256()
        turn = max(1, self._turn // manifest.chunk_size) * manifest.chunk_size
        for start in range(0, size, turn):
            async with (
                self._turns,
                aclosing(self._reader.read(manifest, start, min(start + turn, size))) as blocks,
            ):
                async for data in blocks:
                    await asyncio.to_thread(whole.update, data)
                    if progress is not None:
                        progress(whole.size, size)
        return whole.hexdigest()

    async def head(self, manifest: Manifest, size: int) -> bytes:
        """The beginning of a file, by which its type is known."""
        async with self._turns:
            blocks = self._reader.read(manifest, 0, min(size, HEAD_BYTES))
            return b"".join([data async for data in blocks])
