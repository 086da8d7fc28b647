"""The files of the page: which there are, how they are sent and kept."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.requests import Request

from lading.server.http.assets import Asset, load, send

SCRIPT = b"let a = 1; " * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in {
        "index.html": b"<!doctype html>",
        "assets/index-4Xb2.js": SCRIPT,
        "assets/sign-1a.png": b"png",
        "widget/lading.js": SCRIPT,
        ".built": b"",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(body)
    return tmp_path


def request(**headers: str) -> Request:
    listed = [(name.replace("_", "-").encode(), each.encode()) for name, each in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": listed})


def test_what_is_there_at_the_start_is_there(folder: Path) -> None:
    found = load(folder)
    assert set(found) == {
        "index.html",
        "assets/index-4Xb2.js",
        "assets/sign-1a.png",
        "widget/lading.js",
    }
    assert load(folder / "absent") == {}


def test_names_with_a_hash_are_kept_for_ever_and_others_are_asked_for(folder: Path) -> None:
    found = load(folder)
    assert "immutable" in found["assets/index-4Xb2.js"].headers["Cache-Control"]
    assert found["index.html"].headers["Cache-Control"] == "no-cache"
    assert found["widget/lading.js"].headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_types_are_said_and_not_to_be_guessed(name: str, kind: str) -> None:
    response = send(request(), Asset.of(name, b"x"))
    assert response.headers["Content-Type"] == kind
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("br", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("xgzip", False),
    ],
)
def test_text_is_packed_for_who_can_unpack_it(accepted: str, is_packed: bool) -> None:
    response = send(request(accept_encoding=accepted), Asset.of("a.js", SCRIPT))
    assert response.headers.get("Content-Encoding") == ("gzip" if is_packed else None)
    assert response.headers["Vary"] == "Accept-Encoding"
    body = bytes(response.body)
    assert (gzip.decompress(body) if is_packed else body) == SCRIPT
    assert int(response.headers["Content-Length"]) == len(body)


def test_pictures_and_what_does_not_shrink_are_sent_as_they_are() -> None:
    for name, body in {"a.png": SCRIPT, "a.js": b"x"}.items():
        response = send(request(accept_encoding="gzip"), Asset.of(name, body))
        assert bytes(response.body) == body


def test_who_has_it_is_told_so() -> None:
    asset = Asset.of("a.js", SCRIPT)
    tag = asset.headers["ETag"]
    for known in (tag, f'"x", {tag}', "*"):
        response = send(request(if_none_match=known), asset, {"X-More": "1"})
        assert (response.status_code, bytes(response.body)) == (304, b"")
        assert response.headers["ETag"] == tag
        assert response.headers["X-More"] == "1"
    for other in ('W/"x"', "", Asset.of("a.js", b"y").headers["ETag"]):
        assert send(request(if_none_match=other), asset).status_code == 200
