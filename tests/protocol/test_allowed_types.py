"""Lists of allowed media types, and the type that is assumed where nobody named one."""

from __future__ import annotations

import pytest

from lading.protocol.allowed_types import assumed_type, is_allowed

UNNAMED = "application/octet-stream"


@pytest.mark.parametrize(
    ("mime_type", "allowed", "wanted"),
    [
        ("image/png", (), True),
        ("image/png", ("image/png",), True),
        ("image/png; q=1", ("image/png",), True),
        ("IMAGE/PNG", ("image/png",), True),
        ("image/x-png", ("image/png",), True),
        ("image/png", ("video/*", "image/*"), True),
        ("imagex/png", ("image/*",), False),
        ("image/png", ("image/gif",), False),
    ],
)
def test_a_list_has_a_type(mime_type: str, allowed: tuple[str, ...], wanted: bool) -> None:
    assert is_allowed(mime_type, allowed) is wanted


@pytest.mark.parametrize(
    ("name", "lists", "assumed"),
    [
        ("photo.jpg", [], "image/jpeg"),
        ("mine", [], UNNAMED),
        ("mine.bin", [("image/png",)], "image/png"),
        ("photo.jpg", [("image/*",)], "image/jpeg"),
        ("photo.jpg", [("image/*",), ("image/png",)], "image/png"),
        ("photo.jpg", [("a/b", UNNAMED)], UNNAMED),
        # Nothing fits: the first bytes will decide.
        ("photo.jpg", [("video/*", "audio/*")], "image/jpeg"),
        ("mine", [("image/png", "image/gif")], UNNAMED),
    ],
)
def test_the_type_of_what_nobody_named(
    name: str, lists: list[tuple[str, ...]], assumed: str
) -> None:
    assert assumed_type(name, *lists) == assumed
