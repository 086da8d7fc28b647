"""APPEND: requests that continue an upload where nothing is missing up to there.

For transports whose clients know one number, the offset: all before it is durable, and the next
bytes go there. Only one request appends to an upload at a time. A newer one takes the turn: the
older one stores what it has, and ends. For a client comes back because its connection is dead, and
it must not wait until the server notices.

In this process the older request is awaited, so what the newer one is told is exact. One in another
process learns of it a moment later (`turn` of the manifest). Until then it may still store bytes,
which can only be those that belong there; the newer request may then find the offset further on.
Source: page 11 of the design; docs/decisions/0051.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lading.protocol.digests import Sha256, crc32c
from lading.protocol.errors import (
    ChunkConflict,
    LadingError,
    QuotaExceeded,
    RequestTimeout,
    TooLarge,
)
from lading.protocol.manifest import LONG_CHAIN, MAX_INTEGER, Manifest, State, cell_start
from lading.protocol.rufh import inconsistent
from lading.protocol.tus import Digest
from lading.server.access.principal import Principal
from lading.server.limits import UploadLimits
from lading.server.net.record import arrival
from lading.server.uploads.intake import Budget, Intake
from lading.server.uploads.open_uploads import OpenUpload
from lading.server.uploads.quota import explain
from lading.server.uploads.resume import check_open
from lading.server.uploads.spool import verified
from lading.server.uploads.turn import NEWER, Turn
from lading.server.uploads.uploads import Uploads
from lading.server.uploads.write import check_end, check_limit
from lading.storage.open import Storage

Progress = Callable[[int], None]
"""Called with the offset after each durable piece."""


@dataclass(slots=True)
class Append:
    """An upload and the turn to append to it. Before `offset` nothing is missing."""

    principal: Principal
    upload: OpenUpload
    offset: int
    turn: Turn
    whole: Sha256 | None = None
    """The SHA-256 of all bytes up to the offset, where this request has brought all of them."""

    @property
    def finished(self) -> bool:
        """Whether it is a file by now."""
        return self.upload.manifest.state is State.READY

    @property
    def full(self) -> bool:
        """Whether every byte is there."""
        return self.offset == self.upload.manifest.size

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the whole file, if this request has brought all of it."""
        if self.whole is None or self.whole.size != self.upload.manifest.size:
            return None
        return self.whole.hexdigest()


