"""The contact sheet of the folder of 200 files, with a few samples in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imaging.contact_sheet import COLUMNS, GAP, SIDE, draw, show
from tests.imaging.folder import RECIPES, SCENES
from tests.support.imaging import SAMPLES
from tests.support.servers import process

CODES = {
    "alpha.png": None,
    "animated.gif": None,
    "covered.mp3": None,
    "plain.avif": None,
    "tagged.ogg": "not-found",
    "turned.heic": None,
    "vp9.webm": None,
}


async def test_all_files_of_a_folder_are_shown(tmp_path: Path, database_url: str) -> None:
    with process(tmp_path, database_url, free_space_floor=0) as server:
        found = await show(server, [SAMPLES / name for name in CODES])
    assert {each.name: each.code for each in found} == CODES
    assert all(each.facts for each in found)
    sheet = draw(found)
    assert sheet.width == COLUMNS * (SIDE + GAP) + GAP
    left = GAP + list(CODES).index("vp9.webm") * (SIDE + GAP)
    patch = sheet.getpixel((left + SIDE // 10, GAP + SIDE // 8 + SIDE // 10))
    assert isinstance(patch, tuple)
    assert patch[0] > 180
    assert max(patch[1:]) < 90, "the red patch of the scene"


@pytest.mark.parametrize("kind", ["image", "film", "sound"])
def test_the_folder_holds_two_hundred_files_of_all_kinds(kind: str) -> None:
    endings = {
        "image": {"jpg", "png", "gif", "webp", "tiff", "heic", "avif"},
        "film": {"mp4", "mov", "webm", "mkv", "avi", "ts"},
        "sound": {"mp3", "flac", "ogg"},
    }
    assert len(RECIPES) * len(SCENES) == 200
    assert endings[kind] <= {name.rpartition(".")[2] for name in RECIPES}
