"""Still pictures and animations to webp: the cascade from the largest size to the smallest.

The original is decoded once for each crop, row by row where its format allows, and shrunk while it
is. Colours and orientation are applied to what is left of it, so a large picture costs little
memory. Every size is made of the next larger one. No metadata is passed on (a phone writes down
where it was), except what an animation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyvips

from lading.imaging.boxes import Coding
from lading.imaging.colour import to_srgb
from lading.imaging.ladder import COMPRESSION, MOVING, SIDES, Size, Variant, target
from lading.imaging.limits import ImagingLimits
from lading.imaging.made import Picture
from lading.imaging.pipe import MOST_SIDE
from lading.imaging.refusal import Refusal, undecoded

MOST_LENGTHY = 16
"""A square is cut out of a picture that is at most so many times as long as wide; of a longer one
the middle is taken first."""

_ORIENTATION, _PAGE_HEIGHT = "orientation", "page-height"
_EFFORT, _EFFORT_MOVING = 4, 2


@dataclass(frozen=True, slots=True)
class Original:
    """A picture whose header was read.

    `open` starts decoding anew and takes the number of frames, and the size that is enough.
    `shown` is its size upright. `frames` is more than 1 for an animation that is kept.
    """

    open: Callable[[int, Size], pyvips.Image]
    shown: Size
    orientation: int = 1
    frames: int = 1
    coding: Coding | None = None


def upright(size: Size, orientation: int) -> Size:
    """The size of a picture after it was turned by its orientation; its own inverse."""
    return Size(size.height, size.width) if orientation >= 5 else size


def check_size(size: Size, limits: ImagingLimits) -> None:
    """Raise Refusal for a picture that is too large to be decoded."""
    if size.width * size.height > limits.pixels:
        most = limits.pixels // 10**6
        raise Refusal(
            f"The picture has {size.width} x {size.height} pixels; at most {most} million are read."
        )
    if max(size) > MOST_SIDE:
        raise Refusal(
            f"The picture has {size.width} x {size.height} pixels; a side has at most {MOST_SIDE}."
        )


def draw(
    original: Original, variants: Iterable[Variant], limits: ImagingLimits
) -> Iterator[tuple[Variant, Picture]]:
    """The pictures, the largest of each crop first. Raises Refusal when the original is damaged."""
    asked = sorted(variants, reverse=True, key=lambda variant: (variant.quality, variant.name))
    try:
        for crop in dict.fromkeys(variant.crop for variant in asked):
            yield from _cascade(original, [one for one in asked if one.crop == crop], limits)
    except pyvips.Error as error:
        raise undecoded(error) from error


def _cascade(
    original: Original, variants: list[Variant], limits: ImagingLimits
) -> Iterator[tuple[Variant, Picture]]:
    moving = original.frames > 1 and any(variant.quality in MOVING for variant in variants)
    image = _base(original, variants[0], original.frames if moving else 1)
    if variants[0].crop is not None:
        image = _square(image, target(variants[0], original.shown))
    for variant in variants:
        if variant.quality not in MOVING:
            image = _first_frame(image)
        size = target(variant, original.shown)
        image = _resized(image, size)
        yield variant, _encoded(image, variant, size, limits)


def _base(original: Original, largest: Variant, frames: int) -> pyvips.Image:
    """The picture upright, in sRGB, in memory, and not larger than its largest variant needs."""
    enough = needed(largest, original.shown)
    image = original.open(frames, upright(enough, original.orientation))
    if largest.crop is not None:
        image = _not_too_long(image)
        enough = needed(
            largest, upright(Size(image.width, image.get_page_height()), original.orientation)
        )
    raw = upright(enough, original.orientation)
    image = _resized(image, raw).copy_memory()
    image = to_srgb(image, original.coding)
    if original.orientation != 1:
        image = _turned(image, original.orientation)
    return image.copy_memory()


def needed(largest: Variant, shown: Size) -> Size:
    """The size that a picture is decoded to for its largest variant."""
    if largest.crop is None:
        return target(largest, shown)
    short, side = min(shown), min(SIDES[largest.quality], *shown)
    return Size(*(max(1, (2 * each * side + short) // (2 * short)) for each in shown))


def _not_too_long(image: pyvips.Image) -> pyvips.Image:
    width, height = image.width, image.get_page_height()
    most = MOST_LENGTHY * min(width, height)
    if max(width, height) <= most or image.get_n_pages() > 1:
        return image
    if width > height:
        return image.crop((width - most) // 2, 0, most, height)
    return image.crop(0, (height - most) // 2, width, most)


def _resized(image: pyvips.Image, size: Size) -> pyvips.Image:
    """Exactly so large; the frames of an animation each.

    Not by libvips' `thumbnail`, which converts colours as it sees fit.
    """
    height = image.get_page_height()
    if (image.width, height) == size:
        return image
    scales = size.width / image.width, size.height / height
    if image.hasalpha():
        # A transparent pixel has a colour, too, which must not shine through.
        shrunk = image.premultiply().resize(scales[0], vscale=scales[1]).unpremultiply()
        shrunk = shrunk.cast(image.format)
    else:
        shrunk = image.resize(scales[0], vscale=scales[1])
    return _paged(shrunk, size.height)


def _paged(image: pyvips.Image, height: int) -> pyvips.Image:
    if image.get_typeof(_PAGE_HEIGHT) == 0:
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, _PAGE_HEIGHT, height)
    return image


def _turned(image: pyvips.Image, orientation: int) -> pyvips.Image:
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, _ORIENTATION, orientation)
    return image.autorot()


def _frames(image: pyvips.Image) -> list[pyvips.Image]:
    height = image.get_page_height()
    return [image.crop(0, top, image.width, height) for top in range(0, image.height, height)]


def _first_frame(image: pyvips.Image) -> pyvips.Image:
    height = image.get_page_height()
    if height >= image.height:
        return image
    return image.crop(0, 0, image.width, height)


def _square(image: pyvips.Image, size: Size) -> pyvips.Image:
    """The square in it that draws most attention; all frames have the one of the first."""
    first, *others = _frames(image)
    cut = first.smartcrop(size.width, size.height, interesting="attention")
    if not others:
        return cut
    left, top = -cut.xoffset, -cut.yoffset
    cuts = [frame.crop(left, top, size.width, size.height) for frame in (first, *others)]
    return _paged(pyvips.Image.arrayjoin(cuts, across=1), size.height)


def _encoded(image: pyvips.Image, variant: Variant, size: Size, limits: ImagingLimits) -> Picture:
    moving = image.get_page_height() < image.height
    data: bytes = image.webpsave_buffer(
        Q=COMPRESSION[variant.quality], effort=_EFFORT_MOVING if moving else _EFFORT, keep="none"
    )
    if len(data) <= limits.picture_bytes:
        return Picture(data, *size)
    if moving:
        return _encoded(_first_frame(image), variant, size, limits)
    raise Refusal("The picture becomes too large.")
