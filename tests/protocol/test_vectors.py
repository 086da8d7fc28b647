"""The vectors shared with other languages: what they say holds here, and they are up to date."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from lading.protocol.codec import decode_client, decode_server, encode
from lading.protocol.digests import crc32c, crc32c_combine
from lading.protocol.errors import InvalidMessage
from lading.protocol.manifest import Piece, cell_start, check_bounds, fills_cell, prove
from tests.vectors import generate

DECODE = {"client": decode_client, "server": decode_server}


def vectors(name: str) -> Any:
    return json.loads((generate.FOLDER / name).read_text(encoding="utf-8"))


def data_of(value: dict[str, str]) -> bytes:
    return bytes.fromhex(value["hex"])


@pytest.mark.parametrize("name", ["messages.json", "crc32c.json", "pieces.json"])
def test_generating_again_changes_nothing(name: str) -> None:
    assert generate.files()[name] == (generate.FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("side", ["client", "server"])
def test_messages(side: str) -> None:
    found = vectors("messages.json")[side]
    for entry in found:
        message = DECODE[side](data_of(entry))
        assert type(message).__name__.upper() == entry["name"]
        assert message.number == entry["items"][0]
        assert encode(message) == data_of(entry)
        assert generate.plain(msgpack.unpackb(data_of(entry))) == entry["items"]
    assert len({entry["name"] for entry in found}) == {"client": 9, "server": 11}[side]


def test_other_bytes_of_the_same_meaning() -> None:
    for entry in vectors("messages.json")["same"]:
        message = decode_client(data_of(entry))
        assert type(message).__name__.upper() == entry["name"]
        assert decode_client(encode(message)) == message


@pytest.mark.parametrize("side", ["client", "server"])
def test_messages_that_are_refused(side: str) -> None:
    for entry in vectors("messages.json")["invalid"][side]:
        with pytest.raises(InvalidMessage) as refusal:
            DECODE[side](data_of(entry))
        assert refusal.value.code == entry["code"], entry["why"]


def test_checksums() -> None:
    found = vectors("crc32c.json")
    for entry in found["crc32c"]:
        assert crc32c(data_of(entry["data"])) == entry["crc32c"]
    for entry in found["combine"]:
        combined = crc32c_combine(entry["first"], entry["second"], entry["second_length"])
        assert combined == entry["combined"]
    for entry in found["combine_data"]:
        first, second = data_of(entry["first"]), data_of(entry["second"])
        assert crc32c_combine(crc32c(first), crc32c(second), len(second)) == entry["combined"]


def test_pieces_are_what_a_receiver_takes_and_complete_the_file() -> None:
    for entry in vectors("pieces.json"):
        chunk_size, size, end = entry["chunk_size"], entry["size"], entry["end"]
        length = size if size is not None else end
        for start, stop in entry["pieces"]:
            check_bounds(start, stop - start, chunk_size, length)
            assert fills_cell(start, stop - start, chunk_size, length)
            holes = sum(high - low for low, high in entry["missing"])
            ends = {low for low, _ in entry["missing"]} | {entry["upload_size"] + holes}
            assert start == cell_start(start, chunk_size) or start in ends
        if size is not None:
            sent = [Piece(start, stop - start, 0) for start, stop in entry["pieces"]]
            there = [Piece(low, high - low, 0) for low, high in complement(entry["missing"], size)]
            prove(sorted(sent + there), size)


def complement(missing: list[list[int]], size: int) -> list[tuple[int, int]]:
    """The ranges between the missing ones."""
    edges = [0, *(edge for gap in missing for edge in gap), size]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(low, high) for low, high in pairs if low < high]
