"""The bad inputs of page 5 that come over a channel: each is refused by its code, stores nothing,
leaves the upload beside it unharmed, and costs little memory and time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lading.protocol.receiver import ReceiverLimits
from lading.server.limits import Limits
from tests.conftest import Kept
from tests.support.cost import costs_little, quickly
from tests.support.frames import BINARY, frame, raw
from tests.support.servers import Process, inside
from tests.support.wire import (
    ABORT,
    CHUNK,
    CREATE,
    DETACH,
    FINISH,
    HELLO,
    PING,
    RESUME,
    TOKEN,
    Wire,
    channel,
    checksum,
)

CELL = 1024
MIB = 2**20
DATA = bytes(range(256)) * 12
"""Three cells."""


@pytest.fixture(autouse=True)
def _costs_little(server: Process) -> Iterator[None]:
    with costs_little(server):
        yield


@asynccontextmanager
async def unharmed(server: Process, kept: Kept) -> AsyncIterator[Wire]:
    """A connection with an upload on ref 0, which goes on afterwards as if nothing had happened;
    of all else nothing was kept."""
    async with channel(server) as wire:
        upload = await wire.create(0, len(DATA), chunk_size=CELL)
        await wire.chunk(0, CELL, DATA[CELL : 2 * CELL])
        await wire.stored(1)
        yield wire
        if wire.socket.close_code is None:
            await goes_on(wire, 0)
    if wire.socket.close_code not in (None, 1000):
        async with channel(server) as wire:
            again = await wire.resume(5, upload["id"])
            assert again["missing"] == [[0, CELL], [2 * CELL, 3 * CELL]]
            await goes_on(wire, 5)
    assert kept() == (1, 3)


async def goes_on(wire: Wire, ref: int) -> None:
    for start in (0, 2 * CELL):
        await wire.chunk(ref, start, DATA[start : start + CELL])
    await wire.stored(2)
    assert (await wire.finish(ref))["crc32c"] == checksum(DATA)


# -- pieces


PIECES = {
    "wrong-checksum": (0, DATA[:CELL], 1, "checksum-mismatch"),
    "damaged": (0, DATA[1 : CELL + 1], checksum(DATA[:CELL]), "checksum-mismatch"),
    "short": (0, DATA[: CELL - 1], None, "out-of-bounds"),
    "crosses-a-cell": (0, DATA[: CELL + 1], None, "out-of-bounds"),
    "in-the-middle-of-a-cell": (10, DATA[10:CELL], None, "out-of-bounds"),
    "past-the-end": (2 * CELL, DATA[: CELL + 1], None, "out-of-bounds"),
    "behind-the-end": (3 * CELL, DATA[:CELL], None, "out-of-bounds"),
    "far-behind-the-end": (2**53 - 1, DATA[:CELL], None, "out-of-bounds"),
    "empty": (0, b"", None, "out-of-bounds"),
    "other-bytes": (CELL, bytes(CELL), None, "chunk-conflict"),
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
async def test_a_piece_that_does_not_fit_is_refused(
    server: Process, kept: Kept, piece: tuple[int, bytes, int | None, str]
) -> None:
    start, data, crc, code = piece
    async with unharmed(server, kept) as wire:
        for _ in range(2):
            await wire.send(CHUNK, 0, start, checksum(data) if crc is None else crc, data)
            problem = await wire.refused(0, start)
            assert problem["code"] == code
            assert problem["retryable"] is (code == "checksum-mismatch")


async def test_a_piece_as_large_as_any_cell_crosses_one(server: Process, kept: Kept) -> None:
    async with unharmed(server, kept) as wire:
        data = os.urandom(4 * MIB)
        await wire.create(1, 4 * MIB, chunk_size=CELL)
        await wire.chunk(1, 0, data)
        assert (await wire.refused(1, 0))["code"] == "out-of-bounds"
        await wire.send(ABORT, 1)
        await wire.receive()


# -- refs


@pytest.mark.parametrize("number", [CHUNK, FINISH])
async def test_an_unknown_ref_has_no_upload(server: Process, kept: Kept, number: int) -> None:
    async with unharmed(server, kept) as wire:
        await wire.send(number, 9, *((0, 0, b"x") if number == CHUNK else ({},)))
        assert (await wire.problem(9))["code"] == "not-found"


async def test_two_creates_on_one_ref(server: Process, kept: Kept) -> None:
    async with unharmed(server, kept) as wire:
        await wire.send(CREATE, 0, {"name": "b", "size": 1})
        assert (await wire.problem(0))["code"] == "invalid-argument"


# -- values that are not of the protocol


NOT_A_NUMBER = [-1, 2**53, 2**63, 2**64 - 1, 1.0, float("nan"), "1e3", "1", True, None, [1], b"1"]
NOT_TEXT = [1, True, b"a", ["a"], {"$ne": None}, "nul\0inside"]
ID = "0" * 24

WRONG: list[tuple[Any, ...]] = [
    *((CHUNK, 0, value, 0, b"x") for value in NOT_A_NUMBER),
    *((CHUNK, value, 0, 0, b"x") for value in [*NOT_A_NUMBER, 65_536]),
    *((CHUNK, 0, 0, value, b"x") for value in [*NOT_A_NUMBER, 2**32]),
    *((CHUNK, 0, 0, 0, value) for value in ("text", 1, None, [1], {"a": 1})),
    *((CREATE, 1, {"name": "a", "size": v}) for v in NOT_A_NUMBER if v is not None),
    *((CREATE, 1, {"name": value, "size": 1}) for value in [*NOT_TEXT, None]),
    *((CREATE, 1, {"name": "a", "size": 1, "directory": value}) for value in NOT_TEXT),
    *((CREATE, 1, {"name": "a", "size": 1, "tags": value}) for value in (1, "a", {"a": 1}, [1])),
    *((CREATE, 1, {"name": "a", "size": 1, "mime_type": value}) for value in NOT_TEXT),
    *((CREATE, 1, {"name": "a", "size": 1, "fingerprint": value}) for value in NOT_TEXT),
    *((CREATE, 1, {"name": "a", "size": 1, "chunk_size": value}) for value in (-1, "4096", 1.5)),
    (CREATE, 1, {"size": 1}),
    (CREATE, 1, [["name", "a"]]),
    (CREATE, 1, {1: "a"}),
    (CREATE, 1),
    *((RESUME, 1, value) for value in [*NOT_TEXT, None]),
    *((FINISH, 0, {"size": value}) for value in NOT_A_NUMBER if value is not None),
    *((FINISH, 0, {"sha256": value}) for value in NOT_TEXT),
    (FINISH, 0, None),
    (ABORT, -1),
    (DETACH,),
    *((TOKEN, value) for value in (None, 1, {"$ne": None})),
    *((PING, value) for value in (None, -1, 1.5, [1], {"a": 1}, "x" * 126)),
    (HELLO, {"token": "again"}),
    (0,),
    (10, 1),
    (65, {}),
    (True, 1),
    (2.0, 1, {}),
    ("2", 1, {}),
]


@pytest.mark.parametrize("message", WRONG, ids=str)
async def test_a_value_of_the_wrong_type_ends_the_connection(
    server: Process, kept: Kept, message: tuple[Any, ...]
) -> None:
    async with unharmed(server, kept) as wire:
        await wire.send(*message)
        assert (await wire.problem(None))["code"] == "invalid-message"
        assert (await wire.closing()).code == 1002


NESTED = b"\x91" * 10_000 + b"\x01"
PACKED: dict[str, bytes] = {
    "nothing": b"",
    "not-an-array": msgpack.packb({"n": 2}),
    "an-empty-array": b"\x90",
    "half-a-message": msgpack.packb([CREATE, 1, {"name": "a", "size": 1}])[:-1],
    "trailing-byte": msgpack.packb([PING, 1]) + b"\x00",
    "two-messages": msgpack.packb([PING, 1]) * 2,
    "reserved-byte": b"\xc1",
    "depth": NESTED,
    "depth-of-a-value": b"\x93\x02\x01" + NESTED,
    "depth-of-a-map": b"\x92\x01" + b"\x81\xa1a" * 10_000 + b"\x01",
    "depth-after-a-piece": b"\x96\x04\x00\x00\x00\xc6\x00\x01\x00\x00" + bytes(65_536) + NESTED,
    "million-keys": b"\x92\x01\xdf\x00\x0f\x42\x40"
    + b"".join(b"\xce" + n.to_bytes(4, "big") + b"\x00" for n in range(500_000)),
    "million-items": b"\xdd\x00\x0f\x42\x40" + bytes(1_000_000),
    "claims-many-items": b"\xdd\xff\xff\xff\xff\x09",
    "claims-many-keys": b"\x92\x01\xdf\xff\xff\xff\xff",
    "claims-a-long-text": b"\x92\x09\xdb\xff\xff\xff\xff",
    "claims-a-long-piece": b"\x95\x04\x00\x00\x00\xc6\xff\xff\xff\xffx",
    "extension": b"\x92\x09\xd4\x05\x00",
    "timestamp": b"\x92\x09\xd6\xff\x00\x00\x00\x00",
    "long-extension": b"\x92\x09\xc9\x00\x01\x00\x00\x05" + bytes(65_536),
    "not-utf-8": b"\x92\x09\xa2\xff\xfe",
    "surrogate": b"\x93\x03\x01\xa3\xed\xa0\x80",
    "long-text": msgpack.packb([TOKEN, "x" * 2 * MIB]),
    "long-name": msgpack.packb([CREATE, 1, {"name": "x" * 100_000, "size": 1}]),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
async def test_what_is_no_message_ends_the_connection_quickly(
    server: Process, kept: Kept, packed: bytes
) -> None:
    async with unharmed(server, kept) as wire:
        await wire.socket.send(packed)
        assert (await wire.problem(None))["code"] == "invalid-message"
        assert (await wire.closing()).code == 1002

    async def again() -> None:
        async with channel(server) as wire:
            await wire.socket.send(packed)
            await wire.closing()

    await quickly(server, again)


# -- values that are not allowed


NOT_ALLOWED: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "x" * 1025},
    {"directory": "x" * 1025},
    *({"tags": [tag]} for tag in ("", ".", "..", "a\nb", "x" * 129)),
    {"tags": ["x"] * 65},
    *({"mime_type": value} for value in ("image", "image/png\r\nX: y", "a/b" + "x" * 300)),
    *({"sha256": value} for value in ("", "0" * 63, "G" * 64, "A" * 64, "$" * 64)),
    {"fingerprint": ""},
    {"fingerprint": "x" * 513},
    {"chunk_size": 0},
]


@pytest.mark.parametrize("fields", NOT_ALLOWED, ids=lambda fields: str(fields)[:50])
async def test_a_value_that_is_not_allowed_is_refused(
    server: Process, kept: Kept, fields: dict[str, Any]
) -> None:
    async with unharmed(server, kept) as wire:
        await wire.send(CREATE, 1, {"name": "a", "size": 1, **fields})
        assert (await wire.problem(1))["code"] == "invalid-argument"


@pytest.mark.parametrize(
    "upload_id",
    [
        "",
        "0" * 23,
        "0" * 25,
        "A" * 24,
        "z" * 24,
        '{"$ne": null}',
        "a.b",
        "../" * 8,
        "0" * 24 + "\n",
    ],
)
async def test_an_id_that_is_none(server: Process, kept: Kept, upload_id: str) -> None:
    async with unharmed(server, kept) as wire:
        await wire.send(RESUME, 1, upload_id)
        assert (await wire.problem(1))["code"] == "invalid-argument"


async def test_more_uploads_on_one_connection_than_are_allowed(
    tmp_path: Path, database_url: str
) -> None:
    limits = Limits(receiver=ReceiverLimits(max_uploads=3))
    async with inside(tmp_path, database_url, limits=limits) as running, channel(running) as wire:
        for ref in range(3):
            await wire.create(ref, 1)
        await wire.send(CREATE, 3, {"name": "a", "size": 1})
        assert (await wire.problem(3))["code"] == "rate-limited"
        await wire.chunk(0, 0, b"x")
        await wire.stored(1)
        await wire.finish(0)
        await wire.create(3, 1)


async def test_a_message_after_garbage_is_not_read(server: Process, kept: Kept) -> None:
    async with raw(server) as wire:
        create = frame(BINARY, msgpack.packb([CREATE, 1, {"name": "a", "size": 1}]))
        wire.write(frame(BINARY, b"\xc1") + create * 10)
        assert await wire.closing() == 1002
    assert kept() == (0, 0)
