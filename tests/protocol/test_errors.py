"""The error tree: codes are stable, problems survive the way to the other side and back."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol import errors
from lading.protocol.errors import (
    CATALOGUE,
    Incomplete,
    Internal,
    LadingError,
    UploadEnded,
    from_problem,
)

CODES = {
    "invalid-message", "invalid-argument", "unauthorized", "forbidden", "not-found",
    "method-not-allowed", "request-timeout", "chunk-conflict", "incomplete", "already-complete",
    "offset-mismatch", "name-taken", "gone", "precondition-failed", "too-large",
    "unsupported-media-type", "in-progress", "key-reused",
    "range-not-satisfiable", "out-of-bounds", "unprocessable-image", "checksum-mismatch",
    "rate-limited", "too-many-connections", "window-exceeded", "internal", "unavailable",
    "shutting-down", "quota-exceeded", "storage-full", "not-ready", "rejected",
}  # fmt: skip
"""Page 4 of the design, "Codes"."""

RETRYABLE = {
    "request-timeout", "checksum-mismatch", "rate-limited", "too-many-connections",
    "unavailable", "shutting-down", "storage-full", "in-progress", "not-ready",
}  # fmt: skip


def test_the_codes_are_those_of_the_design() -> None:
    assert set(CATALOGUE) == CODES


def test_those_that_may_be_tried_again_are_those_of_the_design() -> None:
    assert {code for code, kind in CATALOGUE.items() if kind.retryable} == RETRYABLE


def test_every_error_of_the_module_is_in_the_catalogue() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, LadingError) and kind not in (LadingError, UploadEnded)
    }
    assert set(CATALOGUE.values()) == kinds


@pytest.mark.parametrize("kind", CATALOGUE.values())
def test_titles_are_one_sentence(kind: type[LadingError]) -> None:
    assert kind.title.endswith(".")
    assert kind.title.count(".") == 1
    assert str(kind()) == kind.title


def test_a_problem_tells_code_title_detail_and_facts() -> None:
    assert Incomplete("3 bytes are missing.", missing=[[0, 3]]).problem() == {
        "code": "incomplete",
        "title": "Parts of the file are still missing.",
        "detail": "3 bytes are missing.",
        "retryable": False,
        "missing": [[0, 3]],
    }
    assert "detail" not in Incomplete().problem()


@pytest.mark.parametrize("kind", CATALOGUE.values())
def test_a_problem_comes_back_as_the_same_error(kind: type[LadingError]) -> None:
    sent = kind("What happened.", limit=5, used=4)
    received = from_problem(sent.problem())
    assert type(received) is kind
    assert received.detail == "What happened."
    assert received.extra == {"limit": 5, "used": 4}
    assert received.problem() == sent.problem()


def test_without_detail_the_title_stands_for_it() -> None:
    assert from_problem({"code": "gone", "title": "Away."}).detail == "Away."


@pytest.mark.parametrize("code", ["new-in-version-9", None, 7, ["gone"]])
def test_an_unknown_code_is_a_fault_that_names_it(code: object) -> None:
    error = from_problem({"code": code, "title": "Something new.", "hint": 1})
    assert type(error) is Internal
    assert error.extra == {"hint": 1, "unknown_code": code}


@given(
    st.dictionaries(
        st.text() | st.sampled_from(["self", "detail", "code", "title", "extra", "kind"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_any_problem_becomes_an_error(problem: dict[str, Any]) -> None:
    assert isinstance(from_problem(problem), LadingError)
