"""What a grant allows, and how an upload is compared with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol.allowed_types import MAX_MIME_TYPES
from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    TooLarge,
    UnsupportedMediaType,
)
from lading.protocol.grants import MAX_SECONDS, Action, Grant
from lading.protocol.manifest import MAX_INTEGER, Manifest, State
from lading.protocol.names import canonical_directory
from lading.protocol.spec import UploadSpec

ID, OTHER = "a" * 24, "b" * 24
SHA, OTHER_SHA = "0" * 64, "1" * 64


def grant(**changes: object) -> Grant:
    """A grant to upload anything."""
    plain = Grant(
        id=ID, action=Action.UPLOAD, user_id="ann", minter="site", created_at=0.0, expires_at=60.0
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def spec(**changes: object) -> UploadSpec:
    return replace(UploadSpec(name="mine.bin"), **changes)  # type: ignore[arg-type]


def manifest(upload_id: str, grant_id: str | None) -> Manifest:
    return Manifest(
        id=upload_id,
        user_id="ann",
        name="a",
        size=None,
        chunk_size=1024,
        created_at=0.0,
        updated_at=0.0,
        expires_at=None,
        grant_id=grant_id,
    )


# -- what may be minted


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"expires_at": float(MAX_SECONDS)},
        {"expires_at": 0.001},
        {"name": "x" * 1024, "directory": ""},
        {"size": 0, "max_size": 0},
        {"size": MAX_INTEGER, "uses": MAX_INTEGER},
        {"sha256": SHA},
        {"mime_types": ("image/png", "image/*", "application/vnd.x+json")},
        {"mime_types": tuple(f"a/b{n}" for n in range(MAX_MIME_TYPES))},
        {"file_id": ID, "quality": 0},
        {"file_id": ID, "quality": 6},
        {"user_id": "ann@example.org"},
    ],
)
def test_what_is_allowed(changes: dict[str, object]) -> None:
    grant(**changes).check()


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("expires_in", {"expires_at": 0.0}),
        ("expires_in", {"expires_at": -1.0}),
        ("expires_in", {"expires_at": MAX_SECONDS + 1.0}),
        ("expires_in", {"expires_at": float("inf")}),
        ("expires_in", {"expires_at": float("nan")}),
        ("user_id", {"user_id": ""}),
        ("user_id", {"user_id": "a\0"}),
        ("user_id", {"user_id": "x" * 257}),
        ("name", {"name": ""}),
        ("name", {"name": "a\0"}),
        ("directory", {"directory": "x" * 1025}),
        ("size", {"size": -1}),
        ("max_size", {"max_size": MAX_INTEGER + 1}),
        ("size", {"size": 2, "max_size": 1}),
        ("uses", {"uses": 0}),
        ("sha256", {"sha256": "0" * 63}),
        ("sha256", {"sha256": "A" * 64}),
        ("mime_types", {"mime_types": ("image",)}),
        ("mime_types", {"mime_types": ("*/*",)}),
        ("mime_types", {"mime_types": ("image/p*",)}),
        ("mime_types", {"mime_types": ("",)}),
        ("mime_types", {"mime_types": ("IMAGE/png",)}),
        ("mime_types", {"mime_types": ("image/png; q=1",)}),
        ("mime_types", {"mime_types": ("image/png\n",)}),
        ("mime_types", {"mime_types": ("a/b",) * (MAX_MIME_TYPES + 1)}),
        ("id", {"file_id": "x"}),
        ("quality", {"quality": 7}),
        ("quality", {"quality": -1}),
    ],
)
def test_what_is_not(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        grant(**changes).check()
    assert field in str(refusal.value)


# -- what an upload becomes


def test_what_is_not_bound_is_the_bearers_to_choose() -> None:
    asked = spec(
        size=5, mime_type="a/b", directory="d", tags=("t",), sha256=SHA, fingerprint="f",
        chunk_size=2048,
    )  # fmt: skip
    assert grant().admit(asked) == asked
    assert grant().admit(spec()) == spec()


def test_a_name_and_a_directory_replace_the_bearers() -> None:
    admitted = grant(name="avatar.png", directory="").admit(spec(directory="elsewhere"))
    assert (admitted.name, admitted.directory) == ("avatar.png", "")


def test_what_the_bearer_leaves_open_is_filled_in() -> None:
    admitted = grant(size=7, sha256=SHA, kind="avatar").admit(spec())
    assert (admitted.size, admitted.sha256, admitted.kind) == (7, SHA, "avatar")


def test_the_bearer_may_name_a_kind_that_is_open_or_the_same() -> None:
    assert grant().admit(spec(kind="avatar")).kind == "avatar"
    assert grant(kind="avatar").admit(spec(kind="avatar")).kind == "avatar"


@pytest.mark.parametrize("claimed", [None, "", "application/octet-stream", "image/*"])
def test_a_type_that_nobody_named_is_left_to_the_first_bytes(claimed: str | None) -> None:
    asked = UploadSpec(name="photo.jpg", mime_type=claimed)
    assert grant(mime_types=("video/*",)).admit(asked) == asked


def test_an_upload_that_meets_the_bounds_is_admitted() -> None:
    asked = spec(size=7, sha256=SHA, mime_type="image/png")
    bound = grant(size=7, max_size=9, sha256=SHA, mime_types=("image/png",))
    assert bound.admit(asked) == asked


@pytest.mark.parametrize(
    ("bounds", "asked", "refusal"),
    [
        ({"max_size": 9}, {"size": 10}, TooLarge),
        ({"size": 7}, {"size": 8}, TooLarge),
        ({"size": 7, "max_size": 9}, {"size": 8}, TooLarge),
        ({"size": 0}, {"size": 1}, TooLarge),
        ({"size": 7}, {"size": 6}, Forbidden),
        ({"sha256": SHA}, {"sha256": OTHER_SHA}, Forbidden),
        ({"kind": "avatar"}, {"kind": "film"}, Forbidden),
        ({"mime_types": ("image/png",)}, {"mime_type": "image/gif"}, UnsupportedMediaType),
        ({"mime_types": ("image/*",)}, {"mime_type": "imagex/png"}, UnsupportedMediaType),
        ({"mime_types": ("image/*",)}, {"mime_type": "text/html"}, UnsupportedMediaType),
    ],
)
def test_an_upload_outside_of_the_bounds_is_refused(
    bounds: dict[str, object], asked: dict[str, object], refusal: type[LadingError]
) -> None:
    with pytest.raises(refusal) as told:
        grant(**bounds).admit(spec(**asked))
    if refusal is TooLarge:
        assert told.value.extra["limit"] == grant(**bounds).limit


@pytest.mark.parametrize("claimed", ["image/png", "IMAGE/PNG", "image/png; charset=x", "image/gif"])
def test_a_type_is_compared_without_case_and_parameters(claimed: str) -> None:
    grant(mime_types=("image/*",)).check_type(claimed)
    grant(mime_types=("image/png", "image/gif")).check_type(claimed)
    grant().check_type(claimed)


@given(
    bounds=st.fixed_dictionaries(
        {},
        optional={
            "name": st.text(min_size=1, max_size=4),
            "directory": st.text(max_size=4).map(canonical_directory),  # as the route makes it
            "size": st.integers(0, 3),
            "max_size": st.integers(0, 3),
            "sha256": st.sampled_from([SHA, OTHER_SHA]),
            "mime_types": st.sampled_from([("a/b",), ("a/*",), ("a/b", "c/d")]),
        },
    ),
    size=st.none() | st.integers(0, 4),
    sha256=st.none() | st.sampled_from([SHA, OTHER_SHA]),
    mime_type=st.none() | st.sampled_from(["a/b", "a/c", "c/d"]),
)
def test_whatever_is_admitted_lies_in_the_bounds(
    bounds: dict[str, object], size: int | None, sha256: str | None, mime_type: str | None
) -> None:
    bound = grant(**bounds)
    try:
        admitted = bound.admit(spec(size=size, sha256=sha256, mime_type=mime_type))
    except (Forbidden, TooLarge, UnsupportedMediaType):
        return
    for each in ("name", "directory", "size", "sha256"):
        assert getattr(bound, each) in (None, getattr(admitted, each))
    if admitted.size is not None and bound.limit is not None:
        assert admitted.size <= bound.limit
    if admitted.mime_type is not None:
        bound.check_type(admitted.mime_type)


# -- what exists already


def test_an_upload_grant_covers_what_was_created_with_it() -> None:
    assert grant().covers(manifest(OTHER, ID))
    assert not grant().covers(manifest(ID, OTHER))
    assert not grant().covers(manifest(ID, None))


def test_a_download_grant_covers_its_file() -> None:
    download = grant(action=Action.DOWNLOAD, file_id=OTHER)
    assert download.covers(manifest(OTHER, None))
    assert not download.covers(manifest(ID, ID))


def test_a_grant_for_a_medium_covers_that_and_not_what_was_created_with_it() -> None:
    medium = grant(action=Action.MEDIA_UPLOAD, file_id=OTHER)
    assert medium.covers(manifest(OTHER, None))
    assert not medium.covers(manifest(ID, ID))


def test_a_quality_is_bound_when_it_is_named() -> None:
    for quality in range(7):
        grant(file_id=ID).check_quality(quality)
    only = grant(file_id=ID, quality=3)
    only.check_quality(3)
    with pytest.raises(Forbidden):
        only.check_quality(0)


# -- a link


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"directory": ""},
        {"directory": "a", "file_id": ID},
        {"file_id": "x"},
        {"directory": "a", "password": ""},
        {"directory": "a", "password": "x" * 1025},
        {"directory": "a", "password": "a\0"},
        {"directory": "a", "uses": 0},
    ],
)
def test_a_link_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        grant(action=Action.SHARE, **changes).check()


def test_a_link_leads_to_its_file_or_directory_alone() -> None:
    for allowed in ({"file_id": ID}, {"directory": "a/b", "password": "x", "uses": MAX_INTEGER}):
        grant(action=Action.SHARE, **allowed).check()
    file = replace(manifest(ID, None), state=State.READY, directory="a/b/c")
    folder = grant(action=Action.SHARE, directory="a/b")
    assert folder.covers(file)
    assert folder.covers(replace(file, directory="a/b"))
    for outside in (
        replace(file, directory="a"),
        replace(file, directory="a/bc"),
        replace(file, user_id="bob"),
        replace(file, state=State.UPLOADING),
        replace(file, state=State.DELETED),
    ):
        assert not folder.covers(outside)
    one = grant(action=Action.SHARE, file_id=ID)
    assert one.covers(file)
    assert not one.covers(replace(file, id=OTHER))
