"""The tables for other languages: complete, and the browser client has the present ones."""

from __future__ import annotations

import json

from lading.protocol.errors import CATALOGUE
from lading.protocol.tables import CloseCode, tables
from tests.vectors import generate
from tests.vectors import tables as browser


def test_the_browser_client_has_these_tables() -> None:
    text = browser.FILE.read_text(encoding="utf-8")
    assert text == browser.text(), "run scripts/tables"


def test_every_error_is_there() -> None:
    errors = tables()["errors"]
    assert errors.keys() == CATALOGUE.keys()
    assert errors["storage-full"] == {"title": CATALOGUE["storage-full"].title, "retryable": True}


def test_every_message_of_the_vectors_is_there() -> None:
    vectors = json.loads((generate.FOLDER / "messages.json").read_text(encoding="utf-8"))
    for side, messages in tables()["messages"].items():
        numbers = {name: message["number"] for name, message in messages.items()}
        assert numbers == {entry["name"]: entry["items"][0] for entry in vectors[side]}


def test_fields_stand_in_the_order_of_the_wire() -> None:
    messages = tables()["messages"]
    assert messages["client"]["CHUNK"]["fields"] == ["ref", "slice_start", "crc32c", "data"]
    assert messages["client"]["CREATE"]["fields"][:3] == ["ref", "name", "size"]
    assert messages["server"]["STORED"]["fields"] == ["ref", "pieces", "upload_size"]


def test_the_tables_are_plain_json() -> None:
    assert json.loads(json.dumps(tables())) == tables()
    assert tables()["close_codes"][CloseCode.UNAUTHORIZED.name] == 4401
