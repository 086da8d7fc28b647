"""Writes the test vectors for clients in every language, from the Python protocol.

    python -m tests.vectors.generate

messages.json   each message as an array and as its bytes; other bytes with the same meaning; bytes
                that must be refused, with the code
crc32c.json     bytes and their CRC-32C; combinations of two sums
pieces.json     the missing ranges of an upload, and the pieces that a client sends, in order

JSON writes bytes as {"hex": "…"}. Another encoder may use other msgpack headers, such as a shorter
one before the payload of CHUNK. Only the decoded values must be equal.
"""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack

from lading.protocol import messages as m
from lading.protocol.codec import encode
from lading.protocol.digests import crc32c, crc32c_combine
from lading.protocol.manifest import MAX_INTEGER, Range
from lading.protocol.sender import Sender
from lading.protocol.spec import UploadSpec

FOLDER = Path(__file__).parent
ID = "65f0c0ffee00000000000001"
SHA256 = "0123456789abcdef" * 4

CLIENT: list[m.ClientMessage] = [
    m.Hello(),
    m.Hello("a token", "browser/1.0"),
    m.Create(0, UploadSpec(name="film.mp4", size=25)),
    m.Create(
        m.MAX_REF,
        UploadSpec(
            name="grün 🎬.mp4",
            size=MAX_INTEGER,
            mime_type="video/mp4",
            directory="holiday/2026",
            tags=("sea", "sun"),
            sha256=SHA256,
            fingerprint="film-25",
            chunk_size=4_194_304,
        ),
    ),
    m.Create(1, UploadSpec(name="recording.webm")),
    m.Resume(1, ID),
    m.Chunk(1, 0, crc32c(b"hello"), b"hello"),
    m.Chunk(1, 4_294_967_296, 0xFFFFFFFF, bytes(range(256))),
    m.Chunk(1, MAX_INTEGER, 0, b""),
    m.Finish(1),
    m.Finish(1, 0),
    m.Finish(1, 25, SHA256),
    m.Abort(1),
    m.Detach(300),
    m.Token("another token"),
    m.Ping(0),
    m.Ping("a word"),
    m.Ping(b"\x00\xff"),
]

PROBLEM: dict[str, Any] = {
    "code": "incomplete",
    "title": "Parts of the file are still missing.",
    "retryable": False,
    "missing": [[10, 20]],
}

SERVER: list[m.ServerMessage] = [
    m.Welcome("ann", 16_777_216, 4_194_304, 20, "lading/1.0"),
    m.Opened(1, ID, "film.mp4", 25, 10, 10, ((0, 10), (20, 25)), 1_800_000_000, "uploading"),
    m.Opened(1, ID, "recording.webm", None, 10, 0, (), None, "uploading"),
    m.Opened(1, ID, "film.mp4", 25, 10, 25, (), None, "ready"),
    m.Stored(1, ((0, 10), (20, 5)), 15),
    m.Refused(1, 10, {"code": "checksum-mismatch", "title": "Damaged.", "retryable": True}),
    m.Window(0),
    m.Window(8_388_608),
    m.Complete(1, ID, 25, "video/mp4", SHA256, 0xFFFFFFFF, f"/v1/files/{ID}"),
    m.Complete(1, ID, 0, "application/octet-stream", None, 0, f"https://example.org/v1/files/{ID}"),
    m.Closed(1),
    m.Problem(1, PROBLEM),
    m.Problem(None, {"code": "unauthorized", "title": "Expired.", "retryable": False}),
    m.GoAway("shutdown", 2),
    m.Pong(0),
    m.Pong("a word"),
    m.Verifying(1, 10, 25),
]

DEEP = b"\x91" * 10_000
LONG_INTEGER = b"\xcf" + struct.pack(">Q", 2**53)


def pack(*items: Any) -> bytes:
    return bytes(msgpack.packb(items))


