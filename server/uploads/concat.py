"""CONCATENATE: one file of several uploads, which arrived side by side (tus 1.0, Concatenation).

The final upload is a step of the outbox: it is copied together from its parts, in order, from where
it stands, so a crash repeats nothing that is durable. While a part is still arriving it waits. Its
parts are deleted when it is published. What they have reserved it does not reserve again, but only
what it is larger than they are, where it names one of them several times. Nobody else adds to it.

Who did not hear the answer asks again, perhaps when the parts are gone. So the first part, and what
is kept of it after its deletion, names the final upload that it belongs to; who asks for one of the
same parts gets that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import structlog

from lading.protocol.errors import (
    ChecksumMismatch,
    ChunkConflict,
    InvalidArgument,
    QuotaExceeded,
    TooLarge,
    UnsupportedMediaType,
    UploadEnded,
)
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import UploadSpec, check_id
from lading.protocol.tus import FINAL, PARTIAL
from lading.server.access.principal import Principal
from lading.server.limits import UploadLimits
from lading.server.uploads.append import Append, Appends
from lading.server.uploads.approval import Undecided
from lading.server.uploads.todo import NotYet
from lading.server.uploads.uploads import Uploads
from lading.storage.blobs.base import Check
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.outbox import CONCAT

log = structlog.get_logger()

_FOR_GOOD = (
    UploadEnded,
    InvalidArgument,
    TooLarge,
    QuotaExceeded,
    UnsupportedMediaType,
    ChecksumMismatch,
    ChunkConflict,
)
"""Why a final upload cannot be made of its parts: to try again would change nothing, and who asks
for it would never hear of it."""


def part_id(address: str) -> str:
    """The id of an upload from its address, absolute or relative."""
    try:
        return check_id(urlsplit(address).path.rstrip("/").rpartition("/")[2])
    except (ValueError, InvalidArgument) as error:
        raise InvalidArgument("Upload-Concat names something that is no upload here.") from error


def _parts_of(final: Manifest) -> list[str]:
    """The ids of the parts of a final upload."""
    return [part_id(each) for each in (final.concat or "").removeprefix(FINAL).split(" ")]


def _reserved(parts: Iterable[Manifest]) -> int:
    """What the parts have reserved, each of which is given once, however often it is named."""
    return sum(part.size or 0 for part in parts)


class _OneAtATime:
    """The memory of concatenations: a process carries out one after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def acquire(self, _size: int, _owner: str, /) -> _OneAtATime:
        await self._lock.acquire()
        return self

    def release(self) -> None:
        self._lock.release()