class Appends:
    """The requests of this process that append."""

    def __init__(
        self,
        uploads: Uploads,
        storage: Storage,
        limits: UploadLimits,
        upload_ttl: float,
    ) -> None:
        self._uploads = uploads
        self._storage = storage
        self._limits = limits
        self._ttl = upload_ttl
        self._turns: dict[str, list[Turn]] = {}
        self._somebody = asyncio.Event()

    # -- turns

    @asynccontextmanager
    async def take(
        self, principal: Principal, upload_id: str, *, final: bool = False
    ) -> AsyncIterator[Append]:
        """The turn to append to an upload of the principal's; the earlier request has ended.

        A finished file has no turns: its offset is its size. `final` is for the step that makes a
        final upload of its parts; to others it is Forbidden. Raises NotFound, Gone, and
        RequestTimeout when a newer request comes before this one could begin.
        """
        manifest = await self._uploads.get(principal, upload_id)
        if not final:
            check_open(manifest)
        mine = Turn(arrival())
        turns = self._turns.setdefault(upload_id, [])
        earlier = list(turns)
        if any(each.arrival > mine.arrival for each in earlier):
            raise RequestTimeout(NEWER)  # this one took longer to get here
        turns.append(mine)
        self._somebody.set()
        try:
            if earlier:
                await self._end(mine, earlier)
                manifest = await self._uploads.get(principal, upload_id)
            upload, offset = await self._begin(principal, manifest)
            mine.number = upload.manifest.turn
            yield Append(principal, upload, offset, mine, None if offset else Sha256())
        finally:
            turns.remove(mine)
            if not turns:
                self._turns.pop(upload_id, None)
            mine.over.set()

    async def _end(self, mine: Turn, earlier: list[Turn]) -> None:
        for each in earlier:
            each.end()
        try:
            async with asyncio.timeout(self._limits.turn_patience_seconds):
                for each in earlier:
                    await mine.wait_for(each.over.wait)
        except TimeoutError:
            for each in earlier:
                each.end(lost=True)

    async def _begin(self, principal: Principal, manifest: Manifest) -> tuple[OpenUpload, int]:
        """Begin the turn in the manifest, too: what is read before is durable afterwards."""
        while manifest.state is not State.READY:
            upload = self._uploads.opened.share(manifest, manifest.upload_size)
            offset = await self._run_end(upload, max(manifest.offset, upload.offset))
            now = self._storage.clock()
            taken = await self._storage.manifests.take_turn(
                manifest.id,
                now=now,
                expires_at=now + self._ttl,
                offset=offset,
                attempt=manifest.attempt,
            )
            if taken is not None:
                upload.know(taken, taken.upload_size)
                upload.touched_at = now
                upload.offset = offset
                return upload, offset
            manifest = await self._uploads.get(principal, manifest.id)
        assert manifest.size is not None
        return self._uploads.opened.share(manifest, manifest.size), manifest.size

    async def _run_end(self, upload: OpenUpload, start: int) -> int:
        """Where the stored bytes end that begin at `start` or before it."""
        manifest = upload.manifest
        most = MAX_INTEGER if manifest.size is None else manifest.size
        while True:
            end = min(most, await self._storage.contents.run_end(manifest, start, most))
            if end <= start:
                return start
            start = end

    async def watch(self) -> None:
        """End the requests whose turn was taken by one in another process."""
        while True:
            if not self._turns:
                self._somebody.clear()
            await self._somebody.wait()
            await asyncio.sleep(self._limits.turn_poll_seconds)
            with suppress(LadingError):  # whoever appends meets it, too, and reports it
                now = await self._storage.manifests.turns(list(self._turns))
                for upload_id, number in now.items():
                    for turn in self._turns.get(upload_id, ()):
                        if 0 < turn.number < number:
                            turn.end(lost=True)

    # -- what a turn is for

    async def declare(self, append: Append, size: int, *, paid: int = 0) -> None:
        """Note the size of the upload; it stays as it is. Other uploads have `paid` for some of it.

        Raises InvalidArgument for another one than before, or for one that is less than what is
        stored, and TooLarge, Forbidden, QuotaExceeded.
        """
        manifest = append.upload.manifest
        if manifest.size is not None:
            if manifest.size != size:
                raise inconsistent(f"The size is {manifest.size}, not {size}.")
            return
        if size < append.offset:
            raise inconsistent(f"{append.offset} bytes are stored, more than {size}.")
        if size > MAX_INTEGER:
            raise TooLarge(f"A file may have at most {MAX_INTEGER} bytes.", limit=MAX_INTEGER)
        check_limit(manifest, size)
        kind, grant = self._uploads.kinds.get(manifest.kind), append.principal.grant
        for bounds in (kind, grant):
            if bounds is not None:
                bounds.check_size(size)
        try:
            if manifest.request_id is not None:
                await self._storage.grants.grow(manifest.request_id, manifest.id, size - paid)
            await self._storage.quotas.grow(manifest.user_id, manifest.id, size - paid)
        except QuotaExceeded as error:
            raise await explain(self._storage, manifest, error) from error
        declared = await self._storage.manifests.declare(manifest.id, size, manifest.attempt)
        if declared is None:
            raise inconsistent(f"Bytes are stored beyond {size}, or another size was named.")
        append.upload.know(declared, declared.upload_size)

    def verified(
        self,
        append: Append,
        body: AsyncIterator[bytes],
        digest: Digest,
        wanted: Callable[[], bytes],
        *,
        folder: Path,
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        """The body, once all of it is in `folder` and its digest is right; see `spool.verified`.

        Also raises TooLarge at the first byte that the upload may not have. Where the size of the
        upload is not known, neither its size nor its quota bounds the body, so a limit does.
        """
        manifest, most = append.upload.manifest, self._limits.spooled_bytes

        def admit(arrived: int, part: int) -> None:
            check_end(manifest, append.offset + arrived)
            if manifest.size is None and arrived > most:
                raise TooLarge(
                    f"While the length of the upload is not known, a body with a checksum may have "
                    f"at most {most} bytes. State the length, or send less at once."
                )
            self._storage.free_space.check(part)

        return verified(append.turn.guard(body), digest, wanted, folder=folder, admit=admit)

    async def store(
        self,
        append: Append,
        body: AsyncIterator[bytes],
        budget: Budget,
        progress: Progress | None = None,
    ) -> None:
        """Store a body at the offset, which grows with each durable piece.

        Where nothing comes for a while, what came is stored, and others may use the memory.
        What came of a body that breaks off is stored before RequestTimeout is raised, unless
        another process has the turn by now. Raises what `Writer.write` raises, and TooLarge at the
        first byte beyond the size.
        """
        intake, turn = Intake(self._uploads, append.upload, budget), append.turn
        cell = append.upload.manifest.chunk_size
        async with intake.share(wait=turn.wait_for) as memory:
            guarded = turn.guard(body)
            pieces = intake.pieces(guarded, append.offset, keep_rest=True, idle=memory)
            async with aclosing(pieces):
                async for place, data in pieces:
                    if turn.lost:
                        raise RequestTimeout(NEWER)
                    await self._put(append, place, data)
                    if progress is not None:
                        progress(append.offset)
                    if len(data) < cell:
                        await self._tidy(append)
        if append.offset % cell == 0 and not append.full:
            # Another transport may have stored the next cells before.
            append.offset = await self._run_end(append.upload, append.offset)

    async def _put(self, append: Append, start: int, data: bytes) -> None:
        """Make bytes durable; where another writer was ahead, they must be the same."""
        upload = append.upload
        if append.whole is not None:
            append.whole.update(data)
        while data:
            size = len(data)
            try:
                await self._uploads.write(upload, start, data, crc32c(data), whole_cells=False)
            except ChunkConflict:
                size = await self._same(upload, start, data)
            start, data = start + size, data[size:]
        append.offset = upload.offset = start

    async def _same(self, upload: OpenUpload, start: int, data: bytes) -> int:
        """How much the piece there holds from `start` on; ChunkConflict when `data` differs."""
        manifest, contents = upload.manifest, self._storage.contents
        piece = await contents.before(manifest, start + 1)
        if piece is not None and piece.end > start:
            stored = (await contents.read(manifest, [piece]))[start - piece.slice_start :]
            if stored[: len(data)] == data[: len(stored)]:
                return len(stored)
        raise ChunkConflict("Other bytes are stored here already; abort the upload.")

    async def _tidy(self, append: Append) -> None:
        """Join the pieces of the last cell where small requests or a slow one left many."""
        manifest, end = append.upload.manifest, append.offset
        if manifest.state is not State.UPLOADING or append.turn.lost:
            return
        with suppress(LadingError):  # the next request tries again
            first = cell_start(end - 1, manifest.chunk_size)
            chain = await self._storage.contents.chain(manifest, first, end)
            if len(chain) >= LONG_CHAIN and chain[0].slice_start == first:
                await self._storage.contents.join(manifest, chain)