SAME: list[tuple[str, str, bytes]] = [
    ("DETACH", "an extra item at the end", pack(7, 1, "new")),
    ("HELLO", "an unknown key", pack(1, {"token": "a token", "new": [1, {"a": None}]})),
    ("CREATE", "only what is required", pack(2, 1, {"name": "n"})),
    ("CREATE", "null for what is not given", pack(2, 1, {"name": "n", "tags": None, "size": None})),
    ("CHUNK", "a short header of binary", pack(4, 1, 0, crc32c(b"hello"), b"hello")),
    ("PING", "long headers", b"\xdd\x00\x00\x00\x02\xcd\x00\x09\xcf" + bytes(8)),
    ("PING", "a positive integer in signed form", b"\x92\x09\xd3\x00\x00\x00\x00\x00\x00\x00\x05"),
]

INVALID: dict[str, list[tuple[str, bytes]]] = {
    "client": [
        ("nothing", b""),
        ("an array of nothing", pack()),
        ("a map", b"\x81\x01\x02"),
        ("no array", pack(9, 0)[1:]),
        ("trailing bytes", pack(9, 0) + b"\x00"),
        ("cut off", encode(m.Resume(1, ID))[:-1]),
        ("a byte that msgpack does not use", b"\xc1"),
        ("an unknown number", pack(10, 1)),
        ("a server's message", encode(m.Closed(1))),
        ("a number as text", pack("9", 0)),
        ("a number that is true", b"\x92\xc3\x80"),
        ("too few items", pack(4, 1, 0, 0)),
        ("a negative offset", pack(4, 1, -1, 0, b"x")),
        ("an offset of 2^53", b"\x95\x04\x01" + LONG_INTEGER + b"\x00\xc4\x01x"),
        ("an offset of 2^63", pack(4, 1, 2**63, 0, b"x")),
        ("an offset that is NaN", pack(4, 1, float("nan"), 0, b"x")),
        ("an offset that is a float", pack(4, 1, 1.0, 0, b"x")),
        ("an offset that is text", pack(4, 1, "1e3", 0, b"x")),
        ("an offset that is true", pack(4, 1, True, 0, b"x")),
        ("a checksum of 33 bits", pack(4, 1, 0, 2**32, b"x")),
        ("a payload that is text", pack(4, 1, 0, 0, "x")),
        ("a ref of 65,536", pack(6, 65_536)),
        ("a name with NUL", pack(2, 1, {"name": "a\0b"})),
        ("a name that is a map", pack(2, 1, {"name": {"$ne": None}})),
        ("no name", pack(2, 1, {"size": 1})),
        ("tags that are text", pack(2, 1, {"name": "n", "tags": ""})),
        ("text that is not UTF-8", b"\x92\x08\xa1\xff"),
        ("a surrogate", b"\x92\x08\xa3\xed\xa0\x80"),
        ("a key that is a number", b"\x92\x01\x81\x01\x02"),
        ("an extension", b"\x92\x09\xd4\x05\x00"),
        ("a time", b"\x92\x09\xd6\xff\x00\x00\x00\x00"),
        ("a map that claims a million keys", b"\x92\x01\xdf\x00\x0f\x42\x40"),
        ("depth 10,000", DEEP),
    ],
    "server": [
        ("nothing", b""),
        ("a client's message", encode(m.Abort(1))),
        ("an unknown number", pack(76, 1)),
        ("missing ranges that are no pairs", pack(67, 1, [[0]], 0)),
        ("a negative window", pack(69, -1)),
        ("a problem that is text", pack(72, None, "problem")),
        ("trailing bytes", encode(m.Closed(1)) + b"\xc0"),
        ("an extension", b"\x92\x4a\xd4\x05\x00"),
    ],
}

SUMMED = [
    b"", b"\x00", b"a", b"123456789", bytes(32), b"\xff" * 32, bytes(range(32)),
    bytes(range(31, -1, -1)), bytes(range(256)), "grün 🎬".encode(),
]  # fmt: skip

LENGTHS = [0, 1, 5, 255, 4096, 4_194_304, 4_194_305, 2**32, 2**40 + 1, MAX_INTEGER]

