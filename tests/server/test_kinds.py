"""The file of `LADING_KINDS`: what it may say, and the one line that a wrong one gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.protocol.kinds import Kind
from lading.server.settings import WrongSettings, load

WHOLE = """
[avatar]
max_size = "10MB"
mime_types = ["image/*"]
crop = "square"
public = true
sizes = [1, 2, 3]
directory = "/avatars/"

[film]
max_size = 50_000_000_000
expires_in = "90d"

[any]
"""


def read(folder: Path, text: str | bytes) -> tuple[Kind, ...]:
    path = folder / "kinds.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(kinds=str(path)).kinds


def test_a_whole_file(tmp_path: Path) -> None:
    assert load().kinds == ()
    assert read(tmp_path, "") == ()
    assert read(tmp_path, WHOLE) == (
        Kind(
            name="avatar",
            max_size=10_000_000,
            mime_types=("image/*",),
            crop="square",
            public=True,
            sizes=(1, 2, 3),
            directory="avatars",
        ),
        Kind(name="film", max_size=50_000_000_000, expires_in=7776000.0),
        Kind(name="any"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[avatar]\nmax_sise = 1",
            "[avatar] `max_sise` is not a known key; did you mean `max_size`?",
        ),
        ("[avatar]\nname = 'x'", "[avatar] `name` is not a known key"),
        ("[a]\nexpires_in = true", "[a] expires_in must be a duration such as 30d, not true"),
        ("[a]\nexpires_in = 0", "[a] expires_in must be more than 0"),
        ("[avatar]\nmax_size = 'big'", "[avatar] max_size must be a number with or without a unit"),
        ("[avatar]\nmax_size = true", "[avatar] max_size must be a size such as 10MB, not true"),
        ("[avatar]\nmax_size = 1.5", "[avatar] max_size must be a size such as 10MB, not 1.5"),
        ("[avatar]\nmax_size = 0", "[avatar] max_size must lie between 1 and"),
        ("[avatar]\nmime_types = 'image/*'", "[avatar] mime_types must be a list of media types"),
        ("[avatar]\nmime_types = []", "[avatar] mime_types must be a list of media types"),
        ("[avatar]\nmime_types = [1]", "[avatar] mime_types must be a list of media types"),
        ("[avatar]\nmime_types = ['png']", "[avatar] mime_types must be media types such as"),
        ("[avatar]\ncrop = 'round'", "[avatar] crop must be square"),
        ("[avatar]\ncrop = 1", "[avatar] crop must be square, not 1"),
        ("[avatar]\npublic = 'yes'", '[avatar] public must be true or false, not "yes"'),
        ("[avatar]\nsizes = [0]", "[avatar] sizes must be numbers from 1 to 6, each once"),
        ("[avatar]\nsizes = [true]", "[avatar] sizes must be a list of numbers from 1 to 6"),
        ("[avatar]\ndirectory = '/'", "[avatar] directory must be a directory such as avatars"),
        (
            "[avatar]\ndirectory = 1",
            "[avatar] directory must be a directory such as",
        ),
        ("['My avatars']", "[My avatars] The name of a kind has at most 64"),
        ("max_size = 1", "`max_size` is not a kind: begin one with a line such as [avatar]"),
        ("[avatar\n", "is not TOML: see line 1, column 8"),
        ("[avatar]\n[avatar]", "is not TOML: see line 2, column 8"),
        (b"\xff", "is not text in UTF-8"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(WrongSettings) as caught:
        read(tmp_path, text)
    line = str(caught.value)
    assert line.startswith(f"LADING_KINDS={tmp_path}/kinds.toml: {said}"), line
    assert "\n" not in line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "Is a directory"), (tmp_path / "no", "No such file")):
        with pytest.raises(WrongSettings, match=rf"^LADING_KINDS={path}: cannot be read: {said}"):
            load(kinds=str(path))
