"""The grammar at its limits: long chunks are read another way, and hostile messages cost little."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.protocol import messages as m
from lading.protocol.codec import LONGEST, decode_client, decode_server, encode
from lading.protocol.errors import InvalidMessage


def refused(decode: Callable[[bytes], object], data: bytes) -> bool:
    """Whether the bytes are refused; any other exception than the one allowed goes through."""
    try:
        decode(data)
    except InvalidMessage as error:
        return bool(error.detail)
    return False


def pack(*items: Any) -> bytes:
    return bytes(msgpack.packb(items))


# -- long chunks


@pytest.mark.parametrize("over", [-20, -1, 0, 1, 100])
def test_a_chunk_around_the_length_where_reading_changes(over: int) -> None:
    message = m.Chunk(7, 4096, 1, b"x" * (m.OVERHEAD + over))
    assert decode_client(encode(message)) == message


LONG = bytes(range(256)) * 300
BIN = b"\xc6" + struct.pack(">I", len(LONG)) + LONG


@pytest.mark.parametrize("array", [b"\x95", b"\xdc\x00\x05", b"\xdd\x00\x00\x00\x05"])
@pytest.mark.parametrize(
    "five", [b"\x05", b"\xcc\x05", b"\xcd\x00\x05", b"\xce\x00\x00\x00\x05", b"\xcf" + bytes(7)
             + b"\x05", b"\xd0\x05", b"\xd1\x00\x05", b"\xd2\x00\x00\x00\x05",
             b"\xd3" + bytes(7) + b"\x05"]
)  # fmt: skip
def test_a_long_chunk_in_every_way_to_write_its_head(array: bytes, five: bytes) -> None:
    head = array + b"\xcc\x04" + five * 3
    assert decode_client(head + BIN) == m.Chunk(5, 5, 5, LONG)


def test_extra_items_after_a_long_chunk() -> None:
    assert decode_client(b"\x96\x04\x05\x05\x05" + BIN + b"\xa4more") == m.Chunk(5, 5, 5, LONG)


@pytest.mark.parametrize(
    "data",
    [
        b"\x95\x04\x05\x05\x05" + BIN + b"\x00",
        b"\x96\x04\x05\x05\x05" + BIN,
        b"\x95\x04\x05\x05\x05" + BIN[:-1],
        b"\x95\x04\x05\xff\x05" + BIN,
        b"\x95\x04\x05\xc3\x05" + BIN,
        b"\x95\x04\x05\xca\x05" + BIN,
        b"\x94\x04\x05\x05\x05" + BIN,
        b"\x95\x01\x80\x05\x05" + BIN,
        b"\x95\x09\x05\x05\x05" + BIN,
        b"\x95\x04\x05\x05\x05\xdb" + BIN[1:],
        b"\x96\x04\x05\x05\x05" + BIN + b"\xda\xff\xff" + b"x" * 65_535,
        b"\x92\x09" + BIN,
        b"\x92\x08\xdb" + struct.pack(">I", len(LONG)) + b"x" * len(LONG),
        b"\xcf" * 100_000,
        b"\x95\x04" + b"\xcf" * 100_000,
        bytes(100_000),
    ],
)
def test_long_messages_that_are_no_chunk(data: bytes) -> None:
    assert refused(decode_client, data)


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=20))
@settings(max_examples=300)
def test_any_long_bytes_are_a_message_or_refused(head: bytes, tail: bytes) -> None:
    refused(decode_client, head + BIN + tail)
    refused(decode_client, b"\x95\x04" + head + BIN + tail)


# -- memory


@contextmanager
def costs_at_most(size: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= size
    finally:
        tracemalloc.stop()


MIB = 1024 * 1024
BOMBS = {
    "depth 10,000": b"\x91" * 10_000,
    "depth of wide arrays": (b"\xdc" + LONGEST.to_bytes(2, "big")) * 20_000,
    "depth of maps": b"\x81\xa1a" * 10_000,
    "a map of a million keys": msgpack.packb([1, {str(n): n for n in range(1_000_000)}]),
    "a map that claims a million keys": b"\x92\x01\xdf\x00\x0f\x42\x40",
    "an array that claims 2^32 items": b"\xdd\xff\xff\xff\xff",
    "a text that claims 2^32 bytes": b"\x92\x08\xdb\xff\xff\xff\xff",
    "binary that claims 2^32 bytes": b"\x95\x04\x00\x00\x00\xc6\xff\xff\xff\xff",
    "an extension that claims 2^32 bytes": b"\x92\x09\xc9\xff\xff\xff\xff\x05",
    "a million empty arrays": pack(1, [[[]] * 1000] * 1000),
    "4 MiB of empty arrays": b"\xdc\x01\x00" + (b"\xdc\x01\x00" + b"\x90" * 256) * 16_000,
    "64 KiB of empty maps": b"\xdc\x01\x00" + (b"\xdc\x01\x00" + b"\x80" * 256) * 253,
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_hostile_message_costs_little(data: bytes) -> None:
    with costs_at_most(5 * MIB):
        assert refused(decode_client, data)


def test_a_chunk_costs_its_payload_once() -> None:
    data = encode(m.Chunk(0, 0, 0, bytes(8 * MIB)))
    with costs_at_most(8 * MIB + 64 * 1024):
        decode_client(data)


def test_writing_a_chunk_holds_the_payload_once_more() -> None:
    message = m.Chunk(0, 0, 0, bytes(8 * MIB))
    with costs_at_most(8 * MIB + 64 * 1024):
        encode(message)


def test_the_missing_ranges_of_a_large_upload_are_read() -> None:
    missing = tuple((2 * n, 2 * n + 1) for n in range(100_000))
    message = m.Opened(1, "i", "n", None, 1, 0, missing, None, "uploading")
    data = encode(message)
    with costs_at_most(100 * len(data)):
        assert decode_server(data) == message
