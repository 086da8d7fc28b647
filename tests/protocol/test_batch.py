"""The body of `POST /v1/files/batch`: every batch survives, the rest is refused, and cheaply."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.protocol.batch import MOST_BYTES, MOST_FILES, decode, encode
from lading.protocol.codec import LONGEST
from lading.protocol.errors import InvalidArgument
from lading.protocol.messages import OVERHEAD
from lading.protocol.spec import UploadSpec

MIB = 2**20


def pack(*values: Any) -> bytes:
    return b"".join(msgpack.packb(value) for value in values)


FILES = st.lists(
    st.tuples(
        st.builds(
            UploadSpec,
            name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
            directory=st.sampled_from(["", "a", "a/b"]),
            tags=st.sampled_from([(), ("x",), ("x", "y")]),
            mime_type=st.sampled_from([None, "text/plain"]),
            modified_at=st.none() | st.integers(0, 2**40).map(lambda ms: ms / 1000),
        ),
        st.binary(max_size=300) | st.integers(0, 70_000).map(bytes),
    ),
    min_size=1,
    max_size=5,
)


@given(FILES)
def test_a_batch_is_read_as_it_was_written(files: list[tuple[UploadSpec, bytes]]) -> None:
    assert decode(encode(files)) == [(replace(spec, size=len(data)), data) for spec, data in files]


SPEC = {"name": "a"}
REFUSED = {
    "nothing": b"",
    "no bytes": pack(SPEC),
    "the second without bytes": pack(SPEC, b"x", SPEC),
    "cut in the bytes": pack(SPEC, b"hello")[:-1],
    "cut in the map": pack(SPEC)[:-1],
    "text for bytes": pack(SPEC, "x"),
    "an array for bytes": pack(SPEC, [b"x"]),
    "no map": pack([1], b"x"),
    "no name": pack({}, b"x"),
    "a name that is none": pack({"name": 1}, b"x"),
    "a name with NUL": pack({"name": "a\0"}, b"x"),
    "a name that is no text": b"\x81\xa4name\xa1\xff" + pack(b"x"),
    "keys that are no text": pack({1: 2}, b"x"),
    "another size": pack({**SPEC, "size": 2}, b"x"),
    "a long map": pack({**SPEC, "more": "x" * OVERHEAD}, b"x"),
    "a number of no type": b"\xc1" * 9,
    "an extension": pack(SPEC, msgpack.ExtType(5, b"x")),
    "too many": pack(SPEC, b"x") * (MOST_FILES + 1),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decode(body)
    assert refused.value.detail


def test_a_refusal_says_which_file_it_is_about() -> None:
    body = pack(SPEC, b"x", {"name": 1}, b"y")
    with pytest.raises(InvalidArgument, match=r"^File 2 of the batch: name must be text"):
        decode(body)


def test_as_many_files_as_are_allowed() -> None:
    assert len(decode(pack(SPEC, b"x") * MOST_FILES)) == MOST_FILES


def test_fields_that_are_not_known_are_ignored_as_in_create() -> None:
    assert decode(pack({**SPEC, "newer": [1]}, b"x")) == [(UploadSpec(name="a", size=1), b"x")]


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_are_a_batch_or_refused(data: bytes) -> None:
    for body in (data, pack(SPEC, b"x") + data, pack(SPEC) + data):
        # Any other error goes through.
        with suppress(InvalidArgument):
            assert decode(body)


BOMBS = {
    "depth": b"\x91" * MOST_BYTES,
    "4 MiB of empty arrays": b"\xdc\x01\x00" + (b"\xdc\x01\x00" + b"\x90" * LONGEST) * 16_000,
    "small maps without end": (pack({"name": "a", "tags": ["x"] * 64}, b"") * 40_000)[:MOST_BYTES],
    "binary that claims 2^32 bytes": pack(SPEC) + b"\xc6\xff\xff\xff\xff",
    "a map of many keys": pack({str(n): n for n in range(100_000)}, b"x"),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_a_hostile_body_costs_little(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgument):
            decode(body)
        assert tracemalloc.get_traced_memory()[1] <= MOST_BYTES + 2 * MIB  # the body once more
    finally:
        tracemalloc.stop()
