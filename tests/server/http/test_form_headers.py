"""The `Content-Disposition` of a form's part: what clients write, and what only attackers do."""

from __future__ import annotations

import time

import pytest

from lading.server.http.form_headers import disposition

LONG = 16_000
"""Bytes of a hostile field: about as long as a part's headers may be."""


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (rb'filename="a\"b.txt"', 'a"b.txt'),
        (rb'filename="a\\b.txt"', "a\\b.txt"),
        (rb'filename="a\b.txt"', "a\\b.txt"),
        (rb'filename="ends with \"', "ends with \\"),
        (rb'filename="C:\Users\ann\a.txt"', "a.txt"),
        (rb"filename=a.txt", "a.txt"),
        (rb'filename="a;b.txt"; x=y', "a;b.txt"),
    ],
)
def test_names_as_clients_write_them(field: bytes, name: str) -> None:
    assert disposition(b"form-data; name=file; " + field)["filename"] == name


@pytest.mark.parametrize(
    "field",
    [
        b'name="' + b"\\" * LONG,  # no quote closes it
        b"name=f; filename=" + b"\\" * LONG,
        b'name="' + b'\\"' * (LONG // 2),
        b"name=f; filename=" + b"C:\\" * (LONG // 3),
        b";" * LONG,
        b'; a="' * (LONG // 5),
    ],
)
def test_the_time_grows_with_the_length_only(field: bytes) -> None:
    """Exponential time would never end here, quadratic time would hold up everybody else."""
    begin = time.process_time()
    disposition(b"form-data; " + field)
    assert time.process_time() - begin < 0.25
