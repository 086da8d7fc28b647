from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import pytest

import lading
from lading.client.types import Chunk, File, Grant, Manifest, Upload, Usage

FILE_ID = "0" * 24
RAW: dict[str, Any] = {
    "_id": FILE_ID,
    "user_id": "ann",
    "name": "a.mp4",
    "directory": "films",
    "size": 10,
    "mime_type": "video/mp4",
    "upload_size": 10,
    "state": "ready",
    "chunk_size": 4,
    "sha256": None,
    "crc32c": 7,
    "tags": ["x", "y"],
    "created_at": "2026-11-21T20:25:46.123Z",
    "updated_at": "2026-11-21T20:25:47.000Z",
    "expires_at": None,
}
URL = f"http://host/v1/files/{FILE_ID}"


def test_the_package_exports_them() -> None:
    assert (lading.File, lading.Upload, lading.Usage) == (File, Upload, Usage)
    assert all(getattr(lading, name) is not None for name in lading.__all__)


def test_a_manifest_is_a_file_with_more() -> None:
    found = Manifest.of({**RAW, "new-field": 1}, URL)
    assert (found.id, found.name, found.directory) == (FILE_ID, "a.mp4", "films")
    assert found.tags == ("x", "y")
    assert found.created_at == datetime(2026, 11, 21, 20, 25, 46, 123_000, tzinfo=UTC)
    assert isinstance(found, File)
    assert found.raw["new-field"] == 1
    assert type(found.file()) is File
    assert (found.file().id, found.file().url) == (FILE_ID, URL)


def test_the_answer_does_not_count_when_two_are_compared() -> None:
    assert Manifest.of(RAW, URL) == Manifest.of({**RAW, "new-field": 1}, URL)
    assert "raw" not in repr(Manifest.of(RAW, URL))
    assert len({Manifest.of(RAW, URL), Manifest.of(RAW, URL)}) == 1


def test_they_cannot_be_changed() -> None:
    usage, field = Usage(user_id="ann", used=0, reserved=0, quota=None), "used"
    with pytest.raises(FrozenInstanceError):
        setattr(usage, field, 1)


def test_chunks_of_a_manifest() -> None:
    raw = {**RAW, "chunks": [{"object_id": "ab", "slice_start": 4, "size": 6}]}
    assert Manifest.of(raw, URL).chunks == (Chunk("ab", 4, 6),)


def test_what_an_unfinished_upload_lacks() -> None:
    raw = {**RAW, "state": "uploading", "upload_size": 4, "expires_at": RAW["created_at"]}
    listed = Upload.of({**raw, "missing": [[4, 10]]})
    assert (listed.stored, listed.missing) == (4, ((4, 10),))
    assert listed.expires_at == listed.created_at
    # A manifest has the pieces instead of the ranges.
    chunks = [{"object_id": "ab", "slice_start": 0, "size": 4}]
    assert Upload.of({**raw, "chunks": chunks}).missing == ((4, 10),)


def test_a_grant_does_not_show_its_token() -> None:
    raw = {
        "id": "g",
        "token": "lg_secret",
        "url": "http://host/v1/g/lg_secret",
        "ws_url": "ws://host/v1/ws",
        "expires_at": "2026-11-21T20:25:46.123Z",
    }
    assert "secret" not in repr(Grant.of(raw))
