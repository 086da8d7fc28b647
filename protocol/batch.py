"""Several small files in one body: what `POST /v1/files/batch` takes.

The body is a row of msgpack values, two for each file: a map with the fields of CREATE, and the
bytes as binary. Reading is total, as in `codec.py`: any bytes give files or raise InvalidArgument,
and a hostile body costs its own length and a few MiB. Source: docs/http-api.md, "Several files".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgpack

from lading.protocol.codec import LONGEST, read_spec, spec_fields
from lading.protocol.errors import InvalidArgument, InvalidMessage
from lading.protocol.messages import OVERHEAD
from lading.protocol.spec import UploadSpec

MOST_FILES = 256
MOST_BYTES = 4 * 2**20
"""The longest body."""

MEDIA_TYPE = "application/vnd.msgpack"


def encode(files: Iterable[tuple[UploadSpec, bytes]]) -> bytes:
    """The body with these files, each with its bytes."""
    return b"".join(
        packed for spec, data in files for packed in (_pack(spec_fields(spec)), _pack(data))
    )


def decode(body: bytes) -> list[tuple[UploadSpec, bytes]]:
    """The files of a body, each with its bytes; the size of each is known.

    Raises InvalidArgument for a body that is malformed, has no file or more than `MOST_FILES`.
    What the fields say is for `UploadSpec.check`.
    """
    found: list[tuple[UploadSpec, bytes]] = []
    for fields, data in _pairs(body):
        which = f"File {len(found) + 1} of the batch"
        if len(found) == MOST_FILES:
            raise InvalidArgument(f"A batch may have at most {MOST_FILES} files.")
        try:
            spec = read_spec(msgpack.unpackb(fields, **_limits(OVERHEAD)))
        except InvalidMessage as error:
            raise InvalidArgument(f"{which}: {error.detail}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidArgument(f"{which} is not well-formed msgpack.") from error
        if spec.size not in (None, len(data)):
            raise InvalidArgument(f"{which} has {len(data)} bytes, and not {spec.size}.")
        found.append((replace(spec, size=len(data)), data))
    if not found:
        raise InvalidArgument("The batch has no file.")
    return found


def _pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What is said of each file, still packed, and its bytes.

    Values are passed over first: how much memory one would take is not known from its length.
    """
    values = msgpack.Unpacker(max_buffer_size=len(body), **_limits(len(body)))
    values.feed(body)
    before = 0
    while before < len(body):
        try:
            values.skip()
            middle = values.tell()
            values.skip()
        except (ValueError, TypeError, RecursionError, msgpack.OutOfData) as error:
            raise InvalidArgument("The batch is cut short or no well-formed msgpack.") from error
        if middle - before > OVERHEAD:
            raise InvalidArgument(f"What is said of a file may have at most {OVERHEAD} bytes.")
        head = _HEADS.get(body[middle])
        if head is None:
            raise InvalidArgument("Of each two values of a batch the second must be binary.")
        yield body[before:middle], body[middle + head : values.tell()]
        before = values.tell()


_HEADS = {0xC4: 2, 0xC5: 3, 0xC6: 5}
"""How long the head of binary is, by its first byte."""


def _limits(longest: int) -> dict[str, Any]:
    return {
        "raw": False,
        "strict_map_key": True,
        "max_str_len": OVERHEAD,
        "max_bin_len": longest,
        "max_array_len": LONGEST,
        "max_map_len": 256,
        "max_ext_len": 0,
    }


def _pack(value: Any) -> bytes:
    return bytes(msgpack.packb(value))
