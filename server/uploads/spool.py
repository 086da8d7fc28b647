"""A body whose checksum must be right before any of it is stored.

A client that sends a checksum wants wrong bytes discarded, but what is stored is durable, seen by
readers, and kept after a crash. So such a body waits in memory, or where it is large in a file that
has no name and ends with the process. That disk may be the database's, so each part of the body is
admitted before it is written, as if it were stored.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from lading.protocol.errors import ChecksumMismatch, StorageFull
from lading.protocol.tus import Digest

IN_MEMORY = 16 * 1024
"""Bytes of a body that wait in memory. No budget counts them, and there may be many bodies."""

READ_AT_ONCE = 256 * 1024


Admit = Callable[[int, int], None]
"""Raises where a body of so many bytes, of which the last so many just came, has no room."""


class Whole:
    """A body of which all has arrived, in a file."""

    def __init__(self, file: IO[bytes], admit: Admit) -> None:
        self._file = file
        self._admit = admit
        self._size = 0

    async def take(self, body: AsyncIterator[bytes], digest: Digest) -> None:
        """Read the whole body; raises StorageFull, and what `admit` raises."""
        async for part in body:
            self._size += len(part)
            self._admit(self._size, len(part))
            await asyncio.to_thread(self._add, part, digest)

    def _add(self, part: bytes, digest: Digest) -> None:
        digest.update(part)
        try:
            self._file.write(part)
        except OSError as error:
            raise StorageFull("There is no room to check the body; send less at once.") from error

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Its bytes."""
        self._file.seek(0)
        while part := await asyncio.to_thread(self._file.read, READ_AT_ONCE):
            yield part


@asynccontextmanager
async def verified(
    body: AsyncIterator[bytes],
    digest: Digest,
    wanted: Callable[[], bytes],
    *,
    folder: Path,
    admit: Admit,
) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """The body, once all of it has arrived and its digest is the one that was wanted.

    `wanted` is called after the last byte, since a trailer may tell it. Raises ChecksumMismatch,
    StorageFull, and what `admit` and `body` raise.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder)) as file:
        whole = Whole(file, admit)
        await whole.take(body, digest)
        if wanted() != digest.digest():
            raise ChecksumMismatch("The bytes were damaged on their way; send them again.")
        yield whole.read()
