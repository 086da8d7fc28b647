"""The messages of `lading.v1` to and from msgpack.

The grammar: items, types and limits. The state machines decide which message may come when.
Decoding is total: any bytes give a message or raise InvalidMessage. Of the client's bytes only a
CHUNK's payload may be long, so that a hostile message costs its own length and a few MiB: an empty
array of one byte takes 64 bytes in memory. Source: page 3 of the design, "Connection".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgpack

from lading.protocol.errors import InvalidMessage
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.messages import (
    MAX_REF,
    OVERHEAD,
    Abort,
    Chunk,
    ClientMessage,
    Closed,
    Complete,
    Create,
    Detach,
    Finish,
    GoAway,
    Hello,
    Nonce,
    Opened,
    Ping,
    Pong,
    Problem,
    Refused,
    Resume,
    ServerMessage,
    Stored,
    Token,
    Verifying,
    Welcome,
    Window,
)
from lading.protocol.spec import UploadSpec

# -- reading ---------------------------------------------------------------------------------------


def _wrong(what: str, wanted: str) -> InvalidMessage:
    return InvalidMessage(f"{what} must be {wanted}.")


def _integer(value: Any, what: str, most: int = MAX_INTEGER) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise _wrong(what, f"an integer from 0 to {most}")
    return value


def _seconds(value: Any, what: str) -> float:
    """A time in milliseconds as Unix seconds."""
    return _integer(value, what) / 1000


def _text(value: Any, what: str) -> str:
    if type(value) is not str or "\0" in value:
        raise _wrong(what, "text without NUL")
    return value


def _flag(value: Any, what: str) -> bool:
    if type(value) is not bool:
        raise _wrong(what, "true or false")
    return value


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise _wrong(what, "a map")
    return value


def _array(value: Any, what: str) -> list[Any]:
    if type(value) is not list:
        raise _wrong(what, "an array")
    return value


def _maybe(reader: Callable[[Any, str], Any], value: Any, what: str) -> Any:
    return None if value is None else reader(value, what)


def _ref(value: Any) -> int:
    return _integer(value, "ref", MAX_REF)


def _nonce(value: Any) -> Nonce:
    if type(value) is int:
        return _integer(value, "nonce")
    if not isinstance(value, (str, bytes)) or len(value) > 125:
        raise _wrong("nonce", "an integer or a short text")
    return _text(value, "nonce") if isinstance(value, str) else value


def _pairs(value: Any, what: str) -> tuple[tuple[int, int], ...]:
    pairs = []
    for item in _array(value, what):
        pair = _array(item, what)
        if len(pair) < 2:
            raise _wrong(what, "an array of pairs")
        pairs.append((_integer(pair[0], what), _integer(pair[1], what)))
    return tuple(pairs)


def read_spec(value: Any) -> UploadSpec:
    """The fields of CREATE; raises InvalidMessage for one of another type."""
    fields = _mapping(value, "CREATE")
    return UploadSpec(
        name=_text(fields.get("name"), "name"),
        size=_maybe(_integer, fields.get("size"), "size"),
        mime_type=_maybe(_text, fields.get("mime_type"), "mime_type"),
        directory=_maybe(_text, fields.get("directory"), "directory") or "",
        tags=tuple(_text(tag, "tag") for tag in _maybe(_array, fields.get("tags"), "tags") or ()),
        sha256=_maybe(_text, fields.get("sha256"), "sha256"),
        fingerprint=_maybe(_text, fields.get("fingerprint"), "fingerprint"),
        chunk_size=_maybe(_integer, fields.get("chunk_size"), "chunk_size"),
        kind=_maybe(_text, fields.get("kind"), "kind"),
        modified_at=_maybe(_seconds, fields.get("modified_at"), "modified_at"),
        replaces=_maybe(_text, fields.get("replaces"), "replaces"),
        sha256_follows=_maybe(_flag, fields.get("sha256_follows"), "sha256_follows") or False,
    )


def _read_hello(options: Any) -> Hello:
    fields = _mapping(options, "HELLO")
    return Hello(
        _maybe(_text, fields.get("token"), "token"), _maybe(_text, fields.get("client"), "client")
    )


def _read_chunk(ref: Any, slice_start: Any, crc32c: Any, data: Any) -> Chunk:
    if type(data) is not bytes:
        raise _wrong("data", "binary")
    return Chunk(
        _ref(ref),
        _integer(slice_start, "slice_start"),
        _integer(crc32c, "crc32c", 0xFFFFFFFF),
        data,
    )


def _read_finish(ref: Any, options: Any) -> Finish:
    fields = _mapping(options, "FINISH")
    return Finish(
        _ref(ref),
        _maybe(_integer, fields.get("size"), "size"),
        _maybe(_text, fields.get("sha256"), "sha256"),
    )


def _read_welcome(options: Any) -> Welcome:
    fields = _mapping(options, "WELCOME")
    return Welcome(
        _text(fields.get("user_id"), "user_id"),
        _integer(fields.get("window"), "window"),
        _integer(fields.get("max_chunk_size"), "max_chunk_size"),
        _integer(fields.get("heartbeat"), "heartbeat"),
        _text(fields.get("server", ""), "server"),
    )


def _read_opened(ref: Any, options: Any) -> Opened:
    fields = _mapping(options, "OPENED")
    return Opened(
        _ref(ref),
        _text(fields.get("id"), "id"),
        _text(fields.get("name"), "name"),
        _maybe(_integer, fields.get("size"), "size"),
        _integer(fields.get("chunk_size"), "chunk_size"),
        _integer(fields.get("upload_size"), "upload_size"),
        _pairs(fields.get("missing"), "missing"),
        _maybe(_integer, fields.get("expires_at"), "expires_at"),
        _text(fields.get("state"), "state"),
        _maybe(_mapping, fields.get("kind_rules"), "kind_rules"),
    )


def _read_complete(ref: Any, options: Any) -> Complete:
    fields = _mapping(options, "COMPLETE")
    return Complete(
        _ref(ref),
        _text(fields.get("id"), "id"),
        _integer(fields.get("size"), "size"),
        _text(fields.get("mime_type"), "mime_type"),
        _maybe(_text, fields.get("sha256"), "sha256"),
        _maybe(_integer, fields.get("crc32c"), "crc32c"),
        _text(fields.get("url"), "url"),
    )


def _read_goaway(options: Any) -> GoAway:
    fields = _mapping(options, "GOAWAY")
    return GoAway(
        _text(fields.get("reason", ""), "reason"),
        _integer(fields.get("retry_after", 0), "retry_after"),
    )


Reader = Callable[..., Any]

_CLIENT: dict[int, tuple[int, Reader]] = {
    1: (1, _read_hello),
    2: (2, lambda ref, options: Create(_ref(ref), read_spec(options))),
    3: (2, lambda ref, upload_id: Resume(_ref(ref), _text(upload_id, "upload_id"))),
    4: (4, _read_chunk),
    5: (2, _read_finish),
    6: (1, lambda ref: Abort(_ref(ref))),
    7: (1, lambda ref: Detach(_ref(ref))),
    8: (1, lambda token: Token(_text(token, "token"))),
    9: (1, lambda nonce: Ping(_nonce(nonce))),
}
"""For each number of the client's messages: how many items follow it, and what reads them."""

