"""Kinds of files: their limits, and how one is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.protocol.errors import InvalidArgument, TooLarge, UnsupportedMediaType
from lading.protocol.kinds import Kind, Kinds

AVATAR = Kind(name="avatar", max_size=100, mime_types=("image/*",), crop="square")


@pytest.mark.parametrize("size", [None, 0, 100])
def test_a_size_within_the_limit(size: int | None) -> None:
    AVATAR.check_size(size)
    Kind(name="any").check_size(2**50)


def test_one_byte_too_much() -> None:
    with pytest.raises(TooLarge, match="avatar may have at most 100 bytes") as caught:
        AVATAR.check_size(101)
    assert caught.value.extra == {"limit": 100}


def test_a_type_that_the_kind_has_not() -> None:
    AVATAR.check_type("image/png")
    with pytest.raises(UnsupportedMediaType, match=r"must be image/\*, not text/plain"):
        AVATAR.check_type("text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("name", {"name": "Avatar"}),
        ("name", {"name": "a" * 65}),
        ("name", {"name": ""}),
        ("max_size", {"max_size": 0}),
        ("mime_types", {"mime_types": ("image",)}),
        ("crop", {"crop": "round"}),
        ("sizes", {"sizes": (0,)}),
        ("sizes", {"sizes": (7,)}),
        ("sizes", {"sizes": (1, 1)}),
        ("directory", {"directory": "a" * 1025}),
        ("expires_in", {"expires_in": 0.0}),
        ("expires_in", {"expires_in": 1e9}),
    ],
)
def test_values_that_are_not_allowed(key: str, changes: dict[str, object]) -> None:
    AVATAR.check()
    with pytest.raises(InvalidArgument, match=key):
        replace(AVATAR, **changes).check()  # type: ignore[arg-type]


def test_a_kind_is_found_by_its_name() -> None:
    kinds = Kinds([AVATAR, Kind(name="film")])
    assert kinds.find("avatar") == AVATAR
    assert kinds.find(None) is None
    assert [kind.name for kind in kinds] == ["avatar", "film"]


def test_an_unknown_kind_names_the_nearest_or_all() -> None:
    kinds = Kinds([AVATAR, Kind(name="film")])
    with pytest.raises(InvalidArgument, match="did you mean `avatar`"):
        kinds.find("Avatars")
    with pytest.raises(InvalidArgument, match="known are `avatar`, `film`"):
        kinds.find("zzz")
    with pytest.raises(InvalidArgument, match="has no kinds"):
        Kinds().find("avatar")


def test_a_kind_that_is_no_more_sets_no_limit() -> None:
    assert Kinds([AVATAR]).get("film") is None
    assert Kinds([AVATAR]).get(None) is None
