"""A few of the files of `siege.py`, which sends a thousand."""

from __future__ import annotations

from pathlib import Path

from tests.imaging.siege import besiege
from tests.support.servers import process

CHEAP = (
    "a PNG of 30,000 squared",
    "a webp that claims 16 million squared",
    "a HEIC that is a film",
    "a bomb in a profile",
)


async def test_others_are_served_while_hostile_files_come(
    tmp_path: Path, database_url: str
) -> None:
    with process(tmp_path, database_url, free_space_floor=0) as server:
        so = await besiege(server, 30, named=CHEAP)
    assert so.answers["unprocessable-image"]
    assert so.answers["image"]
