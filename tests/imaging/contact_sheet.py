"""Uploads a folder to a server of its own, and draws all its thumbnails on one sheet.

    python -m tests.imaging.contact_sheet FOLDER docs/images/contact-sheet.webp

Whoever has the folder made looks at the sheet: each thumbnail must show the patches of colour at
its left and top. The answers are counted, and the facts of all files are compared with their names.
"""

from __future__ import annotations

import asyncio
import mimetypes
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

from tests.support.servers import Running, process

QUALITY, SIDE = 3, 160
COLUMNS, LABEL, GAP = 16, 14, 6
TYPES = {".heic": "image/heic", ".avif": "image/avif", ".mkv": "video/x-matroska",
         ".webm": "video/webm", ".webp": "image/webp", ".ts": "video/mp2t", ".flac": "audio/flac",
         ".ogg": "audio/ogg"}  # fmt: skip
"""What a browser declares; the table of the machine may not know them."""

PATIENCE = 300.0


@dataclass(frozen=True)
class Shown:
    """What a server made of a file: the image, or the code that says why there is none."""

    name: str
    facts: dict[str, Any] | None
    image: bytes | None
    code: str | None


def media_type(name: str) -> str:
    found = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    return found or "application/octet-stream"


async def picture(http: httpx.AsyncClient, file_id: str, quality: int) -> httpx.Response:
    """The answer to a request for an image, when it is no 202 any more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await http.get(f"/v1/files/{file_id}/{quality}")
            if answer.status_code != 202:
                return answer
            await asyncio.sleep(0.05)


async def show(server: Running, files: list[Path]) -> list[Shown]:
    """Upload all, then ask for the image of each."""
    async with server.http(timeout=60) as http:
        ids = []
        for file in files:
            told = {"Content-Type": media_type(file.name)}
            answer = await http.post(
                "/v1/files", params={"name": file.name}, content=file.read_bytes(), headers=told
            )
            assert answer.status_code == 201, f"{file.name}: {answer.text}"
            ids.append(answer.json()["_id"])
        return [
            await _shown(http, file.name, file_id) for file, file_id in zip(files, ids, strict=True)
        ]


async def _shown(http: httpx.AsyncClient, name: str, file_id: str) -> Shown:
    answer = await picture(http, file_id, QUALITY)
    facts = (await http.get(f"/v1/manifests/{file_id}")).json()["media"]
    if answer.status_code == 200:
        return Shown(name, facts, answer.content, None)
    return Shown(name, facts, None, answer.json()["code"])


def draw(found: list[Shown]) -> Image.Image:
    """The sheet; a file without an image is its name and the code."""
    rows = -(-len(found) // COLUMNS)
    cell = SIDE + GAP, SIDE + LABEL + GAP
    sheet = Image.new("RGB", (COLUMNS * cell[0] + GAP, rows * cell[1] + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for number, each in enumerate(found):
        left, top = GAP + number % COLUMNS * cell[0], GAP + number // COLUMNS * cell[1]
        if each.image is None:
            pen.text((left, top + SIDE // 2), each.code or "", "grey")
        else:
            image = Image.open(BytesIO(each.image)).convert("RGBA")
            place = left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2
            sheet.paste(image, place, image)
        pen.text((left, top + SIDE), each.name[:25], "black")
    return sheet


def main(folder: str, target: str) -> None:
    """Start a server, show it the folder, draw the sheet, and say what came of each kind."""
    files = sorted(Path(folder).iterdir(), key=_by_kind)
    with (
        tempfile.TemporaryDirectory(prefix="lc-") as data,
        process(Path(data), None, free_space_floor=0) as server,
    ):
        found = asyncio.run(show(server, files))
    draw(found).save(target, quality=60, method=6)
    print(f"{len(found)} files:", dict(Counter(each.code or "image" for each in found)))
    for each in found:
        if each.code is not None:
            print(f"{each.name}: {each.code}, {(each.facts or {}).get('kind', 'no facts')}")


def _by_kind(path: Path) -> tuple[str, str]:
    scene, _, kind = path.name.partition("-")
    return kind, scene


if __name__ == "__main__":
    main(*sys.argv[1:])
