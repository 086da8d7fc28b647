"""Golden pictures: what is made of real files, beside what other programs see in them.

`samples/make.py` says how each file was made.
"""

from __future__ import annotations

import io
import struct
from itertools import pairwise
from pathlib import Path

import pillow_heif
import pytest
import pyvips

from lading.imaging.ladder import QUALITIES, SIDES, VARIANTS, Size, Variant, target
from lading.imaging.made import Picture
from tests.support.imaging import (
    SAMPLES,
    Likeness,
    Studio,
    likeness,
    opened,
    plain,
    reference,
    samples,
)

LARGEST = Variant(6)

STILLS = samples("jpg", "png", "webp", "tiff", "avif", "heic", "gif")
FILMS = samples("mp4", "mov", "mkv", "webm", "avi", "ts", "ogv")

REFERENCES = {
    "adobe-rgb.jpg": "adobe-rgb",
    "alpha.heic": "alpha",
    "alpha.png": "alpha",
    "alpha.webp": "alpha",
    "cmyk-with-profile.jpg": "cmyk-with-profile",
    "display-p3.jpg": "display-p3",
    "grey-sixteen-bit.png": "grey-240",
    "grey.jpg": "grey",
    "one-bit.png": "one-bit",
    "palette.png": "palette",
    "still.gif": "still",
    "palette-alpha.png": "palette-alpha",
    "sixteen-bit.png": "scene-240",
    "sixteen-bit.tiff": "scene-240",
}
"""The reference of a sample that does not show the scene as it is."""

ALONE = {
    "animated.gif", "animated.webp", "cmyk-with-rgb-profile.jpg", "cmyk.jpg", "cmyk.tiff",
    "floating.tiff", "hdr.mp4", "hlg.png", "long.gif", "pq.avif", "pq.png",
}  # fmt: skip
"""Samples with a test of their own."""

LEAST_ALIKE = Likeness(2.5, 0.95)
"""webp at quality 80 costs about 1 and 0.98 of the scene, which has hard edges and pure colours."""
COARSER = dict.fromkeys(
    ("palette.png", "palette-alpha.png", "still.gif", "one-bit.png"), Likeness(3.5, 0.90)
)
"""Samples that other programs dithered: the noise costs webp more."""


def drawn(studio: Studio, name: str, variant: Variant = LARGEST) -> Picture:
    return studio.make(SAMPLES / name, [variant]).pictures[variant]


@pytest.mark.parametrize("name", [path.name for path in STILLS if path.name not in ALONE])
def test_a_still_looks_as_another_program_shows_it(studio: Studio, name: str) -> None:
    found = likeness(opened(drawn(studio, name).data), reference(REFERENCES.get(name, "scene")))
    least = COARSER.get(name, LEAST_ALIKE)
    assert found.delta <= least.delta, found
    assert found.ssim >= least.ssim, found


@pytest.mark.parametrize("name", [path.name for path in FILMS if path.name not in ALONE])
def test_a_poster_is_a_frame_of_the_film(studio: Studio, name: str) -> None:
    made = studio.make(SAMPLES / name, [LARGEST])
    assert made.media is not None
    assert (made.media.width, made.media.height) == (320, 240)
    found = likeness(opened(made.pictures[LARGEST].data), reference("scene-320"))
    assert found.delta <= 4.5, found
    assert found.ssim >= 0.85, found


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_each_variant_is_as_large_as_the_ladder_says(studio: Studio, variant: Variant) -> None:
    picture = drawn(studio, "orientation-6.jpg", variant)
    size = target(variant, Size(480, 360))
    assert (picture.width, picture.height) == size
    image = opened(picture.data)
    assert (image.width, image.height) == size
    assert len(picture.data) < 64 * 1024


def test_a_larger_quality_is_never_smaller_in_bytes(studio: Studio) -> None:
    made = studio.make(SAMPLES / "located.jpg", map(Variant, QUALITIES))
    sizes = [len(made.pictures[Variant(quality)].data) for quality in QUALITIES]
    assert sizes == sorted(sizes)


