"""A stand-in for the imaging room: its pictures say what they are of, and nothing is decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lading.imaging.ladder import SIDES, Size, Variant, target
from lading.imaging.made import Made, Media, Picture, Source
from lading.protocol.errors import Unavailable

SHOWN = Size(4000, 3000)


class FakeMaker:
    """Reads the beginning of a file and makes every picture of it that is asked for.

    `failures` are raised by the next calls, one each. While `opened` is cleared no call ends.
    With `absent` no child can be started, and nothing is read.
    A file that begins with `text` is no image, one with `mute` has facts and no picture.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.failures: list[BaseException] = []
        self.opened = asyncio.Event()
        self.opened.set()
        self.absent = False
        self.version = b""
        self.begun = asyncio.Event()

    async def make(self, source: Source, variants: Iterable[Variant]) -> Made:
        asked = tuple(variants)
        self.calls.append(tuple(f"{each.quality}{each.crop or ''}" for each in asked))
        if self.absent:
            raise Unavailable("The pictures cannot be made now.")
        head = await source.read(0, min(source.size, 8))
        self.begun.set()
        await self.opened.wait()
        if self.failures:
            raise self.failures.pop(0)
        if head.startswith(b"text"):
            return Made()
        if head.startswith(b"mute"):
            return Made(Media(kind="audio", duration=1.5))
        media = Media(kind="image", width=SHOWN.width, height=SHOWN.height, placeholder=b"tiny")
        return Made(media, {each: self.picture(head, each) for each in asked})

    def picture(self, head: bytes, variant: Variant) -> Picture:
        """The picture of a file with such a beginning; its length grows with its quality."""
        name = f"{variant.quality}{variant.crop or ''}".encode()
        data = b" ".join((b"webp", head, name, self.version)).ljust(SIDES[variant.quality], b".")
        return Picture(data, *target(variant, SHOWN))
