"""The audit: is every stored byte what was sent, and does everything stored belong to something?

The audit reads everything and changes nothing; it is for operators and for tests. The recount of an
account can also correct it, which the janitor does every hour.
Source: page 2 of the design, "Expiry"; page 5, "what was sent is what is served".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from lading.protocol.digests import Sha256
from lading.protocol.errors import Incomplete, InvalidArgument, LadingError, Unavailable
from lading.protocol.manifest import FINISHED, MAX_ATTEMPT, WHOLE, Manifest, State, prove
from lading.storage.blobs.base import Blobs, Moved, is_intact
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import Manifests, born
from lading.storage.collections.quotas import Account, Quotas, split_key
from lading.storage.contents import SPAN, Contents, base, driver_at
from lading.storage.homes import MONGO, scheme

YOUNG_SECONDS = 3600.0
"""An id younger than this may still get its manifest, however slow its server is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `kind` is one of:

    `damaged` bytes differ from their checksum or are gone; `unreadable` their store does not return
    them; `missing` a finished file has no bytes at its home; `incomplete` it lacks pieces;
    `checksum` its pieces do not give its CRC-32C; `orphan` pieces, objects or folders that belong
    to nothing; `drift` an account that differs from a recount.
    """

    kind: str
    id: str
    detail: str


class Auditor:
    """Compares the stored bytes with the manifests and accounts. `clock` returns Unix seconds."""

    def __init__(
        self,
        manifests: Manifests,
        chunks: Chunks,
        blobs: Mapping[str, Blobs],
        quotas: Quotas,
        clock: Callable[[], float],
    ) -> None:
        self._manifests = manifests
        self._chunks = chunks
        self._contents = Contents(chunks, blobs)
        self._blobs = blobs
        self._there: dict[str, set[bytes]] = {}
        self._quotas = quotas
        self._clock = clock
        self.pieces = 0
        self.size = 0

    async def findings(self, *, read: bool = True) -> AsyncIterator[Finding]:
        """Everything that is wrong. Without `read` only the index is read, not the bytes."""
        for home in list(self._blobs):
            await self._list(home)
        async for manifest in self._manifests.every():
            if manifest.state in (State.UPLOADING, *WHOLE):
                sent = manifest.etag is not None
                looked = self._sent(manifest, read) if sent else self._upload(manifest, read)
                async for finding in looked:
                    if await self._still(manifest):
                        yield finding
                if read:
                    async for finding in self._pictures(manifest):
                        yield finding
        async for finding in self._orphans():
            yield finding
        for home in self._there:
            async for finding in self._strays(home):
                yield finding
        for user_id in await self._quotas.users():
            now = self._clock()
            drift = await recount(self._manifests, self._quotas, user_id, now=now, correct=False)
            if drift is not None:
                yield drift

    async def _list(self, home: str) -> set[bytes]:
        """The ids of the uploads whose bytes are at a home, 12 bytes each."""
        if home not in self._there:
            listed = driver_at(self._blobs, home).uploads()
            self._there[home] = {bytes.fromhex(upload_id) async for upload_id in listed}
        return self._there[home]

    async def _is_missing(self, manifest: Manifest) -> bool:
        """Whether nothing of a finished file is at its home. It may have come there since."""
        if manifest.state not in WHOLE or not manifest.size:
            return False
        if bytes.fromhex(manifest.key) in await self._list(manifest.blobs):
            return False
        first = await self._contents.before(manifest, 1)
        try:
            return first is None or not await self._contents.read(manifest, [first])
        except Moved:
            return True

    async def _still(self, manifest: Manifest) -> bool:
        """Whether a finding still holds: manifests are read in batches, and much earlier."""
        current = await self._manifests.get(manifest.id)
        if current is None or current.attempt != manifest.attempt:
            return False
        if (current.blobs, current.key) != (manifest.blobs, manifest.key):
            return False  # it was moved, and each piece was verified on its way; or replaced
        return current.state is manifest.state or current.state in FINISHED

    async def _upload(self, manifest: Manifest, read: bool) -> AsyncIterator[Finding]:
        end = SPAN if manifest.size is None else manifest.size
        pieces = [piece async for piece in self._contents.pieces(manifest, 0, end)]
        if manifest.state in WHOLE:
            assert manifest.size is not None
            async for piece in self._contents.strays(manifest):
                replaced = piece.slice_start < base(manifest)
                where = "that were replaced" if replaced else "past the file's end"
                yield Finding("orphan", manifest.id, f"{piece.size} bytes {where}")
            try:
                checksum = prove(pieces, manifest.size)
            except Incomplete as error:
                gaps = ", ".join(f"{start} to {end}" for start, end in error.extra["missing"])
                yield Finding("incomplete", manifest.id, f"{error} Missing: {gaps}")
            except (InvalidArgument, AssertionError) as error:  # the last: they overlap
                yield Finding("incomplete", manifest.id, str(error))
            else:
                # A file that clients sent to a bucket, and that has moved since, has none.
                if manifest.crc32c not in (None, checksum):
                    yield Finding("checksum", manifest.id, f"{checksum}, not {manifest.crc32c}")
        if await self._is_missing(manifest):
            yield Finding("missing", manifest.id, f"it has no bytes in {manifest.blobs}")
            return
        for piece in pieces if read else ():
            self.pieces += 1
            self.size += piece.size
            try:
                await self._contents.read(manifest, [piece])
            except Unavailable as error:
                where = f"{piece.size} bytes at {piece.slice_start}"
                yield Finding("unreadable", manifest.id, f"{where}: {error}")
            except LadingError as error:
                # A piece that is not listed any more was given up: its upload died, or lost it.
                if await self._contents.at(manifest, piece.slice_start) is not None:
                    yield Finding("damaged", manifest.id, str(error))

    async def _pictures(self, manifest: Manifest) -> AsyncIterator[Finding]:
        """What is wrong with the pictures of a file. Each can be made again."""
        for name, picture in manifest.pictures.items():
            data = await driver_at(self._blobs, manifest.blobs).picture(manifest.key, name)
            if data is not None and is_intact(picture, data):
                continue
            current = await self._manifests.get(manifest.id)
            same = current is not None and current.pictures.get(name) == picture
            if same and await self._still(manifest):
                yield Finding("damaged", manifest.id, f"its picture {name} is damaged or gone")

    async def _sent(self, manifest: Manifest, read: bool) -> AsyncIterator[Finding]:
        """A file that clients sent to the bucket: no piece is listed, its SHA-256 is known."""
        if await self._is_missing(manifest):
            yield Finding("missing", manifest.id, f"it has no bytes in {manifest.blobs}")
            return
        if not read:
            return
        whole = Sha256()
        try:
            async for piece in self._contents.layout(manifest):
                whole.update(await self._contents.read(manifest, [piece]))
                self.pieces += 1
                self.size += piece.size
        except Unavailable as error:
            yield Finding("unreadable", manifest.id, str(error))
        except LadingError as error:
            yield Finding("damaged", manifest.id, str(error))
        else:
            if whole.hexdigest() != manifest.sha256:
                yield Finding("damaged", manifest.id, f"the SHA-256 is {whole.hexdigest()}")

    async def _orphans(self) -> AsyncIterator[Finding]:
        async for upload_id in self._chunks.uploads():
            if await self._manifests.keeping(upload_id) is not None:
                continue
            # It may have been purged between the two looks, and then its pieces are gone, too.
            if await self._has_pieces(upload_id):
                yield Finding("orphan", upload_id, "pieces without a manifest")

    async def _has_pieces(self, upload_id: str) -> bool:
        return await self._chunks.before(upload_id, SPAN * (MAX_ATTEMPT + 1)) is not None

    async def _strays(self, home: str) -> AsyncIterator[Finding]:
        """Bytes and pictures at a home whose manifest names others, or that have none."""
        driver = driver_at(self._blobs, home)
        here = self._there[home] | {bytes.fromhex(each) async for each in driver.pictured()}
        suspects = {each for each in here if await self._strays_at(each.hex(), home)}
        if not suspects:
            return
        # A file may have moved away or been purged since the list was read: it is not in a new one.
        for listed in (driver.uploads(), driver.pictured()):
            async for upload_id in listed:
                if bytes.fromhex(upload_id) in suspects and await self._strays_at(upload_id, home):
                    suspects.discard(bytes.fromhex(upload_id))
                    yield Finding("orphan", upload_id, f"bytes in {home} that belong to nothing")

    async def _strays_at(self, upload_id: str, home: str) -> bool:
        manifest = await self._manifests.keeping(upload_id)
        if manifest is None:
            # Pieces without a manifest were found by their documents; pictures were not.
            listed = scheme(home) == MONGO and await self._has_pieces(upload_id)
            return not listed
        if manifest.former is not None and manifest.former.key == upload_id:
            return False  # about to be handed over to a tombstone
        return home not in manifest.homes


async def recount(
    manifests: Manifests, quotas: Quotas, user_id: str, *, now: float, correct: bool
) -> Finding | None:
    """Compare an account with its user's manifests; `correct` also corrects it.

    The account is read first and must be unchanged at the end, so that no change in between is
    taken for drift. If it changed, None is returned, as when nothing is wrong.
    """
    account = await quotas.account(user_id)
    abandoned = await _settle(manifests, quotas, account, now, correct=correct)
    if correct:
        account = await quotas.account(user_id)
    reserved = sum(size for each, size in account.open.items() if each not in abandoned)
    used = 0
    async for manifest in manifests.charged(user_id):
        if manifest.id in account.leaving:
            continue
        if manifest.former is not None or manifest.state is State.REPLACING:
            return None  # two manifests are about to change places, which cannot be read at once
        used += manifest.charged
        if manifest.id in account.open:
            used -= manifest.size or 0
        debt = manifest.picture_debt
        if debt is not None and f"{manifest.id}-{debt.tries}" in account.open:
            used -= debt.size
    if (account.charged, account.reserved) == (used + reserved, reserved):
        return None
    if await quotas.account(user_id) != account:
        return None
    if correct and not await quotas.correct(account, charged=used + reserved, reserved=reserved):
        return None
    return Finding(
        "drift",
        user_id,
        f"used {account.used}, recounted {used}; reserved {account.reserved}, recounted {reserved}",
    )


async def _settle(
    manifests: Manifests, quotas: Quotas, account: Account, now: float, *, correct: bool
) -> set[str]:
    """Settle reservations that a crash left; returns the ids that have no upload."""
    user_id, abandoned = account.user_id, set()
    for key in account.open:
        upload_id, claim = split_key(key)
        manifest = await manifests.get(upload_id)
        # A young one may be about to get its manifest.
        gone = manifest is None and now - born(upload_id) > YOUNG_SECONDS
        if gone:
            abandoned.add(key)
        if not correct:
            continue
        if claim is not None and manifest is not None:
            await quotas.settle_pictures(account, manifest)
        elif manifest is not None and manifest.upload_end:
            # A deleted file is taken off by the sweep, whether it was charged yet or not.
            if manifest.state in WHOLE:
                assert manifest.size is not None
                await quotas.keep(user_id, upload_id, manifest.size)
        elif gone or (manifest is not None and manifest.state is not State.UPLOADING):
            await quotas.release(user_id, key)
    return abandoned
