"""Hostile files: refused or shown as they are, soon, and at nobody else's cost."""

from __future__ import annotations

import pytest

from lading.imaging.ladder import Variant
from lading.imaging.made import Made
from lading.protocol.errors import UnprocessableImage
from tests.imaging import hostile
from tests.support.imaging import SAMPLES, Studio, likeness, opened, plain

SMALL = Variant(3)
STILLS = ("jpeg", "progressive", "png", "webp", "gif", "tiff", "avif", "heic")

HEADER_SECONDS = 1.0
"""Of the child's CPU, for what the header tells (page 10 of the design)."""


def tried(studio: Studio, data: bytes) -> Made | None:
    try:
        return studio.make(data, [SMALL])
    except UnprocessableImage:
        return None


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_a_lie_is_refused_by_its_header(studio: Studio, name: str) -> None:
    data = hostile.REFUSED[name]()
    studio.make(b"warm")
    (child,) = studio.memory()
    began = studio.cpu_seconds()
    with pytest.raises(UnprocessableImage) as refused:
        studio.make(data, [SMALL])
    assert studio.cpu_seconds() - began < HEADER_SECONDS
    assert str(refused.value).endswith(".")
    assert all(memory.peak < 400 * 2**20 for memory in studio.memory())
    assert [memory.pid for memory in studio.memory()] == [child.pid], "its decoder reports it"


def test_a_picture_of_few_lines_that_are_too_long_is_refused_in_words(studio: Studio) -> None:
    with pytest.raises(UnprocessableImage, match="1048577 x 2 pixels; a side has at most"):
        studio.make(hostile.long_tiff(), [SMALL])


@pytest.mark.parametrize("name", hostile.TAKEN)
def test_what_swells_costs_bounded_time_and_memory(studio: Studio, name: str) -> None:
    data = hostile.TAKEN[name]()
    studio.make(b"warm")
    began = studio.cpu_seconds()
    tried(studio, data)
    assert studio.cpu_seconds() - began < 15
    assert all(memory.peak < 700 * 2**20 for memory in studio.memory())


def test_what_hangs_on_to_a_picture_is_not_in_its_sizes(studio: Studio) -> None:
    made = tried(studio, hostile.TAKEN["a PNG that is a page, too"]())
    assert made is not None
    assert b"script" not in made.pictures[SMALL].data


@pytest.mark.parametrize("loader", STILLS)
def test_a_file_that_ends_too_early_is_no_grey_picture(studio: Studio, loader: str) -> None:
    data = hostile.sample(loader)
    whole = plain(opened(studio.make(data, [SMALL]).pictures[SMALL].data))
    for percent in range(1, 100, 9):
        made = tried(studio, hostile.truncated(data, percent))
        if made is not None and SMALL in made.pictures:
            shown = plain(opened(made.pictures[SMALL].data))
            assert shown.width == whole.width, percent
            frame = shown.crop(0, 0, whole.width, min(shown.height, whole.height))
            assert likeness(frame, whole.crop(0, 0, frame.width, frame.height)).delta < 1, percent


@pytest.mark.parametrize("loader", hostile.LOADERS)
def test_mutations_harm_nobody(studio: Studio, loader: str) -> None:
    """A few of what `python -m tests.imaging.fuzz` does by the thousand."""
    data = hostile.sample(loader)
    for seed in range(15):
        tried(studio, hostile.mutated(data, seed))
    photo = (SAMPLES / "orientation-1.jpg").read_bytes()
    assert SMALL in studio.make(photo, [SMALL]).pictures
    assert len(studio.memory()) == 1
