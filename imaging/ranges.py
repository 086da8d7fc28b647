"""A file that the child reads in ranges over its pipe, with the last blocks kept."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Protocol

from lading.imaging.pipe import BLOCK, MOST_READ, Read
from lading.imaging.refusal import Refusal

AT_ONCE = MOST_READ // BLOCK
"""Blocks that are fetched together by a decoder that reads on, so it waits less often."""
KEPT = 32
"""Blocks that are kept: demuxers go back and forth between an index and the data."""


class Reads(Protocol):
    def read(self, start: int, end: int) -> bytes: ...


class Ranges:
    """The bytes of one file. `most` bounds how many are fetched, in bytes."""

    def __init__(self, channel: Reads, size: int, most: int) -> None:
        self.size = size
        self._channel = channel
        self._left = most
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, start: int, end: int) -> bytes:
        """The bytes `[start, end)`, fewer at the end of the file."""
        end = min(end, self.size)
        if start >= end:
            return b""
        first, last = start // BLOCK, (end - 1) // BLOCK
        if first == last:
            return self._block(first)[start - first * BLOCK : end - first * BLOCK]
        data = b"".join(self._block(number) for number in range(first, last + 1))
        return data[start - first * BLOCK : end - first * BLOCK]

    def _block(self, number: int) -> bytes:
        found = self._blocks.get(number)
        if found is not None:
            self._blocks.move_to_end(number)
            return found
        self._fetch(number, AT_ONCE if number - 1 in self._blocks else 1)
        return self._blocks[number]

    def _fetch(self, number: int, most: int) -> None:
        """Read up to `most` blocks from this one on, up to one that is kept."""
        count = 1
        while count < most and number + count not in self._blocks:
            count += 1
        start, end = number * BLOCK, min((number + count) * BLOCK, self.size)
        self._left -= Read(start, end).cost
        if self._left < 0:
            raise Refusal("Too much of the file would have to be read to make its picture.")
        data = self._channel.read(start, end)
        for at in range(0, end - start, BLOCK):
            self._blocks[number + at // BLOCK] = data[at : at + BLOCK]
        while len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)


class File(io.RawIOBase):
    """`Ranges` as a file, for libraries that want one."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ranges.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._ranges.size if size is None or size < 0 else self._at + size
        data = self._ranges.read(self._at, end)
        self._at += len(data)
        return data
