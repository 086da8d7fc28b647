"""The step `derive`: what a finished file is, and its pictures, stored beside it and charged.

    reserve   the bytes of the pictures, under a key of this claim; what does not fit is left out
    store     the pictures beside the file
    note      facts and pictures in the manifest, and what they add to its charge: one write
    keep      the reservation becomes use; then the note of the charge is removed

A crash anywhere repeats the step, which first settles what the last try left: see
`storage/collections/quotas.py`. What is found to be impossible is noted, too, and is not tried
again. A file at which the server itself or the child is killed again and again, or that takes too
long each time, counts as such: a try counts from the first byte that is read of the file until it
ends in any other way.
Source: page 10 of the design, "How".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from lading.imaging.ladder import Variant, named, wanted
from lading.imaging.made import Made, Maker, Media, NotHere, Picture
from lading.janitor.sweep import Lost
from lading.protocol.digests import crc32c
from lading.protocol.errors import LadingError, NotFound, QuotaExceeded, UnprocessableImage
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import FINISHED, Manifest, NoPicture, StoredPicture
from lading.protocol.media_types import essence
from lading.server.uploads.ranges import Ranges
from lading.server.uploads.reader import Reader
from lading.storage.blobs.base import Check
from lading.storage.collections.derivatives import Derivatives
from lading.storage.collections.quotas import picture_key
from lading.storage.contents import driver_at
from lading.storage.open import Storage

MOST_TRIES = 8
"""So often a file is tried without an end; pauses between the tries grow to minutes."""

CHECK_SECONDS = 2.0
"""How often a claim is looked at while a picture is made."""


def has_pictures(mime_type: str) -> bool:
    """Whether pictures can be made of files of a type; the bytes of a file may still say no."""
    plain = essence(mime_type)
    return plain.startswith(("image/", "video/", "audio/")) and plain != "image/svg+xml"


@dataclass(slots=True)
class _Try:
    """A file as the imaging room reads it. Where no child can be started, nothing is read of it."""

    derivatives: Derivatives
    manifest: Manifest
    ranges: Ranges
    counts: bool = False
    failed: bool = False
    """Its bytes could not be read: no fault of what they are."""

    @property
    def size(self) -> int:
        return self.ranges.size

    async def read(self, start: int, end: int) -> bytes:
        if not self.counts:
            _mine(await self.derivatives.count_try(self.manifest))
            self.counts = True
        try:
            return await self.ranges.read(start, end)
        except LadingError:
            self.failed = True
            raise

    async def take_back(self) -> None:
        """The try ended, and the file was not the reason."""
        if self.counts:
            self.counts = False
            with suppress(LadingError):
                await self.derivatives.count_try(self.manifest, -1)


class Deriver:
    """Makes the pictures of files. With `afresh` also those that a file has."""

    def __init__(
        self,
        storage: Storage,
        reader: Reader,
        kinds: Kinds,
        maker: Maker,
        *,
        afresh: bool = False,
    ) -> None:
        self._storage = storage
        self._reader = reader
        self._kinds = kinds
        self._maker = maker
        self._afresh = afresh

    async def derive(
        self, manifest: Manifest, check: Check, asked: Mapping[str, Variant] | None = None
    ) -> None:
        """Make what a file lacks of what its kind asks for, and what is `asked` for, by name.

        Raises Lost, Unavailable, NotHere, StorageFull, Internal when the file's bytes are damaged.
        """
        if manifest.state not in FINISHED:
            return
        await self._settle(manifest)
        variants = {**self._variants(manifest), **(asked or {})}
        known = manifest.no_picture is not None or (not variants and manifest.media is not None)
        if known or not has_pictures(manifest.mime_type):
            return
        if manifest.picture_tries >= MOST_TRIES:
            reason = "The program that reads it took too long, or was killed each time."
            await self._note_none(manifest, UnprocessableImage(reason))
            return
        read = partial(self._reader.read, manifest)
        ranges = Ranges(read, manifest.size or 0, manifest.chunk_size)
        tried = _Try(self._storage.derivatives, manifest, ranges)
        try:
            made = await self._make(tried, variants, check)
        except UnprocessableImage as error:
            await self._note_none(manifest, error)
        else:
            await self._keep_made(tried, made, variants, check)

    def _variants(self, manifest: Manifest) -> dict[str, Variant]:
        """What is to be made, by the name that it is stored by.

        Where the kind crops, its pictures have the plain names.
        """
        kind = self._kinds.get(manifest.kind)
        crop = None if kind is None else kind.crop
        usual = wanted(() if kind is None else kind.sizes)
        found = {each.name: each._replace(crop=crop) for each in usual}
        if not self._afresh:
            return {name: each for name, each in found.items() if name not in manifest.pictures}
        for name in manifest.pictures:
            variant = named(name)
            if variant is not None:
                found.setdefault(name, variant._replace(crop=variant.crop or crop))
        return found

    async def _settle(self, manifest: Manifest) -> None:
        """Settle what an earlier try left, before anything else is reserved."""
        account = await self._storage.quotas.account(manifest.user_id)
        await self._storage.quotas.settle_pictures(account, manifest)
        if manifest.picture_debt is not None:
            _mine(await self._storage.derivatives.note_paid(manifest))

    async def _make(self, tried: _Try, variants: Mapping[str, Variant], check: Check) -> Made:
        """Let the pictures be made, while the claim is renewed."""
        making = asyncio.ensure_future(self._maker.make(tried, variants.values()))
        try:
            while not (await asyncio.wait({making}, timeout=CHECK_SECONDS))[0]:
                await check()
            return making.result()
        except LadingError as error:
            if tried.failed or isinstance(error, NotHere):
                await tried.take_back()
            raise
        except asyncio.CancelledError:  # the server stops
            await tried.take_back()
            raise
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
            await tried.ranges.close()

    async def _keep_made(
        self, tried: _Try, made: Made, variants: Mapping[str, Variant], check: Check
    ) -> None:
        try:
            await self._keep(tried.manifest, made, variants, check)
        except (LadingError, asyncio.CancelledError):
            await tried.take_back()
            raise

    async def _keep(
        self, claimed: Manifest, made: Made, variants: Mapping[str, Variant], check: Check
    ) -> None:
        """Charge, store and note what was made."""
        pictures = {
            name: made.pictures[variant]
            for name, variant in variants.items()
            if variant in made.pictures
        }
        storage = self._storage
        storage.free_space.check()
        pictures, growth = await self._reserve(claimed, pictures)
        blobs = driver_at(storage.blobs, claimed.blobs)
        await check()
        await _all(blobs.put_picture(claimed.key, each, pictures[each].data) for each in pictures)
        none = None
        if made.media is None or (variants and not made.pictures):
            none = NoPicture(NotFound.code, "There is no picture in this file.")
        noted = await storage.derivatives.note(
            claimed,
            media=None if made.media is None else _facts(made.media),
            pictures={name: _stored(each) for name, each in pictures.items()},
            no_picture=none,
            growth=growth,
            now=storage.clock(),
        )
        noted = _mine(noted)
        if growth is not None:
            await storage.quotas.keep(claimed.user_id, picture_key(claimed), growth)
            _mine(await storage.derivatives.note_paid(noted))

    async def _reserve(
        self, claimed: Manifest, made: Mapping[str, Picture]
    ) -> tuple[dict[str, Picture], int | None]:
        """What fits the owner's quota, the smallest first, and by how many bytes the file grows."""
        fitting = dict(sorted(made.items(), key=lambda each: len(each[1].data)))
        while fitting:
            replaced = [claimed.pictures[name].size for name in fitting if name in claimed.pictures]
            growth = sum(len(each.data) for each in fitting.values()) - sum(replaced)
            try:
                await self._storage.quotas.reserve(
                    claimed.user_id, picture_key(claimed), max(0, growth)
                )
            except QuotaExceeded:
                fitting.popitem()
            else:
                return fitting, growth
        return {}, None

    async def _note_none(self, claimed: Manifest, error: UnprocessableImage) -> None:
        _mine(
            await self._storage.derivatives.note(
                claimed,
                no_picture=NoPicture(error.code, str(error)),
                now=self._storage.clock(),
            )
        )


async def _all(writes: Iterable[Awaitable[None]]) -> None:
    """Wait for all, which share a sync of the disk; then raise the first failure."""
    for outcome in await asyncio.gather(*writes, return_exceptions=True):
        if outcome is not None:
            raise outcome


def _mine(found: Manifest | None) -> Manifest:
    """The manifest after a write under the claim; Lost when it passed to another, or died."""
    if found is None:
        raise Lost
    return found


def _stored(picture: Picture) -> StoredPicture:
    data = picture.data
    return StoredPicture(len(data), picture.width, picture.height, crc32c(data))


def _facts(media: Media) -> dict[str, Any]:
    """The facts as a manifest keeps them."""
    return asdict(media) | {"codecs": list(media.codecs)}
