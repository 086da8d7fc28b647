"""Names that trick programs which unpack archives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.server.uploads.zip_names import safe_path, unique


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("a/b.txt", "a/b.txt"),
        ("/etc/passwd", "etc/passwd"),
        ("../../up.txt", "_/_/up.txt"),
        ("a/./b/..", "a/_/b/_"),
        ("a//b", "a/b"),
        ("", "_"),
        ("C:\\Windows\\evil.dll", "C__Windows_evil.dll"),
        ("..\\..\\evil", ".._.._evil"),
        ("a\x00b\n\x1b[31m", "a_b__[31m"),
        ("con.txt", "_con.txt"),
        ("COM1", "_COM1"),
        ("name.", "name"),
        ("name. . ", "name"),
        (".profile", ".profile"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_what_becomes_of_a_path(given: str, path: str) -> None:
    assert safe_path(given) == path


@given(st.text())
def test_no_path_leads_out(text: str) -> None:
    path = safe_path(text)
    assert path == safe_path(path)
    for part in path.split("/"):
        assert part not in ("", ".", "..")
        assert part.isprintable()
        assert len(part.encode("utf-8", "replace")) <= 255
        assert not set(part) & set("\\:")


def test_each_has_a_path_of_its_own() -> None:
    assert unique(["a.txt", "a.txt", "A.TXT", "b", "b"]) == [
        "a.txt",
        "a (2).txt",
        "A (3).TXT",
        "b",
        "b (2)",
    ]
    # A file with the number is there already.
    assert unique(["a (2).txt", "a.txt", "a.txt"]) == ["a (2).txt", "a.txt", "a (3).txt"]
    # A file cannot have the path of a directory.
    assert unique(["a", "a/b"]) == ["a (2)", "a/b"]
    # One character and two that look alike.
    assert unique(["\u00e9", "e\u0301"]) == ["\u00e9", "e\u0301 (2)"]
    assert unique([".x", ".x"]) == [".x", ".x (2)"]
    assert all(len(each.encode()) <= 255 for each in unique(["x" * 255] * 3))


def test_very_many_files_may_have_one_name() -> None:
    """Each looks at the number after the last one, and not at all of them."""
    assert unique(["a.txt"] * 20_000)[-2:] == ["a (19999).txt", "a (20000).txt"]