_SERVER: dict[int, tuple[int, Reader]] = {
    65: (1, _read_welcome),
    66: (2, _read_opened),
    67: (
        3,
        lambda ref, pieces, upload_size: Stored(
            _ref(ref), _pairs(pieces, "pieces"), _integer(upload_size, "upload_size")
        ),
    ),
    68: (
        3,
        lambda ref, slice_start, problem: Refused(
            _ref(ref), _integer(slice_start, "slice_start"), _mapping(problem, "problem")
        ),
    ),
    69: (1, lambda size: Window(_integer(size, "bytes"))),
    70: (2, _read_complete),
    71: (1, lambda ref: Closed(_ref(ref))),
    72: (
        2,
        lambda ref, problem: Problem(
            None if ref is None else _ref(ref), _mapping(problem, "problem")
        ),
    ),
    73: (1, _read_goaway),
    74: (1, lambda nonce: Pong(_nonce(nonce))),
    75: (
        3,
        lambda ref, done, total: Verifying(
            _ref(ref), _integer(done, "done"), _integer(total, "total")
        ),
    ),
}


LONGEST = 256
"""The most items of an array of the client's; room for each is taken before they are read."""


def _read(data: bytes, table: Mapping[int, tuple[int, Reader]], longest: int) -> Any:
    try:
        items = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=OVERHEAD,
            max_bin_len=len(data),
            max_array_len=longest,
            max_map_len=256,
            max_ext_len=0,
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidMessage("The message is not well-formed msgpack.") from error
    if type(items) is not list or not items or type(items[0]) is not int:
        raise InvalidMessage("A message is an array whose first item is its number.")
    known = table.get(items[0])
    if known is None:
        raise InvalidMessage(f"{items[0]} is not the number of a message.")
    count, reader = known
    if len(items) <= count:
        raise InvalidMessage(f"Message {items[0]} needs {count} items after its number.")
    return reader(*items[1 : count + 1])


