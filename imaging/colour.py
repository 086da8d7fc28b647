"""Colours of any picture to sRGB with 8 bits, which every browser shows alike.

A picture with a profile is converted by it, CMYK without one by the profile that libvips brings.
Light brighter than white (HDR: PQ, HLG, floating point) is compressed and not clipped. Sources:
SMPTE ST 2084, ITU-R BT.2100 (HLG), BT.2087 (the primaries), BT.2408 (white is 203 cd/m²).
"""

from __future__ import annotations

import math

import pyvips

from lading.imaging.boxes import BT2020, HLG, P3, PQ, Coding

WHITE = 203.0
"""Diffuse white of HDR pictures, in cd/m²."""
HLG_PEAK, PQ_PEAK = 1000.0, 10_000.0
KNEE = 0.6
"""Up to this share of white, light stays as it is."""

_PRIMARIES = {
    BT2020: [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    P3: [
        [1.2249, -0.2247, 0.0],
        [-0.0420, 1.0419, 0.0],
        [-0.0197, -0.0786, 1.0979],
    ],
}
"""Linear light with these primaries to linear light with those of sRGB."""

_PROFILE = "icc-profile-data"


def to_srgb(image: pyvips.Image, coding: Coding | None = None) -> pyvips.Image:
    """The picture in sRGB, with or without alpha. `coding` is what its file says beside a profile.

    Alpha that is opaque everywhere is dropped.
    """
    colours, alpha = image, None
    if image.hasalpha():
        colours, alpha = image[: image.bands - 1], image[image.bands - 1]
    alpha = None if alpha is None else _eight_bits(alpha)
    if coding is not None and coding.transfer in (PQ, HLG) and colours.bands == 3:
        colours = _from_hdr(colours, coding)
    elif colours.interpretation == "scrgb":
        colours = _displayed(colours)
    else:
        colours = _from_profile(colours)
    if colours.bands == 1:
        colours = colours.bandjoin([colours, colours])
    if alpha is None or alpha.min() == 255:
        return colours.copy(interpretation="srgb")
    return colours.bandjoin(alpha).copy(interpretation="srgb")


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    if image.format == "uchar":
        return image
    if image.format == "ushort":
        return (image >> 8).cast("uchar")
    return (image * (255 if image.format in ("float", "double") else 1)).cast("uchar")


def _from_profile(image: pyvips.Image) -> pyvips.Image:
    cmyk = image.interpretation == "cmyk"
    if image.get_typeof(_PROFILE) != 0 or cmyk:
        try:
            return image.icc_transform(
                "srgb",
                embedded=True,
                input_profile="cmyk" if cmyk else "srgb",
                intent="relative",
                black_point_compensation=True,
                depth=8,
            )
        except pyvips.Error:
            if cmyk:
                raise
            image = image.copy()  # a profile that is none
            image.remove(_PROFILE)
    return _eight_bits(image.colourspace("srgb"))


def _from_hdr(image: pyvips.Image, coding: Coding) -> pyvips.Image:
    """Signal values of PQ or HLG to light, 1 being white, then to what a screen shows."""
    most = {"uchar": 255, "ushort": 65535}.get(image.format, 1)
    signal = image.copy(interpretation="multiband") / most
    light = _pq(signal) if coding.transfer == PQ else _hlg(signal)
    matrix = _PRIMARIES.get(coding.primaries)
    if matrix is not None:
        light = light.recomb(matrix)
    return _displayed(light)


def _pq(signal: pyvips.Image) -> pyvips.Image:
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    base = (power - c1) / (c2 - power * c3)
    return (base > 0).ifthenelse(base, 0) ** (1 / m1) * (PQ_PEAK / WHITE)


def _hlg(signal: pyvips.Image) -> pyvips.Image:
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * math.log(4 * a)
    scene = (signal <= 0.5).ifthenelse(signal**2 / 3, (((signal - c) / a).exp() + b) / 12)
    luminance = scene.recomb([[0.2627, 0.6780, 0.0593]])
    # The system gamma of a screen of 1,000 cd/m² is 1.2.
    return scene * (luminance + 1e-6) ** 0.2 * (HLG_PEAK / WHITE)


def _displayed(light: pyvips.Image) -> pyvips.Image:
    """Linear light to sRGB: what is brighter than the knee is compressed, by its brightest colour.

    So hues stay, and no light is so strong that it reaches 1.
    """
    light = (light > 0).ifthenelse(light, 0)
    brightest = light[0]
    for band in range(1, light.bands):
        brightest = (brightest > light[band]).ifthenelse(brightest, light[band])
    beyond = (brightest - KNEE) / (1 - KNEE)
    lowered = beyond / (beyond + 1) * (1 - KNEE) + KNEE
    factor = (brightest > KNEE).ifthenelse(lowered / (brightest + 1e-9), 1)
    return (light * factor).copy(interpretation="scrgb").colourspace("srgb").cast("uchar")