class Concatenation:
    """Makes final uploads of their parts."""

    def __init__(
        self, uploads: Uploads, manifests: Manifests, appends: Appends, limits: UploadLimits
    ) -> None:
        self._uploads = uploads
        self._manifests = manifests
        self._appends = appends
        self._limits = limits
        self._memory = _OneAtATime()

    async def create(self, principal: Principal, spec: UploadSpec, parts: list[str]) -> Manifest:
        """A final upload of parts, finished on return if that takes a moment only.

        It is the one that was made of them before, if there is one.
        Raises InvalidArgument for an upload that is no part and for a file that is refused, and for
        parts that are gone NotFound, Gone; and what `Creator.create` raises.
        """
        final = await self._earlier(principal, parts)
        if final is not None and final.state is State.READY:
            return final
        found = {each: await self._part(principal, each) for each in dict.fromkeys(parts)}
        sizes = [found[each].size for each in parts]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        paid = _reserved(found.values())
        final = final or await self._create(principal, replace(spec, size=total), paid)
        if total is None:
            return final
        for part in found.values():
            if not await self._is_whole(part):
                return final
        try:
            return await self._uploads.growing.until_stored(
                final, total, self._limits.concat_wait_seconds
            )
        except UploadEnded as error:
            raise InvalidArgument(
                "No file was made of the parts: its type, its size or the quota does not allow it, "
                "or somebody deleted it. Parts that were not deleted are still here."
            ) from error

    async def _create(self, principal: Principal, spec: UploadSpec, paid: int) -> Manifest:
        made = (await self._uploads.create(principal, spec, todo=(CONCAT,), paid=paid)).manifest
        final = await self._claim(made)
        if final.id != made.id:
            await self._uploads.abort(principal, made.id, unfinished_only=True)
        self._uploads.todo.wake()
        return final

    async def _earlier(self, principal: Principal, parts: list[str]) -> Manifest | None:
        """The living final upload of the same parts that the first of them belongs to."""
        first = await self._manifests.get(parts[0])
        if first is None or first.joined_into is None:
            return None
        try:
            final = await self._uploads.get(principal, first.joined_into)
        except UploadEnded:
            return None
        return final if _parts_of(final) == parts else None

    async def _claim(self, final: Manifest) -> Manifest:
        """Let the first part belong to a final upload; returns the one of the same parts that has.

        A part may be in other files, too: then it belongs to the first of them.
        """
        owner, parts = Principal(final.user_id), _parts_of(final)
        while True:
            earlier = await self._earlier(owner, parts)
            if earlier is not None:
                return earlier
            first = await self._manifests.get(parts[0])
            if first is None or first.state is not State.UPLOADING:
                return final
            if await self._is_living(owner, first.joined_into):
                return final
            await self._manifests.join_into(first, final.id)

    async def _is_living(self, owner: Principal, upload_id: str | None) -> bool:
        if upload_id is None:
            return False
        try:
            await self._uploads.get(owner, upload_id)
        except UploadEnded:
            return False
        return True

    async def _is_whole(self, part: Manifest) -> bool:
        return part.size is not None and not (await self._uploads.coverage(part)).missing

    async def _part(self, principal: Principal, upload_id: str) -> Manifest:
        part = await self._uploads.get(principal, upload_id)
        if part.concat != PARTIAL:
            raise InvalidArgument(f"{upload_id} was not created with Upload-Concat: {PARTIAL}.")
        return part

    async def step(self, final: Manifest, check: Check) -> None:
        """Copy the parts together, publish the file, delete them; NotYet while one is arriving.

        A final upload is deleted whose parts are gone, or belong to another one of the same parts,
        or that is refused: its parts stay.
        The step outlives the publication, so parts that a crash left are deleted, too.
        """
        owner = Principal(final.user_id)
        try:
            made = final.state is not State.UPLOADING or await self._make(owner, final, check)
        except Undecided:
            return  # the step is noted again by the publication
        if not made:
            await self._uploads.abort(owner, final.id, unfinished_only=True)
            return
        for each in dict.fromkeys(_parts_of(final)):
            await check()
            with suppress(UploadEnded):
                await self._uploads.abort(owner, each, unfinished_only=True)

    async def _make(self, owner: Principal, final: Manifest, check: Check) -> bool:
        """Publish the file; False where nothing will come of the final upload."""
        try:
            parts = await self._whole(owner, final, check)
            wanted = (await self._claim(final)).id == final.id
            if wanted:
                await self._join(owner, final, parts, check)
        except _FOR_GOOD as error:
            log.warning("parts-not-joined", id=final.id, error=str(error))
            wanted = False
        return wanted

    async def _whole(self, owner: Principal, final: Manifest, check: Check) -> dict[str, Manifest]:
        """The parts by their ids; raises NotYet at the first that is not whole.

        So to wait for a part costs little, however many others are named, and however often.
        """
        found = {}
        for each in dict.fromkeys(_parts_of(final)):
            await check()
            found[each] = await self._part(owner, each)
            if not await self._is_whole(found[each]):
                raise NotYet
        return found

    async def _join(
        self, owner: Principal, final: Manifest, found: dict[str, Manifest], check: Check
    ) -> None:
        parts = [found[each] for each in _parts_of(final)]
        async with self._appends.take(owner, final.id, final=True) as append:
            if append.finished:
                return
            size = sum(part.size or 0 for part in parts)
            await self._appends.declare(append, size, paid=_reserved(found.values()))
            body = self._bytes(parts, append, check)
            await self._appends.store(append, body, self._memory)
            await self._uploads.finish(owner, final.id, hashed=append.sha256, patience=0.0)

    async def _bytes(
        self, parts: list[Manifest], append: Append, check: Check
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the parts, in order, from the offset of the final upload on."""
        skip = append.offset
        for part in parts:
            size = part.size or 0
            if skip < size:
                async with aclosing(self._uploads.read(part, skip, size)) as blocks:
                    async for block in blocks:
                        await check()
                        yield block
            skip = max(0, skip - size)