Case = tuple[int, int | None, tuple[Range, ...], int, int, int | None]
CASES: list[Case] = [
    # chunk_size, size, missing, upload_size, offered, end
    (10, 0, (), 0, 0, None),
    (10, 1, ((0, 1),), 0, 0, None),
    (10, 10, ((0, 10),), 0, 0, None),
    (10, 11, ((0, 11),), 0, 0, None),
    (10, 25, ((0, 25),), 0, 0, None),
    (10, 25, ((3, 25),), 3, 0, None),
    (10, 25, ((7, 10), (20, 25)), 17, 0, None),
    (10, 25, ((10, 20),), 15, 0, None),
    (10, 25, ((24, 25),), 24, 0, None),
    (10, 25, (), 25, 0, None),
    (10, 100, ((5, 40), (62, 70), (95, 100)), 52, 0, None),
    (4_194_304, 10_000_000, ((0, 10_000_000),), 0, 0, None),
    (4_194_304, 6_000_000_000, ((5_999_000_000, 6_000_000_000),), 5_999_000_000, 0, None),
    # unknown size: whole cells until the size is known
    (10, None, (), 0, 0, None),
    (10, None, (), 0, 9, None),
    (10, None, (), 0, 25, None),
    (10, None, (), 0, 25, 25),
    (10, None, (), 0, 20, 20),
    (10, None, (), 0, 0, 0),
    (10, None, ((10, 20),), 15, 25, None),
    (10, None, ((10, 20),), 15, 45, 48),
]


def plain(value: Any) -> Any:
    """A value in the form that JSON can write."""
    match value:
        case bytes():
            return {"hex": value.hex()}
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


def entry(message: m.ClientMessage | m.ServerMessage) -> dict[str, Any]:
    data = encode(message)
    name = type(message).__name__.upper()
    return {"name": name, "items": plain(msgpack.unpackb(data)), "hex": data.hex()}


def messages() -> dict[str, Any]:
    return {
        "client": [entry(message) for message in CLIENT],
        "server": [entry(message) for message in SERVER],
        "same": [
            {"name": name, "why": why, "items": plain(msgpack.unpackb(data)), "hex": data.hex()}
            for name, why, data in SAME
        ],
        "invalid": {
            side: [{"why": why, "hex": data.hex(), "code": "invalid-message"} for why, data in rows]
            for side, rows in INVALID.items()
        },
    }


def sums() -> dict[str, Any]:
    first, second = crc32c(b"first"), crc32c(b"second")
    return {
        "crc32c": [{"data": plain(data), "crc32c": crc32c(data)} for data in SUMMED],
        "combine": [
            {
                "first": first,
                "second": second,
                "second_length": length,
                "combined": crc32c_combine(first, second, length),
            }
            for length in LENGTHS
        ],
        "combine_data": [
            {
                "first": plain(before),
                "second": plain(after),
                "combined": crc32c(before + after),
            }
            for before, after in pairwise(SUMMED)
        ],
    }


def pieces_of(case: Case) -> list[Range]:
    """The pieces that the Python sender sends with an unlimited window."""
    chunk_size, size, missing, upload_size, offered, end = case
    sender = Sender()
    sender.receive(m.Welcome("ann", MAX_INTEGER, chunk_size, 20, "lading"))
    ref = sender.resume(ID)
    sender.receive(
        m.Opened(ref, ID, "f", size, chunk_size, upload_size, missing, None, "uploading")
    )
    sender.offer(ref, offered)
    if end is not None:
        sender.end(ref, end)
    found: list[Range] = []
    while (wanted := sender.wanted()) is not None:
        found.append((wanted.start, wanted.end))
    return found


def pieces() -> list[dict[str, Any]]:
    names = ("chunk_size", "size", "missing", "upload_size", "offered", "end")
    return [
        {**dict(zip(names, plain(case), strict=True)), "pieces": plain(pieces_of(case))}
        for case in CASES
    ]


def lines(value: Any) -> str:
    """JSON with one line per entry, so that a diff is readable."""
    if isinstance(value, dict):
        body = ",\n".join(f"{json.dumps(key)}: {lines(item)}" for key, item in value.items())
        return f"{{\n{body}\n}}"
    body = ",\n".join(json.dumps(item, ensure_ascii=False) for item in value)
    return f"[\n{body}\n]"


def files() -> dict[str, str]:
    """Each file's name and text."""
    made = {"messages.json": messages(), "crc32c.json": sums(), "pieces.json": pieces()}
    return {name: lines(value) + "\n" for name, value in made.items()}


if __name__ == "__main__":
    for file_name, text in files().items():
        (FOLDER / file_name).write_text(text, encoding="utf-8")
