"""Draws the picture of the ladder in docs/images.md: the seven sizes of a photo and of a video.

.venv/bin/python -m tests.support.ladder PHOTO VIDEO docs/images/ladder.webp
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, UnidentifiedImageError

from lading.imaging.ladder import QUALITIES, Variant
from lading.imaging.worker import Imager
from tests.support.imaging import Bytes

GAP, LABEL = 12, 20


async def made(data: bytes) -> list[tuple[str, Image.Image]]:
    """The qualities of a file from 1 to 6, each with what is written below it."""
    imager = Imager()
    try:
        found = await imager.make(Bytes(data), [Variant(each) for each in QUALITIES])
    finally:
        await imager.close()
    drawn = []
    for quality in QUALITIES:
        picture = found.pictures[Variant(quality)]
        text = f"{quality}: {picture.width} x {picture.height}, {len(picture.data):,} bytes"
        drawn.append((text, Image.open(BytesIO(picture.data)).convert("RGB")))
    return drawn


def original(path: Path) -> tuple[str, Image.Image]:
    """Quality 0: the file itself, and of a video the frame at half a second."""
    try:
        image = Image.open(path).convert("RGB")
    except UnidentifiedImageError:
        one = ("-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-")
        command = ("ffmpeg", "-v", "error", "-ss", "0.5", "-i", str(path), *one)
        frame = subprocess.run(command, check=True, capture_output=True).stdout
        image = Image.open(BytesIO(frame)).convert("RGB")
    return f"0: {image.width} x {image.height}, {path.stat().st_size:,} bytes", image


def row(pictures: list[tuple[str, Image.Image]]) -> Image.Image:
    """The pictures side by side, standing on one line."""
    labels = [max(image.width, 7 * len(text)) for text, image in pictures]
    height = max(image.height for _, image in pictures)
    width = sum(labels) + GAP * (len(labels) + 1)
    sheet = Image.new("RGB", (width, height + LABEL + 2 * GAP), "white")
    pen, left = ImageDraw.Draw(sheet), GAP
    for (text, image), width in zip(pictures, labels, strict=True):
        sheet.paste(image, (left, GAP + height - image.height))
        pen.text((left, GAP + height + 4), text, "black")
        left += width + GAP
    return sheet


def main(photo: str, video: str, target: str) -> None:
    """Draw the sheet: the photo above, the video below."""
    rows = []
    for path in (Path(photo), Path(video)):
        small = asyncio.run(made(path.read_bytes()))
        rows.append(row([*small, original(path)]))
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), "white")
    top = 0
    for each in rows:
        sheet.paste(each, (0, top))
        top += each.height
    sheet.save(target, quality=70, method=6)


if __name__ == "__main__":
    main(*sys.argv[1:])
