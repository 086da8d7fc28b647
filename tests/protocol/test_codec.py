"""The grammar: each message comes back as it went; any other bytes are refused, at little cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lading.protocol import messages as m
from lading.protocol.codec import decode_client, decode_server, encode
from lading.protocol.errors import InvalidMessage
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import UploadSpec
from tests.support.strategies import client_messages, server_messages

Message = m.ClientMessage | m.ServerMessage
Decode = Callable[[bytes], Message]
both = pytest.mark.parametrize("decode", [decode_client, decode_server])
any_message = st.one_of(client_messages, server_messages)
CHUNK = m.Chunk(7, 4096, 0xDEADBEEF, b"payload")


def decoder(message: Message) -> Decode:
    return decode_client if message.number < 64 else decode_server


def pack(*items: Any) -> bytes:
    return bytes(msgpack.packb(items))


def refused(decode: Decode, data: bytes) -> bool:
    """Whether the bytes are refused; any other exception than the one allowed goes through."""
    try:
        decode(data)
    except InvalidMessage as error:
        return bool(error.detail)
    return False


# -- there and back


@given(any_message)
def test_every_message_comes_back(message: Message) -> None:
    assert decoder(message)(encode(message)) == message


@given(any_message)
def test_the_first_item_is_the_number(message: Message) -> None:
    assert msgpack.unpackb(encode(message))[0] == message.number


@given(any_message)
def test_messages_of_the_other_side_are_refused(message: Message) -> None:
    other = decode_server if message.number < 64 else decode_client
    assert refused(other, encode(message))


@given(any_message)
@settings(max_examples=50)
def test_a_message_cut_anywhere_is_refused(message: Message) -> None:
    data, decode = encode(message), decoder(message)
    assert all(refused(decode, data[:length]) for length in range(len(data)))


@given(any_message, st.binary(min_size=1, max_size=3))
def test_trailing_bytes_are_refused(message: Message, more: bytes) -> None:
    assert refused(decoder(message), encode(message) + more)


@given(any_message, st.lists(st.none() | st.text() | st.integers(0, 9), max_size=3))
def test_extra_items_at_the_end_are_ignored(message: Message, more: list[Any]) -> None:
    items = msgpack.unpackb(encode(message))
    assert decoder(message)(pack(*items, *more)) == message


@pytest.mark.parametrize(
    "message",
    [
        m.Hello("t", "c"),
        m.Create(1, UploadSpec(name="n")),
        m.Finish(1, 2),
        m.Welcome("u", 1, 1, 20, "s"),
        m.Opened(1, "i", "n", None, 1, 0, (), None, "uploading"),
        m.Complete(1, "i", 0, "a/b", None, 0, "/u"),
        m.GoAway("why", 1),
    ],
)
def test_unknown_keys_are_ignored(message: Message) -> None:
    *items, fields = msgpack.unpackb(encode(message))
    assert decoder(message)(pack(*items, {**fields, "new": [1], "newer": {"a": None}})) == message


def test_what_may_be_left_out() -> None:
    assert decode_client(pack(1, {})) == m.Hello()
    assert decode_client(pack(2, 3, {"name": "n"})) == m.Create(3, UploadSpec(name="n"))
    assert decode_client(pack(5, 3, {})) == m.Finish(3)
    nothing = dict.fromkeys(["size", "tags", "directory", "mime_type", "fingerprint"])
    assert decode_client(pack(2, 3, {"name": "n", **nothing})) == m.Create(3, UploadSpec(name="n"))


# -- anything else


@both
@given(data=st.binary(max_size=300))
@example(data=b"")
def test_any_bytes_are_a_message_or_refused(decode: Decode, data: bytes) -> None:
    with suppress(InvalidMessage):
        assert decode(encode(decode(data))) == decode(data)


@given(any_message, st.data())
def test_damaged_messages_are_a_message_or_refused(message: Message, data: st.DataObject) -> None:
    damaged = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    refused(decoder(message), bytes(damaged))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(st.integers(0, 80), st.lists(json_like, max_size=5))
def test_items_of_any_type_are_a_message_or_refused(number: int, items: list[Any]) -> None:
    refused(decode_client, pack(number, *items))
    refused(decode_server, pack(number, *items))


NOT_INTEGERS = [-1, -(2**63), 2**53, 2**63, 2**64 - 1, float("nan"), 1.0, "1e3", "1", True, False,
                None, b"\x01", [1], {"a": 1}]  # fmt: skip


@pytest.mark.parametrize("value", NOT_INTEGERS, ids=repr)
def test_what_is_no_offset(value: object) -> None:
    assert refused(decode_client, pack(4, 0, value, 0, b"x"))
    assert refused(decode_server, pack(67, 0, [[value, 1]], 0))
    assert refused(decode_server, pack(68, 0, value, {}))
    if value is not None:
        assert refused(decode_client, pack(2, 0, {"name": "n", "size": value}))
        assert refused(decode_client, pack(5, 0, {"size": value}))


@pytest.mark.parametrize("value", [*NOT_INTEGERS, 65_536], ids=repr)
def test_what_is_no_ref(value: object) -> None:
    for items in [(2, value, {"name": "n"}), (3, value, "i"), (4, value, 0, 0, b""), (5, value, {}),
                  (6, value), (7, value)]:  # fmt: skip
        assert refused(decode_client, pack(*items))


@pytest.mark.parametrize("value", [*NOT_INTEGERS, 2**32], ids=repr)
def test_what_is_no_checksum(value: object) -> None:
    assert refused(decode_client, pack(4, 0, 0, value, b"x"))


def test_the_largest_integers() -> None:
    message = m.Chunk(m.MAX_REF, MAX_INTEGER, 2**32 - 1, b"x")
    assert decode_client(encode(message)) == message


@pytest.mark.parametrize(
    "items",
    [
        (),
        (0,),
        (10, 0),
        (64, 0),
        (76, 0),
        (-1, 0),
        (True, {}),
        (1.0, {}),
        ("1", {}),
        (None,),
        ([1], {}),
        (1,),
        (1, None),
        (1, []),
        (1, {"token": b"t"}),
        (1, {"token": "nul\0"}),
        (1, {"token": 5}),
        (2, 0, {}),
        (2, 0, {"name": None}),
        (2, 0, {"name": b"n"}),
        (2, 0, {"name": "nul\0"}),
        (2, 0, {"name": {"$ne": None}}),
        (2, 0, {"name": "n", "tags": "t"}),
        (2, 0, {"name": "n", "tags": ""}),
        (2, 0, {"name": "n", "tags": 0}),
        (2, 0, {"name": "n", "tags": False}),
        (2, 0, {"name": "n", "tags": {}}),
        (2, 0, {"name": "n", "tags": [{"$ne": None}]}),
        (2, 0, {"name": "n", "tags": ["nul\0"]}),
        (2, 0, {"name": "n", "directory": ["a"]}),
        (3, 0, {"$ne": None}),
        (3, 0, b"0" * 24),
        (3, 0, "nul\0"),
        (4, 0, 0, 0),
        (4, 0, 0, 0, "text"),
        (4, 0, 0, 0, None),
        (4, 0, 0, 0, [1, 2]),
        (5, 0),
        (5, 0, {"sha256": b"s"}),
        (8, None),
        (8, "nul\0"),
        (9, None),
        (9, -1),
        (9, 1.5),
        (9, "n" * 126),
        (9, "nul\0"),
        (9, b"n" * 126),
    ],
    ids=repr,
)
def test_client_items_of_a_wrong_type_or_number(items: tuple[Any, ...]) -> None:
    assert refused(decode_client, pack(*items))


@pytest.mark.parametrize(
    "items",
    [
        (65, {}),
        (66, 0, {"id": "i"}),
        (67, 0, [[1]], 0),
        (67, 0, [1], 0),
        (67, 0, {}, 0),
        (68, 0, 0, "problem"),
        (69, None),
        (71, None),
        (72, None, None),
        (72, "1", {}),
        (75, 0, 1),
    ],
    ids=repr,
)
def test_server_items_of_a_wrong_type_or_number(items: tuple[Any, ...]) -> None:
    assert refused(decode_server, pack(*items))


@both
@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"\xc0",
        b"\x09",
        b"\xa1a",
        b"\x81\x00\x09",
        b"\x92\x09\xd4\x05\x00",
        b"\x92\x09\xc7\x00\x05",
        b"\x92\x09\xc7\x05\x05abcde",
        b"\x92\x09\xd6\xff\x00\x00\x00\x00",
        b"\x92\x09\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x92\x09\xc7\x0c\xff" + b"\xff" * 12,
        b"\x92\x01\x81\x01\x01",
        b"\x92\x01\x81\xc0\x01",
        b"\x92\x01\x81\x90\x01",
        b"\x92\x08\xa2\xed\xa0",
        b"\x92\x08\xa3\xed\xa0\x80",
        b"\x92\x08\xa1\xff",
    ],
    ids=bytes.hex,
)
def test_bytes_outside_the_grammar(decode: Decode, data: bytes) -> None:
    """Not an array; extension types and times; keys that are no text; what is not UTF-8."""
    assert refused(decode, data)


def test_that_a_digest_follows_is_true_or_not_there() -> None:
    for said in (False, None):
        assert decode_client(pack(2, 1, {"name": "a", "sha256_follows": said})) == m.Create(
            1, UploadSpec(name="a")
        )
    create = m.Create(1, UploadSpec(name="a", sha256_follows=True))
    assert decode_client(pack(2, 1, {"name": "a", "sha256_follows": True})) == create
    assert "sha256_follows" not in msgpack.unpackb(encode(m.Create(1, UploadSpec(name="a"))))[2]
    for wrong in (1, "yes", [0]):
        assert refused(decode_client, pack(2, 1, {"name": "a", "sha256_follows": wrong}))


def test_the_time_of_a_file_is_whole_milliseconds_on_the_wire() -> None:
    create = m.Create(1, UploadSpec(name="a", modified_at=1_234_567_890.123))
    (_, _, fields) = msgpack.unpackb(encode(create))
    assert fields["modified_at"] == 1_234_567_890_123
    assert decode_client(encode(create)) == create
    for wrong in (-1, 1.5, "now", True, 2**53):
        assert refused(decode_client, pack(2, 1, {"name": "a", "modified_at": wrong}))
    assert decode_client(pack(2, 1, {"name": "a", "modified_at": None})) == m.Create(
        1, UploadSpec(name="a")
    )
