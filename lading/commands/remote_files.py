"""Which files `lading get` fetches of a directory, and where each goes.

Names on the server may come from anyone, so each part of a path is made safe: nothing is written
outside the directory that was asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lading.client.target import nanoseconds, safe_name

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest

MS = 10**6
"""Nanoseconds of the steps in which the server keeps times."""


class RemoteFile(NamedTuple):
    """A file, and the parts of its path below the target directory."""

    file: Manifest
    place: tuple[str, ...]

    def is_at(self, path: Path) -> bool:
        """Whether this file is there already: by size and time, else by SHA-256. Blocks."""
        try:
            facts = path.stat()
            if not path.is_file() or facts.st_size != self.file.size:
                return False
            changed = self.file.modified_at
            if changed is not None and facts.st_mtime_ns // MS == nanoseconds(changed) // MS:
                return True
            if self.file.sha256 is None:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.file.sha256
        except OSError:
            return False  # writing it says what is wrong


@dataclass(slots=True)
class Found:
    """The files of a directory; `left_out` says what is not fetched and why."""

    files: list[RemoteFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


async def find_below(client: Client, directory: str) -> Found:
    """All files of a directory and its subdirectories. They keep its own name, as with `put`.

    Raises LadingError.
    """
    top = directory.strip("/")
    listed = client.list(directory=top, recursive=True)
    return arranged([each async for each in listed], top)


def arranged(files: Iterable[Manifest], top: str) -> Found:
    """Where each file goes. Of several that would have one path, the first is fetched."""
    found, taken = Found(), set[tuple[str, ...]]()
    own = top.rpartition("/")[2]
    for file in files:
        inner = file.directory[len(top) :].split("/")
        parts = [safe_name(part, "_") for part in (own, *inner) if part]
        place = (*parts, safe_name(file.name, file.id))
        # Some file systems take names for the same that differ in their case.
        key = tuple(part.casefold() for part in place)
        if key in taken:
            found.left_out.append(f"{file.id} {file.path} has the path of a newer file.")
        else:
            taken.add(key)
            found.files.append(RemoteFile(file, place))
    return found
