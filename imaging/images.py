"""Image files: their headers, and how each is decoded. The allow-list of decoders is here.

libvips reads all but HEIC, which libheif does, through pillow-heif: the libvips that is installed
as a wheel has no decoder for it. A cut-off file is an error and not a picture with a grey bottom
(`fail_on`).
"""

from __future__ import annotations

from collections.abc import Callable

import pillow_heif
import pyvips

from lading.imaging import exif
from lading.imaging.boxes import image_properties, png_coding
from lading.imaging.formats import HEAD
from lading.imaging.ladder import Size
from lading.imaging.limits import ImagingLimits
from lading.imaging.made import IMAGE, Media
from lading.imaging.picture import Original, check_size, upright
from lading.imaging.ranges import Ranges
from lading.imaging.refusal import BROKEN, UNKNOWN, Refusal, undecoded

_LOADERS = {
    "jpeg": ("VipsForeignLoadJpeg", "jpegload"),
    "png": ("VipsForeignLoadPng", "pngload"),
    "webp": ("VipsForeignLoadWebp", "webpload"),
    "gif": ("VipsForeignLoadNsgif", "gifload"),
    "tiff": ("VipsForeignLoadTiff", "tiffload"),
    "avif": ("VipsForeignLoadHeif", "heifload"),
}
"""By the name of the format: libvips' class, and its operation."""

_ANIMATED = frozenset({"gif", "webp"})
_MOST_IN_MEMORY = 128 * 2**20
"""A HEIC file is decoded from memory."""


def allow_loaders() -> None:
    """Block everything that libvips could load or save, then allow what is listed here."""
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for name, _ in _LOADERS.values():
        pyvips.operation_block_set(name, False)


def open_image(name: str, ranges: Ranges, limits: ImagingLimits) -> tuple[Original, Media]:
    """An image file of the format `name` by its header; raises Refusal."""
    if name == "heic":
        return _open_heic(ranges, limits)
    try:
        return _open(name, ranges, limits)
    except pyvips.Error as error:
        raise undecoded(error) from error


def _open(name: str, ranges: Ranges, limits: ImagingLimits) -> tuple[Original, Media]:
    coding = None
    if name == "avif":
        properties = image_properties(ranges.read, ranges.size)
        coding = properties.coding
        _check_pixels(properties.pixels, limits)
    elif name == "png":
        coding = png_coding(ranges.read(0, HEAD))
    load = _loader(name, ranges)
    header = load(1, 1)
    size = Size(header.width, header.get_page_height())
    check_size(size, limits)
    orientation = _orientation(header)
    pages = header.get_n_pages() if name in _ANIMATED else 1
    keeps = 1 < pages <= limits.frames and size.width * size.height <= limits.frame_pixels

    def open_(frames: int, enough: Size) -> pyvips.Image:
        return load(frames, _shrink(name, size, enough) if frames == 1 else 1)

    shown = upright(size, orientation)
    media = Media(
        kind=IMAGE,
        width=shown.width,
        height=shown.height,
        frames=pages if pages > 1 else None,
        alpha=bool(header.hasalpha()),
    )
    return Original(open_, shown, orientation, pages if keeps else 1, coding), media


def _loader(name: str, ranges: Ranges) -> Callable[[int, int], pyvips.Image]:
    """A function that begins to decode so many frames, shrunk as far as the format offers it."""
    operation = _LOADERS[name][1]
    sources: list[pyvips.SourceCustom] = []  # pyvips holds the images to them, not them

    def load(frames: int, shrink: int) -> pyvips.Image:
        options: dict[str, object] = {"access": "sequential", "fail_on": "truncated"}
        if frames > 1:
            options["n"] = frames
        if shrink > 1:
            options |= {"shrink": shrink} if name == "jpeg" else {"scale": 1 / shrink}
        source = _source(ranges)
        sources.append(source)
        return getattr(pyvips.Image, f"{operation}_source")(source, **options)

    return load


