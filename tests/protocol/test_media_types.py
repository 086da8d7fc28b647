"""How media types are written, and what a name suggests."""

from __future__ import annotations

import time

import pytest

from lading.protocol.media_types import (
    MAX_MEDIA_TYPE,
    MEDIA_TYPE,
    assumed,
    by_name,
    essence,
    is_named,
    normalized,
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("video/webm;codecs=vp8,opus", 'video/webm; codecs="vp8,opus"'),  # Chromium's recorder
        ('video/webm; codecs="vp8,opus"', 'video/webm; codecs="vp8,opus"'),
        ("video/mp4;codecs=avc1.42E01E, mp4a.40.2", 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"'),
        ("VIDEO/MP4", "video/mp4"),
        ("Text/HTML;Charset=UTF-8", "text/html; charset=UTF-8"),
        ("text/plain ; ;charset=utf-8;", "text/plain; charset=utf-8"),
        ('text/plain; charset="utf-8"', "text/plain; charset=utf-8"),
        ("text/plain; a=1; A=2", "text/plain; a=1"),
        (r'a/b; c="say \"x\""', r'a/b; c="say \"x\""'),
        (r'a/b; c="\x"', "a/b; c=x"),
        ('a/b; c=""', 'a/b; c=""'),
        ("image/jpg", "image/jpeg"),
        ("application/x-zip-compressed", "application/zip"),
        ("", ""),
    ],
)
def test_a_type_has_one_form(given: str, kept: str) -> None:
    assert MEDIA_TYPE.fullmatch(given)
    assert normalized(given) == kept
    assert normalized(kept) == kept


@pytest.mark.parametrize(
    "value",
    [
        "video",
        "video/",
        "/mp4",
        "a/b; c",
        "a/b; c=",
        "a/b; c=,",
        "a/b; c=d,",
        "a/b c=d",
        'a/b; c="open',
        'a/b; c="x\\"',
        "a/b; c=ü",
        'a/b; c="ü"',
        "a/b\n",
        "a/b; c=d\r\nX: y",
        "text/plain, text/html",
    ],
)
def test_what_is_no_type_stays_as_it_is(value: str) -> None:
    assert not MEDIA_TYPE.fullmatch(value)
    assert normalized(value) == value


@pytest.mark.parametrize("filling", ["; ", ";\t \t ", ";a=b,", ' ;a="', ";a=b , "])
def test_a_hostile_type_costs_no_time(filling: str) -> None:
    began = time.process_time()
    assert not MEDIA_TYPE.fullmatch(("a/b" + filling * MAX_MEDIA_TYPE)[:MAX_MEDIA_TYPE] + "\0")
    assert time.process_time() - began < 0.05


def test_quotes_never_make_a_type_too_long() -> None:
    long = "0/0;a=b;c=d," + "0" * (MAX_MEDIA_TYPE - 12)
    assert len(long) == MAX_MEDIA_TYPE
    assert normalized(long) == "0/0; a=b"


def test_a_type_that_is_too_long_is_not_shortened() -> None:
    long = "A/" + "b" * MAX_MEDIA_TYPE
    assert normalized(long) == long


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "application/octet-stream",
        "Application/Octet-Stream; charset=binary",
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
        "image/*",
        "*/*",
    ],
)
def test_what_clients_send_when_they_do_not_know(value: str | None) -> None:
    assert not is_named(value)
    assert assumed(value, "photo.JPG") == "image/jpeg"
    assert assumed(value, "photo") == "application/octet-stream"


def test_the_name_does_not_win_over_what_was_said() -> None:
    assert assumed("text/plain", "photo.jpg") == "text/plain"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mts", "video/mp2t"),
        ("a.ts", "video/mp2t"),
        ("a.m4a", "audio/mp4"),
        ("a.m4v", "video/mp4"),
        ("a.weba", "audio/webm"),
        ("a.heic", "image/heic"),
        ("a.avif", "image/avif"),
        ("a.mkv", "video/x-matroska"),
        ("a.opus", "audio/ogg"),
        ("a.flac", "audio/flac"),
        ("a.jxl", "image/jxl"),
        ("a.tar.gz", "application/gzip"),
        ("A.MP4", "video/mp4"),
        (".mp4", "video/mp4"),
        ("mp4", None),
        ("a.", None),
        ("a.unknown", None),
        ("a.mp4/b", None),
    ],
)
def test_the_table_of_endings_is_our_own(name: str, kind: str | None) -> None:
    assert by_name(name) == kind


def test_one_type_has_one_name() -> None:
    assert essence(" Audio/X-WAV ; a=b") == "audio/wav"
