"""The messages as values: their numbers, their limits, and secrets that stay out of logs."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from lading.protocol import messages as m

NUMBERS = {
    "Hello": 1, "Create": 2, "Resume": 3, "Chunk": 4, "Finish": 5, "Abort": 6, "Detach": 7,
    "Token": 8, "Ping": 9,
    "Welcome": 65, "Opened": 66, "Stored": 67, "Refused": 68, "Window": 69, "Complete": 70,
    "Closed": 71, "Problem": 72, "GoAway": 73, "Pong": 74, "Verifying": 75,
}  # fmt: skip
"""Page 3 of the design, the two tables."""


def test_numbers_are_those_of_the_design() -> None:
    kinds = get_args(m.ClientMessage) + get_args(m.ServerMessage)
    assert {kind.__name__: kind.number for kind in kinds} == NUMBERS


def test_names_of_the_fields_that_travel_by_name() -> None:
    def names(kind: type[m.Opened | m.Welcome | m.Complete | m.GoAway]) -> list[str]:
        return [field.name for field in fields(kind)]

    assert names(m.Welcome) == ["user_id", "window", "max_chunk_size", "heartbeat", "server"]
    assert names(m.Opened)[1:] == [
        "id", "name", "size", "chunk_size", "upload_size", "missing", "expires_at", "state",
        "kind_rules",
    ]  # fmt: skip
    assert names(m.Complete)[1:] == ["id", "size", "mime_type", "sha256", "crc32c", "url"]
    assert names(m.GoAway) == ["reason", "retry_after"]


def test_what_early_pieces_need_is_said_by_the_name_of_a_subprotocol() -> None:
    early = m.EarlyPieces(chunk_size=2**20, window=2**24)
    assert early.subprotocol == "lading.v1.early-1048576-16777216"
    assert m.EarlyPieces.of(early.subprotocol) == early
    for other in (None, "", "lading.v1", "lading.v1.early-1-", "lading.v1.early-1-1x", "lading.v1"):
        assert m.EarlyPieces.of(other) is None


def test_credentials_and_bytes_are_not_shown() -> None:
    secret = "correct-horse"
    assert secret not in repr(m.Hello(secret, "browser"))
    assert "browser" in repr(m.Hello(secret, "browser"))
    assert secret not in repr(m.Token(secret))
    assert secret not in repr(m.Chunk(1, 0, 0, secret.encode()))


def test_a_message_is_a_value() -> None:
    assert m.Abort(1) == m.Abort(1) != m.Abort(2)
    with pytest.raises(FrozenInstanceError):
        m.Abort(1).ref = 2  # type: ignore[misc]
