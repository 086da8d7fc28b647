"""The `Prefer` field."""

from __future__ import annotations

import pytest

from lading.protocol.prefer import parse_wait


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("wait=10", 10),
        ("respond-async, WAIT = 10", 10),
        ('wait="10"; a=b, wait=20', 10),
        ("wait=0", 0),
        ("await=10", None),
        ('foo="wait=10"', None),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=" + "9" * 5000, None),
        ("", None),
        (None, None),
    ],
)
def test_the_wait(field: str | None, seconds: int | None) -> None:
    assert parse_wait(field) == seconds
