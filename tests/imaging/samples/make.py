"""Makes the samples again: `python -m tests.imaging.samples.make` in a checkout, as anybody.

They are made by other programs than those which Lading uses, and so are the pictures they are
compared with: ImageMagick 6.9, heif-enc (libheif-examples), exiftool (libimage-exiftool-perl),
cwebp, gif2webp (webp), avifenc (libavif-bin), ffmpeg 5.1, all of Debian 12. The files are
committed, since every version of those programs writes other bytes; the tests do not run this.

`scene.png` is the picture that nearly all samples show. What a program cannot write (a profile, the
chunk of a PNG, the turn of a HEIC file) is written here byte by byte.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).parent
REFERENCES = HERE / "references"
CONVERT = "convert-im6.q16"
XYZ = tuple[float, float, float]
SIZE = "480x360"

ORIENTATIONS = {
    1: (),
    2: ("-flop",),
    3: ("-rotate", "180"),
    4: ("-flip",),
    5: ("-transpose",),
    6: ("-rotate", "270"),
    7: ("-transverse",),
    8: ("-rotate", "90"),
}
"""What is done to the scene's pixels so that the EXIF orientation brings it back."""


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def convert(*arguments: object) -> None:
    """ImageMagick; without times in its files, so that the same call writes the same bytes."""
    run(CONVERT, *arguments)


def ffmpeg(*arguments: object) -> None:
    run("ffmpeg", "-nostdin", "-v", "error", "-y", *arguments)


# -- what programs do not write --------------------------------------------------------------------


WHITE = (0.9642, 1.0, 0.8249)
"""D50, to which all profiles are adapted."""


def xyz(values: XYZ) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def profile(kind: bytes, contents: list[tuple[bytes, bytes]], name: str) -> bytes:
    """A profile with these tags (ICC.1:2010, clause 7)."""
    text = name.encode()
    label = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    label += bytes(-len(label) % 4)
    tags = [
        (b"desc", label),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
        (b"wtpt", xyz(WHITE)),
        *contents,
    ]
    table, data, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, payload in tags:
        table += tag + struct.pack(">II", at + len(data), len(payload))
        data += payload
    head = struct.pack(">I4xI", at + len(data), 0x02400000) + kind
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + xyz(WHITE)[8:] + bytes(48)
    )
    assert len(head) == 128
    return head + struct.pack(">I", len(tags)) + table + data


