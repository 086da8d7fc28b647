"""The sentences on refused values: ours for every type of error, and never pydantic's."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import ErrorTypeInfo
from pydantic_core._pydantic_core import list_all_errors

from lading.protocol.errors import InvalidArgument
from lading.server.http import schemas
from lading.server.validation import _MUST, reason, sentence, shown

TYPES = {each["type"]: each for each in list_all_errors()}


def error_of(kind: ErrorTypeInfo) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": kind["type"],
        "loc": ("field",),
        "msg": kind["example_message_python"],
        "input": "given",
    }
    if kind["example_context"] is not None:
        found["ctx"] = kind["example_context"]
    return found


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_no_type_of_error_shows_the_librarys_sentence(kind: ErrorTypeInfo) -> None:
    text = sentence(error_of(kind))
    assert text.startswith("`field` ")
    assert text.endswith(".")
    assert "{" not in text
    for librarys in (kind["example_message_python"], kind.get("example_message_json", "")):
        assert not librarys or librarys not in text
    assert "Input" not in text
    assert "given" in text or kind["type"] in ("missing", "extra_forbidden")


def test_every_type_that_has_a_sentence_exists() -> None:
    assert set(_MUST) <= set(TYPES)


def test_an_unknown_type_has_a_general_sentence() -> None:
    error = {"type": "new_in_a_later_release", "loc": ("a",), "msg": "Their words", "input": 1}
    assert sentence(error) == "`a` has a value that is not allowed, not 1."


NUMBER = 2**53 - 1


@pytest.mark.parametrize(
    ("model", "body", "text"),
    [
        (schemas.uploads.NewUpload, {}, "`name` is required."),
        (schemas.uploads.NewUpload, {"name": 1}, "`name` must be a string, not 1."),
        (
            schemas.uploads.NewUpload,
            {"name": "a", "size": "1"},
            '`size` must be an integer, not "1".',
        ),
        (
            schemas.uploads.NewUpload,
            {"name": "a", "size": 1.5},
            "`size` must be an integer, not 1.5.",
        ),
        (
            schemas.uploads.NewUpload,
            {"name": "a", "size": True},
            "`size` must be an integer, not true.",
        ),
        (
            schemas.uploads.NewUpload,
            {"name": "a", "size": -1},
            "`size` must be at least 0, not -1.",
        ),
        (
            schemas.uploads.NewUpload,
            {"name": "a", "size": 2**53},
            f"`size` must be at most {NUMBER}, not {NUMBER + 1}.",
        ),
        (schemas.uploads.NewUpload, {"name": "a", "tags": "x"}, '`tags` must be a list, not "x".'),
        (
            schemas.uploads.NewUpload,
            {"name": "a", "tags": [1]},
            "`tags.0` must be a string, not 1.",
        ),
        (
            schemas.uploads.NewUpload,
            {"name": {"$ne": 0}},
            "`name` must be a string, not an object.",
        ),
        (schemas.uploads.NewUpload, {"name": [[]]}, "`name` must be a string, not a list."),
        (schemas.service.SetQuota, {"quota": None}, None),
        (schemas.service.SetQuota, {"quota": None, "x": 1}, "`x` is not a known field."),
        (
            schemas.grants.NewGrant,
            {},
            '`action` must be "upload", "download", "share", "request" or "signup".',
        ),
        (
            schemas.grants.NewGrant,
            {"action": "x"},
            '`action` must be "upload", "download", "share", "request" or "signup".',
        ),
        (
            schemas.grants.NewGrant,
            {"action": "upload", "max_sise": 1},
            "`max_sise` is not a known field.",
        ),
        (schemas.grants.NewGrant, {"action": "download"}, "`file_id` is required."),
        (
            schemas.grants.NewGrant,
            {"action": "upload", "mime_types": []},
            "`mime_types` must have at least 1 entries, not a list.",
        ),
        (
            schemas.grants.NewGrant,
            {"action": "upload", "expires_in": "1h"},
            '`expires_in` must be a number, not "1h".',
        ),
    ],
)
def test_a_refused_body_is_explained(model: Any, body: dict[str, Any], text: str | None) -> None:
    if text is None:
        model.model_validate(body)
        return
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    assert sentence(refused.value.errors()[0], body) == text


def test_the_reason_of_our_own_validators_is_theirs() -> None:
    own = {"type": "value_error", "loc": ("a",), "msg": "Value error, x", "input": 1}
    assert reason({**own, "ctx": {"error": ValueError("must be odd")}}) == "must be odd"
    assert reason({**own, "ctx": {"error": "not an exception"}}) != "not an exception"
    with pytest.raises((ValidationError, InvalidArgument)):
        schemas.uploads.NewUpload.model_validate(
            {"name": "a", "tags": ["x", "x"] * 40}
        ).spec().check()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 41, '"' + "x" * 40 + '"...'),
        ('a"\n\x1b\u202e', r'"a\"\n\u001b\u202e"'),
        ("\ud800", r'"\ud800"'),
        (10**100, "1" + "0" * 39),
        (None, "null"),
        (float("inf"), "Infinity"),
        ({"a": 1}, "an object"),
        (b"x", "a value of another type"),
    ],
)
def test_a_value_is_shown_short_and_escaped(value: Any, text: str) -> None:
    assert shown(value) == text
