"""Makes a folder of 200 mixed files as people have them: `python -m tests.imaging.folder FOLDER`.

No program that Lading uses makes them: ImageMagick 6.9, cwebp and gif2webp (webp), heif-enc
(libheif-examples), avifenc (libavif-bin), exiftool (libimage-exiftool-perl) and ffmpeg 5.1, all of
Debian 12. Each of forty recipes is carried out on five scenes that differ in size and colours; with
patches in the corner at the left of the top, so a picture that is turned wrong is seen at once.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.imaging.samples.make import (
    ADOBE,
    ORIENTATIONS,
    P3,
    convert,
    ffmpeg,
    insert_icc,
    run,
    srgb,
    table_profile,
)


class Look(NamedTuple):
    size: str
    sky: str
    ground: str
    sun: str


SCENES = (
    Look("1600x1200", "skyblue-steelblue", "#3a5a2a", "#fff2b0"),
    Look("1200x1600", "gold-firebrick", "#402030", "#fff8e0"),
    Look("1920x1080", "plum-midnightblue", "#1c2c3c", "#e8e8ff"),
    Look("900x900", "palegreen-teal", "#6b4a2b", "#ffe08a"),
    Look("2400x1000", "lightsalmon-slateblue", "#2d4d4d", "#ffd0d0"),
)

FILM_SIDE = 1280
"""The long side of a film in pixels."""


@dataclass(frozen=True)
class Scene:
    """A picture to begin with, and a place for what lies between."""

    source: Path
    folder: Path

    def between(self, name: str) -> Path:
        return self.folder / f"{self.source.stem}-{name}"

    def cover(self) -> Path:
        path = self.between("cover.jpg")
        convert(self.source, "-resize", "500x500", "-quality", "85", "-strip", path)
        return path

    def animation(self) -> Path:
        """The sun goes down in twelve frames."""
        path = self.between("frames.gif")
        steps: list[object] = []
        for number in range(12):
            roll = ("-roll", f"+0+{number * 6}")
            steps += ["(", self.source, "-resize", "320x320", *roll, "-colors", "64", ")"]
        convert("-delay", "8", "-loop", "0", *steps, path)
        return path

    def with_profile(self, profile: bytes, target: Path) -> None:
        icc = self.between("profile.icc")
        icc.write_bytes(profile)
        profiles = ("-profile", srgb(self.folder), "-profile", icc)
        convert(self.source, *profiles, "-quality", "92", target)

    def film(self, target: Path, *options: object, sound: bool = True, shape: str = "") -> None:
        """Two seconds; the picture is brighter and brighter."""
        still = ("-loop", "1", "-framerate", "25", "-t", "2", "-i", self.source)
        tone = ("-f", "lavfi", "-i", "sine=frequency=330:duration=2") if sound else ()
        fit = f"scale={FILM_SIDE}:{FILM_SIDE}:force_original_aspect_ratio=decrease"
        even = "crop=trunc(iw/16)*16:trunc(ih/16)*16,fade=in:0:10,format=yuv420p"
        look = ",".join(filter(None, (fit, even, shape)))
        ffmpeg(*still, *tone, "-vf", look, "-shortest", *options, target)

    def sound(self, target: Path, *options: object, covered: bool) -> None:
        tone = ("-f", "lavfi", "-i", "aevalsrc=sin(880*t)*sin(t):s=22050:d=4")
        cover: tuple[object, ...] = ()
        if covered:
            cover = ("-i", self.cover(), "-map", "0:a", "-map", "1:v", "-c:v", "copy")
            cover += ("-disposition:v", "attached_pic")
        told = ("-metadata", "title=A tone", "-metadata", "artist=A generator")
        ffmpeg(*tone, *cover, *told, *options, target)


Recipe = Callable[[Scene, Path], None]
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-c:a", "aac")


def _orientation(number: int) -> Recipe:
    def make(scene: Scene, target: Path) -> None:
        convert(scene.source, *ORIENTATIONS[number], "-quality", "85", "-strip", target)
        run("exiftool", "-q", "-n", "-overwrite_original", f"-Orientation={number}", target)

    return make


def _magick(*options: object, kind: str = "") -> Recipe:
    """ImageMagick; `kind` is its name of the format where the ending does not say it."""

    def make(scene: Scene, target: Path) -> None:
        convert(scene.source, *options, f"{kind}:{target}" if kind else target)

    return make


def _film(*options: object, sound: bool = True, shape: str = "") -> Recipe:
    return lambda scene, target: scene.film(target, *options, sound=sound, shape=shape)


def _sound(*options: object, covered: bool = True) -> Recipe:
    return lambda scene, target: scene.sound(target, *options, covered=covered)


def _located(scene: Scene, target: Path) -> None:
    _orientation(6)(scene, target)
    where = ("-GPSLatitude=48.2", "-GPSLatitudeRef=N", "-GPSLongitude=16.4", "-GPSLongitudeRef=E")
    made = ("-Make=A phone", "-DateTimeOriginal=2026:01:02 03:04:05")
    run("exiftool", "-q", "-overwrite_original", *where, *made, target)


def _inks(scene: Scene, target: Path) -> None:
    plain = scene.between("inks.jpg")
    convert(scene.source, "-colorspace", "CMYK", "-quality", "90", plain)
    insert_icc(plain, table_profile(), target)


def _see_through(scene: Scene, target: Path) -> None:
    """Fading to nothing towards the right."""
    fade = ("(", "+clone", "-sparse-color", "Barycentric", "0,0 white %w,0 black 0,%h white", ")")
    convert(scene.source, *fade, "-alpha", "off", "-compose", "CopyOpacity", "-composite",
            f"png32:{target}")  # fmt: skip


def _cwebp(*options: object, see_through: bool = False) -> Recipe:
    def make(scene: Scene, target: Path) -> None:
        source = scene.source
        if see_through:
            source = scene.between("see-through.png")
            _see_through(scene, source)
        run("cwebp", "-quiet", *options, source, "-o", target)

    return make


def _moving(scene: Scene, target: Path) -> None:
    scene.animation().replace(target)


def _moving_webp(scene: Scene, target: Path) -> None:
    run("gif2webp", "-quiet", "-lossy", scene.animation(), "-o", target)


def _heic(scene: Scene, target: Path) -> None:
    run("heif-enc", "-q", "60", scene.source, "-o", target)


def _heic_by_exif(scene: Scene, target: Path) -> None:
    turned = scene.between("turned.png")
    convert(scene.source, *ORIENTATIONS[6], f"png24:{turned}")
    run("heif-enc", "-q", "60", turned, "-o", target)
    run("exiftool", "-q", "-n", "-overwrite_original", "-IFD0:Orientation=6", target)


def _avif(*options: object) -> Recipe:
    return lambda scene, target: run("avifenc", "-s", "8", *options, scene.source, target)


def _sideways(scene: Scene, target: Path) -> None:
    """As a phone that is held upright writes it."""
    lying = scene.between("lying.mp4")
    scene.film(lying, *H264, sound=False, shape="transpose=1")
    ffmpeg("-i", lying, "-c", "copy", "-metadata:s:v", "rotate=90", target)


RECIPES: dict[str, Recipe] = {
    **{f"orientation-{number}.jpg": _orientation(number) for number in ORIENTATIONS},
    "progressive.jpg": _magick("-interlace", "JPEG", "-quality", "85"),
    "grey.jpg": _magick("-colorspace", "Gray", "-quality", "85"),
    "inks.jpg": _inks,
    "adobe-rgb.jpg": lambda scene, target: scene.with_profile(ADOBE, target),
    "display-p3.jpg": lambda scene, target: scene.with_profile(P3, target),
    "located.jpg": _located,
    "interlaced.png": _magick("-interlace", "PNG", kind="png24"),
    "palette.png": _magick("-colors", "64", kind="png8"),
    "sixteen-bit.png": _magick("-depth", "16", kind="png48"),
    "see-through.png": _see_through,
    "still.gif": _magick("-colors", "128"),
    "moving.gif": _moving,
    "lossy.webp": _cwebp("-q", "80"),
    "see-through.webp": _cwebp("-lossless", "-z", "2", see_through=True),
    "moving.webp": _moving_webp,
    "lzw.tiff": _magick("-compress", "LZW"),
    "jpeg.tiff": _magick("-compress", "JPEG", "-quality", "85"),
    "inks.tiff": _magick("-colorspace", "CMYK", "-compress", "Zip"),
    "plain.heic": _heic,
    "turned-by-exif.heic": _heic_by_exif,
    "plain.avif": _avif(),
    "ten-bit.avif": _avif("-d", "10"),
    "starts-soon.mp4": _film(*H264, "-movflags", "+faststart"),
    "sideways.mp4": _sideways,
    "silent.mov": _film(*H264, sound=False),
    "vp9.webm": _film("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "40",
                      "-b:v", "0", "-c:a", "libopus"),
    "hevc.mkv": _film("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error",
                      "-c:a", "aac"),
    "mjpeg.avi": _film("-c:v", "mjpeg", "-q:v", "9", "-pix_fmt", "yuvj420p", sound=False),
    "broadcast.ts": _film("-c:v", "mpeg2video", "-q:v", "8", "-c:a", "mp2"),
    "covered.mp3": _sound("-c:a", "libmp3lame"),
    "covered.flac": _sound("-c:a", "flac"),
    "tone.ogg": _sound("-c:a", "libvorbis", covered=False),
}  # fmt: skip
"""How each kind of file is made, by its name without the number of the scene."""


def paint(path: Path, look: Look, seed: int) -> None:
    """Clouds, hills, a sun, and patches of colour in a corner."""
    width, height = (int(each) for each in look.size.split("x"))

    def at(*shares: float) -> str:
        pairs = zip(shares[::2], shares[1::2], strict=True)
        return " ".join(f"{round(x * width)},{round(y * height)}" for x, y in pairs)

    drawn: list[object] = []
    for colour, shape in (
        (look.ground, f"polygon {at(0, 0.7, 0.3, 0.5, 0.6, 0.75, 1, 0.55, 1, 1, 0, 1)}"),
        (look.sun, f"circle {at(0.82, 0.2, 0.82, 0.3)}"),
        ("red", f"rectangle {at(0.04, 0.05, 0.12, 0.18)}"),
        ("lime", f"rectangle {at(0.14, 0.05, 0.22, 0.18)}"),
        ("blue", f"rectangle {at(0.24, 0.05, 0.32, 0.18)}"),
        ("white", f"rectangle {at(0.04, 0.21, 0.12, 0.28)}"),
    ):
        drawn += ["-fill", colour, "-draw", shape]
    start = ("-size", look.size, "-seed", seed, f"plasma:{look.sky}", "-blur", "0x3")
    convert(*start, *drawn, "-depth", "8", "-strip", f"png24:{path}")


def make(target: Path, recipes: dict[str, Recipe] = RECIPES, scenes: int = len(SCENES)) -> int:
    """Make every file in a folder; returns how many there are."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, look in enumerate(SCENES[:scenes], 1):
            source = folder / f"scene-{number}.png"
            paint(source, look, seed=number)
            for ending, recipe in recipes.items():
                recipe(Scene(source, folder), target / f"{number}-{ending}")
    return len(recipes) * scenes


if __name__ == "__main__":
    print(make(Path(sys.argv[1])), "files")