def matrix_profile(red: XYZ, green: XYZ, blue: XYZ, gamma: float, name: str) -> bytes:
    """A profile of three primaries, adapted to D50, and one gamma (clause 8.3)."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    primaries = [(b"rXYZ", xyz(red)), (b"gXYZ", xyz(green)), (b"bXYZ", xyz(blue))]
    curves = [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return profile(b"mntrRGB XYZ ", primaries + curves, name)


ADOBE = matrix_profile(
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
    2.19921875,
    "Adobe RGB (1998) alike",
)
P3 = matrix_profile(
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
    2.2,
    "Display P3 alike",
)


def table_profile() -> bytes:
    """A profile of CMYK: a table with a colour for each corner (ICC.1:2010, clause 10.8)."""
    corners = b""
    for corner in range(16):
        c, m, y, k = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        lightness = 0.12 if k else 1.0
        red, green, blue = (lightness * (1.0 if not ink else 0.15) for ink in (c, m, y))
        light = 100 * (0.25 * red + 0.6 * green + 0.15 * blue)
        corners += bytes(
            (
                round(light * 2.55),
                round(128 + 90 * (red - green)),
                round(128 + 80 * (green - blue)),
            )
        )
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (at % 4 == 0) for at in range(9)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + 4 * ramp + corners + 3 * ramp
    return profile(b"prtrCMYKLab ", [(b"A2B0", table + bytes(-len(table) % 4))], "Four inks")


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def with_chunk(path: Path, kind: bytes, data: bytes) -> None:
    """Put a chunk after the header of a PNG."""
    first, *rest = png_chunks(path.read_bytes())
    path.write_bytes(png([first, (kind, data), *rest]))


# -- the samples -----------------------------------------------------------------------------------


def scene() -> Path:
    """A picture without symmetry: clouds, a horizon, a sun in a corner, patches of colour."""
    path = REFERENCES / "scene.png"
    convert(
        "-size",
        SIZE,
        "-seed",
        "7",
        "plasma:skyblue-steelblue",
        "-blur",
        "0x3",
        "-fill",
        "#3a5a2a",
        "-draw",
        "polygon 0,240 160,190 300,260 480,210 480,360 0,360",
        "-fill",
        "#fff2b0",
        "-draw",
        "circle 400,70 400,105",
        "-fill",
        "red",
        "-draw",
        "rectangle 20,20 70,70",
        "-fill",
        "lime",
        "-draw",
        "rectangle 80,20 130,70",
        "-fill",
        "blue",
        "-draw",
        "rectangle 140,20 190,70",
        "-fill",
        "black",
        "-draw",
        "rectangle 20,80 70,110",
        "-fill",
        "white",
        "-draw",
        "rectangle 80,80 130,110",
        "-fill",
        "#808080",
        "-draw",
        "rectangle 140,80 190,110",
        "-fill",
        "#c08060",
        "-draw",
        "ellipse 240,270 60,45 0,360",
        "-stroke",
        "#202020",
        "-draw",
        "line 230,300 330,340",
        "-stroke",
        "none",
        "-depth",
        "8",
        "-strip",
        f"png24:{path}",
    )
    return path


def jpegs(source: Path, folder: Path) -> None:
    for number, turn in ORIENTATIONS.items():
        path = HERE / f"orientation-{number}.jpg"
        convert(source, *turn, "-quality", "88", "-strip", path)
        run("exiftool", "-q", "-n", "-overwrite_original", f"-Orientation={number}", path)
    # A phone's: the place, the time, the maker, and a preview inside.
    gps = HERE / "located.jpg"
    shutil.copy(HERE / "orientation-6.jpg", gps)
    run(
        "exiftool",
        "-q",
        "-overwrite_original",
        "-GPSLatitude=48.2",
        "-GPSLatitudeRef=N",
        "-GPSLongitude=16.37",
        "-GPSLongitudeRef=E",
        "-Make=Secretphone",
        "-DateTimeOriginal=2026:01:02 03:04:05",
        "-XMP:Creator=Secretperson",
        gps,
    )
    convert(source, "-interlace", "JPEG", "-quality", "88", HERE / "progressive.jpg")
    convert(source, "-colorspace", "Gray", "-quality", "88", HERE / "grey.jpg")
    convert(source, "-colorspace", "CMYK", "-quality", "92", HERE / "cmyk.jpg")
    for name, profile in (("adobe-rgb", ADOBE), ("display-p3", P3)):
        icc = folder / f"{name}.icc"
        icc.write_bytes(profile)
        convert(
            source,
            "-profile",
            srgb(folder),
            "-profile",
            icc,
            "-quality",
            "95",
            HERE / f"{name}.jpg",
        )
    # A profile for other colours than the picture has, as some programs write.
    convert(HERE / "cmyk.jpg", "-set", "colorspace", "CMYK", f"{folder}/plain-cmyk.jpg")
    insert_icc(folder / "plain-cmyk.jpg", P3, HERE / "cmyk-with-rgb-profile.jpg")
    insert_icc(folder / "plain-cmyk.jpg", table_profile(), HERE / "cmyk-with-profile.jpg")


def srgb(folder: Path) -> Path:
    path = folder / "srgb.icc"
    path.write_bytes(
        matrix_profile(
            (0.43607, 0.22249, 0.01392),
            (0.38515, 0.71687, 0.09708),
            (0.14307, 0.06061, 0.71410),
            2.2,
            "sRGB alike",
        )
    )
    return path


def insert_icc(source: Path, profile: bytes, target: Path) -> None:
    """The segment APP2 with a profile, behind the first marker of a JPEG."""
    payload = b"ICC_PROFILE\0\x01\x01" + profile
    data = source.read_bytes()
    segment = b"\xff\xe2" + struct.pack(">H", len(payload) + 2) + payload
    target.write_bytes(data[:2] + segment + data[2:])


def pngs(source: Path, folder: Path) -> None:
    convert(source, "-interlace", "PNG", f"png24:{HERE}/interlaced.png")
    convert(source, "-colors", "64", f"png8:{HERE}/palette.png")
    convert(source, "-colorspace", "Gray", "-threshold", "50%", "-depth", "1", HERE / "one-bit.png")
    convert(
        source,
        "-resize",
        "240x180",
        "-blur",
        "0x1",
        "-depth",
        "16",
        f"png48:{HERE}/sixteen-bit.png",
    )
    convert(
        source,
        "-colorspace",
        "Gray",
        "-resize",
        "240x180",
        "-blur",
        "0x1",
        "-depth",
        "16",
        f"png:{HERE}/grey-sixteen-bit.png",
    )
    # Opaque in the middle, fading to nothing at the edges.
    fade = folder / "fade.png"
    convert("-size", SIZE, "radial-gradient:white-black", "-level", "0,60%", fade)
    convert(
        source,
        fade,
        "-alpha",
        "off",
        "-compose",
        "CopyOpacity",
        "-composite",
        f"png32:{HERE}/alpha.png",
    )
    convert(HERE / "alpha.png", "-colors", "32", f"png8:{HERE}/palette-alpha.png")
    with_exif = HERE / "turned.png"
    convert(source, *ORIENTATIONS[6], "-strip", f"png24:{with_exif}")
    run("exiftool", "-q", "-n", "-overwrite_original", "-IFD0:Orientation=6", with_exif)
    # A ramp of light from nothing to 10,000 cd/m², in PQ.
    hdr = HERE / "pq.png"
    convert(
        "-size", "64x256", "gradient:white-black", "-rotate", "90", "-depth", "16", f"png48:{hdr}"
    )
    with_chunk(hdr, b"cICP", bytes((9, 16, 0, 1)))
    shutil.copy(hdr, HERE / "hlg.png")
    chunks = [
        (kind, bytes((9, 18, 0, 1)) if kind == b"cICP" else data)
        for kind, data in png_chunks(hdr.read_bytes())
    ]
    (HERE / "hlg.png").write_bytes(png(chunks))


def others(source: Path, folder: Path) -> None:
    jpeg = folder / "scene.jpg"
    convert(source, "-quality", "92", "-strip", jpeg)
    run("cwebp", "-quiet", "-q", "85", source, "-o", HERE / "lossy.webp")
    run("cwebp", "-quiet", "-lossless", HERE / "alpha.png", "-o", HERE / "alpha.webp")
    turned = folder / "turned.jpg"
    shutil.copy(HERE / "orientation-6.jpg", turned)
    run("cwebp", "-quiet", "-q", "85", "-metadata", "exif", turned, "-o", HERE / "turned.webp")
    convert(source, "-compress", "LZW", HERE / "lzw.tiff")
    convert(source, "-compress", "JPEG", "-quality", "90", HERE / "jpeg.tiff")
    convert(
        source,
        "-resize",
        "240x180",
        "-depth",
        "16",
        "-endian",
        "MSB",
        "-compress",
        "Zip",
        HERE / "sixteen-bit.tiff",
    )
    convert(source, "-colorspace", "CMYK", "-compress", "Zip", HERE / "cmyk.tiff")
    convert(
        source, *ORIENTATIONS[8], "-orient", "LeftBottom", "-compress", "Zip", HERE / "turned.tiff"
    )
    convert(
        source,
        "-resize",
        "120x90",
        "-colorspace",
        "RGB",
        "-evaluate",
        "multiply",
        "4",
        "-depth",
        "32",
        "-define",
        "quantum:format=floating-point",
        "-compress",
        "Zip",
        HERE / "floating.tiff",
    )
    convert(source, "(", source, "-negate", ")", "-compress", "Zip", HERE / "pages.tiff")
    convert(source, "-colors", "128", HERE / "still.gif")


def animations() -> None:
    """A bar that moves from left to right: 12 frames, and 130."""
    for count, name in ((12, "animated"), (130, "long")):
        frames = []
        for number in range(count):
            left = 200 * number // count
            frames += [
                "(",
                "-size",
                "220x120",
                "xc:#204060",
                "-fill",
                "#f0c040",
                "-draw",
                f"rectangle {left},20 {left + 19},99",
                ")",
            ]
        convert("-delay", "8", "-loop", "0", *frames, "-layers", "optimize", HERE / f"{name}.gif")
    run("gif2webp", "-quiet", "-lossy", HERE / "animated.gif", "-o", HERE / "animated.webp")


def heifs(source: Path, folder: Path) -> None:
    run("heif-enc", "-q", "80", source, "-o", HERE / "plain.heic")
    run("heif-enc", "-q", "85", HERE / "alpha.png", "-o", HERE / "alpha.heic")
    # heif-enc turns the picture by its property `irot` if the source is turned.
    run("heif-enc", "-q", "80", HERE / "orientation-6.jpg", "-o", HERE / "turned.heic")
    # The EXIF block says 6, and nothing else does, as on some phones.
    by_exif = HERE / "turned-by-exif.heic"
    run("heif-enc", "-q", "80", rotated(source, folder), "-o", by_exif)
    run("exiftool", "-q", "-n", "-overwrite_original", "-IFD0:Orientation=6", by_exif)
    fine = ("--min", "12", "--max", "20", "-s", "6")
    run("avifenc", *fine, source, HERE / "plain.avif")
    run("avifenc", *fine, "--irot", "3", rotated(source, folder), HERE / "turned.avif")
    run(
        "avifenc",
        *fine,
        "-d",
        "10",
        "-y",
        "444",
        "--cicp",
        "9/16/9",
        HERE / "pq.png",
        HERE / "pq.avif",
    )


def rotated(source: Path, folder: Path) -> Path:
    path = folder / "rotated.png"
    convert(source, *ORIENTATIONS[6], f"png24:{path}")
    return path


def films(source: Path, folder: Path) -> None:
    still = ("-loop", "1", "-framerate", "25", "-t", "2", "-i", source)
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
    h264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")
    bt601 = (
        "-vf",
        "scale=320:240:out_color_matrix=bt601",
        "-color_primaries",
        "smpte170m",
        "-color_trc",
        "smpte170m",
        "-colorspace",
        "smpte170m",
    )
    plain = ("-bitexact", "-shortest")
    titled = ("-metadata", "title=Test picture", *plain)
    aac = ("-c:a", "aac", "-b:a", "48k")
    first = HERE / "moov-first.mp4"
    ffmpeg(*still, *tone, *h264, *bt601, *aac, *titled, "-movflags", "+faststart", first)
    ffmpeg("-i", first, "-c", "copy", *plain, HERE / "moov-last.mp4")
    ffmpeg("-i", first, "-c", "copy", "-an", *plain, HERE / "silent.mov")
    for turn, degrees in ((1, 90), (2, 270)):
        turned = folder / f"{turn}.mp4"
        ffmpeg("-i", first, *h264, *bt601, "-vf", f"transpose={turn}", "-an", *plain, turned)
        ffmpeg(
            "-i",
            turned,
            "-c",
            "copy",
            "-metadata:s:v",
            f"rotate={degrees}",
            *plain,
            HERE / f"sideways-{degrees}.mp4",
        )
    ffmpeg(
        "-i",
        first,
        *h264,
        *bt601,
        "-vf",
        "scale=160:240,setsar=2/1",
        "-an",
        *plain,
        HERE / "wide.mp4",
    )
    # Black for its first 30 %, then the picture.
    ffmpeg(
        "-i",
        first,
        *h264,
        *bt601,
        "-vf",
        "drawbox=t=fill:color=black:enable='lt(t,0.6)'",
        "-an",
        *plain,
        HERE / "black-first.mp4",
    )
    ffmpeg(
        "-i",
        first,
        "-c:v",
        "libvpx-vp9",
        "-crf",
        "30",
        "-b:v",
        "0",
        "-c:a",
        "libopus",
        *titled,
        HERE / "vp9.webm",
    )
    ffmpeg(
        "-i",
        first,
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=error",
        "-crf",
        "24",
        "-an",
        *plain,
        HERE / "hevc.mkv",
    )
    ffmpeg(
        "-i", first, "-c:v", "mjpeg", "-q:v", "9", "-an", "-t", "0.5", *plain, HERE / "mjpeg.avi"
    )
    ffmpeg(
        "-i",
        first,
        "-c:v",
        "mpeg2video",
        "-q:v",
        "8",
        "-c:a",
        "mp2",
        "-b:a",
        "32k",
        *plain,
        HERE / "broadcast.ts",
    )
    ffmpeg(
        "-i",
        first,
        "-c:v",
        "libtheora",
        "-q:v",
        "7",
        "-c:a",
        "libvorbis",
        *plain,
        HERE / "theora.ogv",
    )
    ffmpeg(
        "-loop",
        "1",
        "-framerate",
        "25",
        "-t",
        "1",
        "-i",
        HERE / "pq.png",
        "-pix_fmt",
        "yuv420p10le",
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=error:crf=10:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
        "-vf",
        "scale=out_color_matrix=bt2020",
        "-color_primaries",
        "bt2020",
        "-color_trc",
        "smpte2084",
        "-colorspace",
        "bt2020nc",
        "-tag:v",
        "hvc1",
        *plain,
        HERE / "hdr.mp4",
    )


def sounds(source: Path, folder: Path) -> None:
    """Two seconds: silence, then a tone that grows. With the scene as the cover."""
    wave = HERE / "grows.wav"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "aevalsrc='if(lt(t,1),0,sin(2*PI*440*t)*(t-1))':s=16000:d=2",
        "-bitexact",
        wave,
    )
    cover = folder / "cover.jpg"
    convert(source, "-resize", "240x180", "-quality", "90", "-strip", cover)
    tags = (
        "-metadata",
        "title=A tone",
        "-metadata",
        "artist=A generator",
        "-metadata",
        "album=Tests",
    )
    covered = (
        "-i",
        wave,
        "-i",
        cover,
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
        "-bitexact",
        *tags,
    )
    ffmpeg(*covered, "-c:a", "libmp3lame", "-b:a", "48k", HERE / "covered.mp3")
    ffmpeg(*covered, "-c:a", "aac", "-b:a", "32k", HERE / "covered.m4a")
    ffmpeg(*covered, "-c:a", "flac", HERE / "covered.flac")
    ffmpeg("-i", wave, "-bitexact", *tags, "-c:a", "libvorbis", HERE / "tagged.ogg")
    ffmpeg("-i", wave, "-bitexact", "-c:a", "libopus", "-b:a", "24k", HERE / "plain.opus")


def references(folder: Path) -> None:
    """What the special ones should look like, by other decoders than Lading's."""

    def to_srgb(name: str, *extra: object) -> None:
        target = REFERENCES / f"{name.partition('.')[0]}.png"
        convert(HERE / name, *extra, "-strip", "-depth", "8", f"png24:{target}")

    for name in ("adobe-rgb.jpg", "display-p3.jpg", "cmyk-with-profile.jpg"):
        to_srgb(name, "-profile", srgb(folder))
    to_srgb("grey.jpg", "-colorspace", "sRGB")
    to_srgb("one-bit.png")
    convert(REFERENCES / "scene.png", "-resize", "320x240", f"png24:{REFERENCES}/scene-320.png")
    convert(
        REFERENCES / "scene.png",
        "-resize",
        "240x180",
        "-blur",
        "0x1",
        f"png24:{REFERENCES}/scene-240.png",
    )
    convert(
        REFERENCES / "scene.png",
        "-colorspace",
        "Gray",
        "-resize",
        "240x180",
        "-blur",
        "0x1",
        "-colorspace",
        "sRGB",
        f"png24:{REFERENCES}/grey-240.png",
    )
    for name in ("palette.png", "still.gif"):
        to_srgb(name)
    convert(HERE / "alpha.png", "-background", "white", "-flatten", f"png24:{REFERENCES}/alpha.png")
    convert(
        HERE / "palette-alpha.png",
        "-background",
        "white",
        "-flatten",
        f"png24:{REFERENCES}/palette-alpha.png",
    )
    convert(HERE / "animated.gif", "-coalesce", f"png24:{folder}/frame-%d.png")
    shutil.copy(folder / "frame-6.png", REFERENCES / "animated-6.png")


def main() -> None:
    """Make everything again."""
    REFERENCES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = scene()
        jpegs(source, folder)
        pngs(source, folder)
        others(source, folder)
        animations()
        heifs(source, folder)
        films(source, folder)
        sounds(source, folder)
        references(folder)


if __name__ == "__main__":
    main()