_INTEGERS = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}
_ARRAYS = {0xDC: 3, 0xDD: 5}
_BINARIES = {0xC4: 1, 0xC5: 2, 0xC6: 4}


def _payload(data: bytes) -> tuple[int, int, int] | None:
    """Where the item after four integers is headed, begins and ends, if it is binary."""
    try:
        head = _ARRAYS.get(data[0], 1)
        for _ in range(4):
            head += _INTEGERS.get(data[head], 1)
        begin = head + 1 + _BINARIES[data[head]]
    except LookupError:
        return None
    return head, begin, begin + int.from_bytes(data[head + 1 : begin], "big")


def decode_client(data: bytes) -> ClientMessage:
    """The client's message in `data`; InvalidMessage when there is none."""
    message: ClientMessage
    if len(data) <= OVERHEAD:
        message = _read(data, _CLIENT, LONGEST)
        return message
    payload = _payload(data)
    if payload is None:
        raise InvalidMessage(f"Only a CHUNK may have more than {OVERHEAD} bytes.")
    head, begin, end = payload
    rest = b"".join((data[:head], b"\xc4\x00", data[end:]))  # the same with empty binary
    if end > len(data) or len(rest) > OVERHEAD:
        raise InvalidMessage("The payload does not fit the message.")
    message = _read(rest, _CLIENT, LONGEST)
    if not isinstance(message, Chunk):
        raise InvalidMessage(f"Only a CHUNK may have more than {OVERHEAD} bytes.")
    return replace(message, data=data[begin:end])


def decode_server(data: bytes) -> ServerMessage:
    """The server's message in `data`; InvalidMessage when there is none."""
    message: ServerMessage = _read(data, _SERVER, 2**24)
    return message


# -- writing ---------------------------------------------------------------------------------------


def _given(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def spec_fields(spec: UploadSpec) -> dict[str, Any]:
    """The map that stands for `spec` in CREATE."""
    fields = _given(
        mime_type=spec.mime_type,
        sha256=spec.sha256,
        fingerprint=spec.fingerprint,
        chunk_size=spec.chunk_size,
        kind=spec.kind,
        modified_at=None if spec.modified_at is None else round(spec.modified_at * 1000),
        replaces=spec.replaces,
        sha256_follows=spec.sha256_follows or None,
    )
    if spec.directory:
        fields["directory"] = spec.directory
    if spec.tags:
        fields["tags"] = spec.tags
    return {"name": spec.name, "size": spec.size, **fields}


def _fields(message: Any, *left_out: str) -> dict[str, Any]:
    return {key: getattr(message, key) for key in message.__slots__ if key not in left_out}


def _items(message: ClientMessage | ServerMessage) -> tuple[Any, ...]:
    match message:
        case Hello():
            return (_given(token=message.token, client=message.client),)
        case Create():
            return (message.ref, spec_fields(message.spec))
        case Finish():
            return (message.ref, _given(size=message.size, sha256=message.sha256))
        case Opened() | Complete():
            plain = isinstance(message, Opened) and message.kind_rules is None
            left_out = ("ref", "kind_rules") if plain else ("ref",)
            return (message.ref, _fields(message, *left_out))
        case Welcome() | GoAway():
            return (_fields(message),)
        case _:
            return tuple(_fields(message).values())


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """The bytes of a message."""
    if isinstance(message, Chunk):
        return _encode_chunk(message)
    packed: bytes = msgpack.packb((message.number, *_items(message)), use_bin_type=True)
    return packed


def _encode_chunk(chunk: Chunk) -> bytes:
    # msgpack's packer would hold the payload three times over; header and payload are joined once.
    head = msgpack.packb((chunk.number, chunk.ref, chunk.slice_start, chunk.crc32c))
    length = struct.pack(">BI", 0xC6, len(chunk.data))  # bin 32
    return b"".join((b"\x95", head[1:], length, chunk.data))  # an array of five items