def test_a_picture_is_never_enlarged(studio: Studio) -> None:
    assert drawn(studio, "sixteen-bit.png").width == 240
    assert drawn(studio, "sixteen-bit.png", Variant(6, "square")).width == 180


def test_a_square_is_cut_out_and_not_squeezed(studio: Studio) -> None:
    square = plain(opened(drawn(studio, "lossy.webp", Variant(6, "square")).data))
    scene = plain(reference("scene"))
    deltas = (likeness(square, scene.crop(left, 0, 360, 360)).delta for left in range(0, 121, 10))
    assert min(deltas) < 6.0  # the place to a few pixels


@pytest.mark.parametrize("shape", [(4000, 16), (16, 4000), (3, 900), (1, 1)])
def test_any_shape_has_all_variants(studio: Studio, shape: tuple[int, int]) -> None:
    image = pyvips.Image.black(*shape, bands=3).linear(1, [200, 100, 50])
    made = studio.make(image.cast("uchar").pngsave_buffer(), VARIANTS)
    for variant, picture in made.pictures.items():
        assert (picture.width, picture.height) == target(variant, Size(*shape))
    assert set(made.pictures) == set(VARIANTS)


# -- what is not passed on -------------------------------------------------------------------------


@pytest.mark.parametrize("quality", QUALITIES)
def test_where_and_when_and_by_whom_is_in_no_size(studio: Studio, quality: int) -> None:
    original = (SAMPLES / "located.jpg").read_bytes()
    assert b"Secretphone" in original
    assert b"Secretperson" in original
    data = drawn(studio, "located.jpg", Variant(quality)).data
    assert not [mark for mark in (b"Exif", b"EXIF", b"XMP ", b"ICCP", b"Secret") if mark in data]


def test_facts_hold_neither(studio: Studio) -> None:
    made = studio.make(SAMPLES / "located.jpg")
    assert made.media is not None
    assert "ecret" not in repr(made.media)
    assert made.pictures == {}


# -- colours ---------------------------------------------------------------------------------------


def test_a_profile_matters(studio: Studio) -> None:
    """Without it, the pictures with wide colours would look pale, and this test would pass too."""
    pale = pyvips.Image.new_from_file(str(SAMPLES / "adobe-rgb.jpg"))
    assert likeness(pale, reference("adobe-rgb")).delta > 3.0


def test_cmyk_without_a_profile_is_no_negative(studio: Studio) -> None:
    for name in ("cmyk.jpg", "cmyk.tiff"):
        image = plain(opened(drawn(studio, name).data))
        red, green, blue = image(105, 95)
        assert min(red, green, blue) > 240, name  # the white patch
        assert max(image(45, 95)) < 60, name  # the black one
        red, green, blue = image(45, 45)
        assert red > 180, name
        assert max(green, blue) < 90, name


def test_cmyk_with_a_profile_of_other_colours_is_read_without_it(studio: Studio) -> None:
    one = opened(drawn(studio, "cmyk-with-rgb-profile.jpg").data)
    assert likeness(one, opened(drawn(studio, "cmyk.jpg").data)).delta < 0.5


@pytest.mark.parametrize(
    ("mode", "pixel"),
    [
        ("I;16", (0x8000,)),
        ("RGBa", (64, 32, 16, 128)),
        ("RGBa;16", (0x4000, 0x2000, 0x1000, 0x8000)),
    ],
)
def test_a_heic_may_be_grey_and_deep_or_multiplied_by_alpha(
    studio: Studio, mode: str, pixel: tuple[int, ...]
) -> None:
    data = struct.pack(f"<{len(pixel)}{'H' if ';' in mode else 'B'}", *pixel) * 64**2
    file = io.BytesIO()
    pillow_heif.from_bytes(mode, (64, 64), data).save(file, quality=-1)
    found = opened(studio.make(file.getvalue(), [LARGEST]).pictures[LARGEST].data)
    expected = (128, 128, 128) if mode == "I;16" else (128, 64, 32, 128)
    assert [round(band.avg()) for band in found.bandsplit()] == pytest.approx(expected, abs=4)


