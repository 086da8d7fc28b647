"""The layout of a ZIP archive whose entries are stored as they are: every place is known before.

No byte of a file is needed for it but its CRC-32, which stands behind the file (a data descriptor)
and in the directory at the end. So an archive has a length, and each range of it can be made alone.
Entries of 4 GiB or more, and what lies beyond, are written as ZIP64.
Source: PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5; Info-ZIP's extra field "UT".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

FULL_32 = 0xFFFFFFFF
FULL_16 = 0xFFFF
"""In these fields they mean: the value is in the ZIP64 field."""

VERSION = 45
"""The version of the format that has ZIP64."""
UNIX = 3 << 8
FLAGS = 0x0808
"""A data descriptor follows the bytes, and names are UTF-8."""
REGULAR_FILE = 0o100644 << 16

_HEAD = struct.Struct("<IHHHHHIIIHH")
_RECORD = struct.Struct("<IHHHHHHIIIHHHHHII")
_DESCRIPTOR = struct.Struct("<IIII")
_DESCRIPTOR_64 = struct.Struct("<IIQQ")
_END_64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")
_END = struct.Struct("<IHHHHIIH")

FIRST_YEAR, LAST_YEAR = 1980, 2107


class Entry(NamedTuple):
    """A file of an archive: its path there, its bytes, and its time in Unix seconds."""

    name: str
    size: int
    modified: float


class Layout:
    """Where everything is. `heads[i]` is where the local header of entry i begins."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.heads: list[int] = []
        place = 0
        for entry in entries:
            self.heads.append(place)
            place += len(_head(entry)) + entry.size + descriptor_size(entry)
        self.directory = place
        self._directory_size = sum(len(self.record(i, 0)) for i in range(len(entries)))
        self.size = place + self._directory_size + len(self.end())

    def head(self, index: int) -> bytes:
        """The local header, which stands before the bytes."""
        return _head(self.entries[index])

    def descriptor(self, index: int, crc: int) -> bytes:
        """The data descriptor, which stands behind the bytes."""
        size = self.entries[index].size
        if is_large(self.entries[index]):
            return _DESCRIPTOR_64.pack(0x08074B50, crc, size, size)
        return _DESCRIPTOR.pack(0x08074B50, crc, size, size)

    def record(self, index: int, crc: int) -> bytes:
        """The entry in the directory at the end."""
        entry, place = self.entries[index], self.heads[index]
        name, extra = entry.name.encode(), _time_field(entry)
        size, offset = min(entry.size, FULL_32), min(place, FULL_32)
        wide = [entry.size, entry.size] if is_large(entry) else []
        wide += [place] if place >= FULL_32 else []
        if wide:
            extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) + extra
        fixed = _RECORD.pack(
            0x02014B50, UNIX | VERSION, VERSION, FLAGS, 0, *_dos_time(entry), crc, size, size,
            len(name), len(extra), 0, 0, 0, REGULAR_FILE, offset,
        )  # fmt: skip
        return fixed + name + extra

    def end(self) -> bytes:
        """What stands behind the directory."""
        count, size, place = len(self.entries), self._directory_size, self.directory
        wide = b""
        if count >= FULL_16 or size >= FULL_32 or place >= FULL_32:
            wide = _END_64.pack(
                0x06064B50,
                _END_64.size - 12,
                UNIX | VERSION,
                VERSION,
                0,
                0,
                count,
                count,
                size,
                place,
            ) + _LOCATOR.pack(0x07064B50, 0, place + size, 1)
        short = min(count, FULL_16)
        return wide + _END.pack(
            0x06054B50, 0, 0, short, short, min(size, FULL_32), min(place, FULL_32), 0
        )


def is_large(entry: Entry) -> bool:
    """Whether the length of an entry needs ZIP64."""
    return entry.size >= FULL_32


def descriptor_size(entry: Entry) -> int:
    """The bytes of its data descriptor."""
    return _DESCRIPTOR_64.size if is_large(entry) else _DESCRIPTOR.size


def _head(entry: Entry) -> bytes:
    name, extra = entry.name.encode(), _time_field(entry)
    size = 0
    if is_large(entry):  # says that the descriptor has wide fields
        size, extra = FULL_32, struct.pack("<HHQQ", 1, 16, 0, 0) + extra
    fixed = _HEAD.pack(
        0x04034B50, VERSION, FLAGS, 0, *_dos_time(entry), 0, size, size, len(name), len(extra)
    )
    return fixed + name + extra


def _time_field(entry: Entry) -> bytes:
    """The time in UTC, where 32 bits hold it; the usual fields know no time zone."""
    seconds = int(entry.modified)
    return struct.pack("<HHBi", 0x5455, 5, 1, seconds) if 0 <= seconds < 2**31 else b""


def _dos_time(entry: Entry) -> Iterator[int]:
    moment = datetime.fromtimestamp(entry.modified, UTC)
    if moment.year < FIRST_YEAR:
        moment = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    elif moment.year > LAST_YEAR:
        moment = datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
    yield moment.hour << 11 | moment.minute << 5 | moment.second // 2
    yield (moment.year - FIRST_YEAR) << 9 | moment.month << 5 | moment.day