def _source(ranges: Ranges) -> pyvips.SourceCustom:
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        data = ranges.read(at, at + size)
        at += len(data)
        return data

    def seek(offset: int, whence: int) -> int:
        nonlocal at
        at = max(0, (0, at, ranges.size)[whence] + offset)
        return at

    source = pyvips.SourceCustom()
    source.on_read(read)
    source.on_seek(seek)
    return source


def _shrink(name: str, size: Size, enough: Size) -> int:
    """How much the decoder itself may shrink: to twice what is needed, since its way is coarse."""
    if name not in ("jpeg", "webp"):
        return 1
    factor = min(size.width / enough.width, size.height / enough.height)
    return 8 if factor >= 16 else 4 if factor >= 8 else 2 if factor >= 4 else 1


def _orientation(image: pyvips.Image) -> int:
    if image.get_typeof("orientation") == 0:
        return 1
    found = int(image.get("orientation"))
    return found if 1 <= found <= 8 else 1


def _check_pixels(pixels: int, limits: ImagingLimits) -> None:
    if pixels > limits.pixels:
        raise Refusal(
            f"The picture has {pixels} pixels; at most {limits.pixels // 10**6} million are read."
        )


def _open_heic(ranges: Ranges, limits: ImagingLimits) -> tuple[Original, Media]:
    properties = image_properties(ranges.read, ranges.size)
    _check_pixels(properties.pixels, limits)
    if ranges.size > _MOST_IN_MEMORY:
        raise Refusal("The file is too large to be read as HEIC.")
    try:
        heif = pillow_heif.open_heif(
            ranges.read(0, ranges.size), convert_hdr_to_8bit=False, bgr_mode=False
        )
        picture = heif[heif.primary_index]
    except (ValueError, RuntimeError, SyntaxError, EOFError, OSError, IndexError) as error:
        raise Refusal(BROKEN) from error
    size = Size(*picture.size)
    if min(size) < 1:
        raise Refusal(BROKEN)
    check_size(size, limits)
    # libheif turns the picture as its properties say. Some phones write the turn into EXIF only.
    block = picture.info.get("exif")
    orientation = 1
    if isinstance(block, bytes) and not properties.turned:
        orientation = exif.orientation(block)

    def open_(_frames: int, _enough: Size) -> pyvips.Image:
        return _decoded_heic(picture)

    shown = upright(size, orientation)
    media = Media(kind=IMAGE, width=shown.width, height=shown.height, alpha=picture.has_alpha)
    return Original(open_, shown, orientation, 1, properties.coding), media


_MODES = {
    "L": (1, "uchar", "b-w"),
    "RGB": (3, "uchar", "srgb"),
    "RGBA": (4, "uchar", "srgb"),
    "I;16": (1, "ushort", "grey16"),
    "RGB;16": (3, "ushort", "rgb16"),
    "RGBA;16": (4, "ushort", "rgb16"),
    "RGBa": (4, "uchar", "srgb"),
    "RGBa;16": (4, "ushort", "rgb16"),
}
"""What pillow-heif calls its pixels: bands, and what libvips calls them. A small `a` says that the
colours were multiplied by alpha."""


def _decoded_heic(picture: pillow_heif.HeifImage) -> pyvips.Image:
    if picture.mode not in _MODES:
        raise Refusal(UNKNOWN)
    bands, pixel_format, interpretation = _MODES[picture.mode]
    try:
        data, stride = picture.data, picture.stride
    except (ValueError, RuntimeError, SyntaxError, EOFError, OSError) as error:
        raise Refusal(BROKEN) from error
    bytes_each = bands * (2 if pixel_format == "ushort" else 1)
    width, height = picture.size
    rows = pyvips.Image.new_from_memory(data, stride // bytes_each, height, bands, pixel_format)
    image = rows.crop(0, 0, width, height).copy(interpretation=interpretation)
    if "a" in picture.mode:
        image = image.unpremultiply().cast(pixel_format)
    profile = picture.info.get("icc_profile")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image
