"""The file of `LADING_KINDS`: the kinds of files of a site, in TOML.

Each table is a kind: `[avatar]`, then `max_size = "10MB"` and the other keys. The file is strict: a
misspelt key would set no limit. Source: page 9 of the design, "Limits by kind".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from lading.protocol.errors import InvalidArgument
from lading.protocol.kinds import CROPS, Kind
from lading.protocol.names import canonical_directory
from lading.protocol.units import parse_duration, parse_size
from lading.server.validation import hint, shown

KEYS = tuple(field.name for field in fields(Kind) if field.name != "name")


def read_kinds(value: Any) -> tuple[Kind, ...]:
    """The kinds of a file; ValueError that names the kind and the key for what is not allowed.

    `value` is the path; kinds that were read already are returned as they are.
    """
    if isinstance(value, tuple):
        return value
    try:
        content = tomllib.loads(Path(value).read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or 'it is no file'}") from None
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"line {place[1]}, column {place[2]}" if place else "its end"
        raise ValueError(f"is not TOML: see {where}") from None
    return tuple(_kind(name, table) for name, table in content.items())


def _kind(name: str, table: Any) -> Kind:
    called = shown(name)[1:-1]
    if not isinstance(table, dict):
        raise ValueError(f"`{called}` is not a kind: begin one with a line such as [avatar]")
    try:
        kind = Kind(name=name, **{key: _value(key, value) for key, value in table.items()})
        kind.check()
    except (ValueError, InvalidArgument) as error:
        raise ValueError(f"[{called}] {str(error).rstrip('.')}") from None
    return kind


def _value(key: str, value: Any) -> Any:
    """A value in the type of its field; ValueError names the key."""
    reader = _READERS.get(key)
    if reader is None:
        raise ValueError(f"`{shown(key)[1:-1]}` is not a known key; {hint(key, KEYS)}")
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f"{key} {error}, not {shown(value)}") from None


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a size such as 10MB")
    return parse_size(value)


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a duration such as 30d")
    return parse_duration(str(value))


def _exactly(kind: type, wanted: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"must be {wanted}")
        return value

    return read


def _list_of(kind: type, wanted: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if (
            not isinstance(value, list)
            or not value
            or any(type(each) is not kind for each in value)
        ):
            raise ValueError(f"must be a list of {wanted}")
        return tuple(value)

    return read


def _directory(value: Any) -> str:
    if not isinstance(value, str) or not canonical_directory(value):
        raise ValueError("must be a directory such as avatars")
    return canonical_directory(value)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "max_size": _size,
    "mime_types": _list_of(str, "media types such as image/png or image/*"),
    "crop": _exactly(str, " or ".join(CROPS)),
    "public": _exactly(bool, "true or false"),
    "sizes": _list_of(int, "numbers from 1 to 6"),
    "directory": _directory,
    "expires_in": _duration,
}