def greys(studio: Studio, name: str) -> list[float]:
    """The ramp of light from left to right, as it is shown."""
    image = plain(opened(drawn(studio, name).data))
    found = []
    for left in range(4, image.width - 4, 8):
        values = image.crop(left, image.height // 4, 4, image.height // 2).stats()
        red, green, blue = (values(4, band)[0] for band in (1, 2, 3))
        assert max(red, green, blue) - min(red, green, blue) < 6  # grey stays grey
        found.append(green)
    return found


@pytest.mark.parametrize("name", ["pq.png", "hlg.png", "pq.avif", "hdr.mp4"])
def test_bright_light_is_compressed_and_not_clipped(studio: Studio, name: str) -> None:
    ramp = greys(studio, name)
    assert all(after >= before - 1 for before, after in pairwise(ramp))
    assert ramp[0] < 20
    white = ramp[len(ramp) * 58 // 100]  # in PQ, 203 cd/m² is the signal 0.58
    assert 140 < white < 245
    assert ramp[-1] > white + 5  # what is brighter than white is still brighter
    assert sum(value < 252 for value in ramp) > 0.75 * len(ramp)


def test_light_in_floating_point_is_compressed(studio: Studio) -> None:
    image = plain(opened(drawn(studio, "floating.tiff").data))
    # Four times as much light as a screen has: the clouds have structure still.
    assert image.crop(40, 5, 40, 20).deviate() > 3


# -- animations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["animated.gif", "animated.webp"])
@pytest.mark.parametrize("quality", QUALITIES)
def test_an_animation_moves_from_quality_3_on(studio: Studio, name: str, quality: int) -> None:
    picture = drawn(studio, name, Variant(quality))
    image = opened(picture.data)
    assert image.get_n_pages() == (12 if quality >= 3 else 1)
    assert (picture.width, picture.height) == target(Variant(quality), Size(220, 120))
    assert (image.width, image.get_page_height()) == (picture.width, picture.height)


@pytest.mark.parametrize("name", ["animated.gif", "animated.webp"])
def test_each_frame_is_the_right_one_and_stays_as_long(studio: Studio, name: str) -> None:
    image = opened(drawn(studio, name).data)
    assert image.get("delay") == [80] * 12
    assert image.get("loop") == 0
    found = likeness(image.crop(0, 6 * 120, 220, 120), reference("animated-6"))
    assert found.delta <= 2.5, found


def test_a_square_of_an_animation_is_the_same_part_of_each_frame(studio: Studio) -> None:
    picture = drawn(studio, "animated.gif", Variant(3, "square"))
    image = opened(picture.data)
    assert (image.width, image.get_page_height()) == (120, 120)
    # webp joins frames that are equal, here those in which the bar is outside of the square.
    assert sum(image.get("delay")) == 12 * 80
    rows = [plain(image.crop(0, top + 5, 120, 10)) for top in range(0, image.height, 120)]
    assert len(rows) > 6
    assert all(likeness(row, rows[0]).delta < 3.0 for row in rows)  # above the bar nothing moves


def test_a_long_animation_is_a_still(studio: Studio) -> None:
    made = studio.make(SAMPLES / "long.gif", [LARGEST])
    assert made.media is not None
    assert made.media.frames == 130
    assert opened(made.pictures[LARGEST].data).get_n_pages() == 1


# -- facts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STILLS, ids=lambda path: path.name)
def test_facts_of_an_image(studio: Studio, path: Path) -> None:
    media = studio.make(path).media
    assert media is not None
    assert media.kind == "image"
    assert media.alpha == ("alpha" in path.name or media.frames is not None)
    assert media.duration is None
    assert media.placeholder is not None
    assert media.width is not None
    assert max(opened(media.placeholder).width, opened(media.placeholder).height) == SIDES[1]


def test_width_and_height_are_those_of_the_turned_picture(studio: Studio) -> None:
    for number in range(1, 9):
        media = studio.make(SAMPLES / f"orientation-{number}.jpg").media
        assert media is not None
        assert (media.width, media.height) == (480, 360)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"<svg xmlns='x'/>", b"text", bytes(5000)])
def test_what_is_no_picture_has_none(studio: Studio, data: bytes) -> None:
    made = studio.make(data or b"\n", VARIANTS)
    assert made.media is None
    assert made.pictures == {}
