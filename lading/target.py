"""Where a download is put: a file that appears when it is whole, or a pipe.

It owns the `.part` file, the running digest, and names that are safe to write. It refuses to know
HTTP. Its calls block; the caller makes them in a thread.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lading.errors import TargetExists, TargetFailed
from protocol.digests import Sha256, crc32c

BLOCK = 8 * 1024 * 1024
LONGEST_NAME = 200
"""Bytes of a file's name: what every disk takes, with room for `.part`."""


class Check:
    """Whether bytes are those of a manifest: by its SHA-256, else by its CRC-32C."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self._size: int = manifest["size"]
        self._wanted: str | int = manifest["sha256"] or manifest["crc32c"]
        self._sha = Sha256() if manifest["sha256"] else None
        self._crc = self._seen = 0

    def update(self, data: bytes) -> None:
        self._seen += len(data)
        if self._sha is not None:
            self._sha.update(data)
        else:
            self._crc = crc32c(data, self._crc)

    def matches(self) -> bool:
        found = self._crc if self._sha is None else self._sha.hexdigest()
        return self._seen == self._size and found == self._wanted


class Target(Protocol):
    """What a download needs of the place where it goes; `offset` is what is there already."""

    offset: int

    def open(self) -> int:
        """Begin; gives how many bytes an earlier run left."""

    def write(self, data: bytes) -> None: ...

    def restart(self) -> bool:
        """Throw away what is there; False where that cannot be done."""

    def matches(self) -> bool:
        """Whether the bytes are the whole file's."""

    def finish(self) -> None:
        """All is there and right: make it lasting."""

    def close(self) -> None: ...


class FileTarget:
    """A file; until it is whole its bytes are in `<name>.part` beside it."""

    def __init__(self, path: Path, manifest: dict[str, Any], *, overwrite: bool) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.offset = 0
        self._manifest = manifest
        self._overwrite = overwrite
        self._check = Check(manifest)
        self._file: BinaryIO | None = None

    def open(self) -> int:
        self._refuse_existing()
        try:
            self._file = self.part.open("r+b" if self.part.exists() else "w+b", buffering=0)
            if self._file.seek(0, os.SEEK_END) > self._manifest["size"]:
                self.restart()
            self._file.seek(0)
            while data := self._file.read(BLOCK):
                self._check.update(data)
                self.offset += len(data)
        except OSError as error:
            raise self._failed(error) from error
        return self.offset

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise TargetExists(f"{self.path} is a directory.")
        if self.path.exists() and not self._overwrite:
            raise TargetExists(f"{self.path} is already there.")

    def _failed(self, error: OSError) -> TargetFailed:
        return TargetFailed(f"{self.part} cannot be written: {error.strerror}.")

    def write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._failed(error) from error
        self._check.update(data)
        self.offset += len(data)

    def restart(self) -> bool:
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        self.offset, self._check = 0, Check(self._manifest)
        return True

    def matches(self) -> bool:
        return self._check.matches()

    def finish(self) -> None:
        assert self._file is not None
        self._refuse_existing()
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self.part.replace(self.path)
            _sync_directory(self.path.parent)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _sync_directory(path: Path) -> None:
    """A new name is lasting only when its directory is; Windows has no way to ask for that."""
    if os.name == "nt":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class PipeTarget:
    """Bytes that go on at once, such as to standard output. What was written stays written."""

    def __init__(self, file: BinaryIO, manifest: dict[str, Any]) -> None:
        self.offset = 0
        self._file = file
        self._check = Check(manifest)

    def open(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise TargetFailed(f"The output cannot be written: {error.strerror}.") from error
        self._check.update(data)
        self.offset += len(data)

    def restart(self) -> bool:
        return False

    def matches(self) -> bool:
        return self._check.matches()

    def finish(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is the caller's."""


def safe_name(name: str, otherwise: str) -> str:
    """A name for the current directory made of a file's name, which anyone may have chosen.

    No path, no hidden file, no character that a terminal would act on; `otherwise` when nothing
    is left.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    plain = "".join(c if c.isprintable() and c != ":" else "_" for c in last).strip()
    plain = "_" + plain[1:] if plain.startswith(".") else plain
    if not plain.strip("_. "):
        return otherwise
    stem, dot, suffix = plain.rpartition(".")
    if not stem or len(suffix) > 16:
        stem, dot, suffix = plain, "", ""
    room = LONGEST_NAME - len((dot + suffix).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + suffix
