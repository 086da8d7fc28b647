"""The `Prefer` field."""

from __future__ import annotations

import pytest

from lading.protocol.prefer import parse_wait, prefers_async, prefers_self


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


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("delivery=self", True),
        ('wait=10, Delivery = "self"', True),
        ("delivery=self; a=b", True),
        ("delivery=selfish", False),
        ("delivery", False),
        ('a="delivery=self"', False),
        ("", False),
        (None, False),
    ],
)
def test_who_should_send_the_bytes(field: str | None, wanted: bool) -> None:
    assert prefers_self(field) is wanted


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("respond-async", True),
        ("wait=10, Respond-Async; a=b", True),
        ("respond-asynchronously", False),
        ("respond-async=1", False),
        ('a="respond-async"', False),
        ("", False),
        (None, False),
    ],
)
def test_who_comes_back_for_an_answer_that_takes_long(field: str | None, wanted: bool) -> None:
    assert prefers_async(field) is wanted
