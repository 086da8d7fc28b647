"""Cursors of lists of files: read as they were written, and nothing else."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import MAX_INTEGER
from lading.server.http.cursors import LONGEST, read, write
from lading.storage.collections.file_lists import Order, Ordering, place_of
from tests.support.manifests import begun

ID = "6b0179176249a43ed26a4b6e"


def made(*parts: Any) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("name", ["a", "Éclair 😀.jpg", "\x01" * 1024, "ﷺ" * 1024])
def test_a_cursor_is_read_as_it_was_written(order: Order, name: str) -> None:
    file = begun(name=name, mime_type="image/png", size=MAX_INTEGER)
    cursor = write(file, Ordering(order))
    assert len(cursor) <= LONGEST
    assert read(cursor, Ordering(order, False)) == place_of(file, order)


def test_the_cursor_of_the_usual_order_is_an_id() -> None:
    """As clients knew it before there were others."""
    file = begun()
    assert write(file, Ordering()) == file.id


@pytest.mark.parametrize(
    ("order", "cursor"),
    [
        (Order.CREATED, made("name", "a", ID)),
        (Order.NAME, ID),
        (Order.NAME, made("type", "a", ID)),
        (Order.NAME, made("name", {"$gt": ""}, ID)),
        (Order.NAME, made("name", "a", {"$gt": ""})),
        (Order.NAME, made("name", "a", "x" * 24)),
        (Order.NAME, made("name", "a\0", ID)),
        (Order.NAME, made("name", "a\ud800", ID)),
        (Order.NAME, made("name", "a", ID, 1)),
        (Order.NAME, made("name", None, ID)),
        (Order.SIZE, made("size", "1", ID)),
        (Order.SIZE, made("size", True, ID)),
        (Order.SIZE, made("size", -1, ID)),
        (Order.SIZE, made("size", 2**63, ID)),
        (Order.MODIFIED, made("modified", 1e300, ID)),
        (Order.MODIFIED, made("modified", float("nan"), ID)),
        (Order.NAME, "é"),
        (Order.NAME, "a"),
        (Order.NAME, urlsafe_b64encode(b"[" * 12_000).decode()),
        (Order.NAME, "A" * 20_000),
    ],
)
def test_anything_else_is_refused(order: Order, cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        read(cursor, Ordering(order))
