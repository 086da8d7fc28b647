"""Where a download is put: a file that appears when it is whole, or a pipe.

It owns the `.part` file, the running digest, and names that are safe to write. It refuses to know
HTTP. Its calls block; the caller makes them in a thread.

A `.part` bears the id of its file, so that files of one name do not share it, and is locked while
a run writes it. The system frees the lock of a run that ends in any way: what a killed one left
can be gone on with.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lading.client.errors import TargetExists, TargetFailed
from lading.protocol.digests import Sha256, crc32c

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

BLOCK = 8 * 1024 * 1024
UNLOCKABLE = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What a disk says that has no locks at all, as some network file systems."""
LONGEST_NAME = 200
"""Bytes of a file's name: what every disk takes, with room for the id and `.part`."""


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
    """A file; until it is whole its bytes are in `<name>.<id>.part` beside it."""

    def __init__(self, path: Path, manifest: dict[str, Any], *, overwrite: bool) -> None:
        self.path = path
        self.part = path.with_name(f"{_shortened(path.name)}.{manifest['_id']}.part")
        self.offset = 0
        self._manifest = manifest
        self._overwrite = overwrite
        self._check = Check(manifest)
        self._file: BinaryIO | None = None

    def open(self) -> int:
        try:
            file = self._take_part()
            if file.seek(0, os.SEEK_END) > self._manifest["size"]:
                self.restart()
            file.seek(0)
            while data := file.read(BLOCK):
                self._check.update(data)
                self.offset += len(data)
        except OSError as error:
            raise self._failed(error) from error
        return self.offset

    def _take_part(self) -> BinaryIO:
        """The part file, locked. Raises TargetExists, TargetFailed, OSError."""
        while True:
            self._refuse_existing()
            # To append: neither opening nor writing touches a byte that is there.
            self._file = file = self.part.open("a+b", buffering=0)
            if not _lock(file):
                raise TargetFailed(f"{self.path} is being written by another run.")
            here, names = _is_at(file, self.part), os.fstat(file.fileno()).st_nlink
            if here and names <= 1:
                return file
            # Another run gave it its last name, and is done or was killed at that: the bytes are
            # of that file now, and not for us to write.
            file.close()
            if here:
                self.part.unlink(missing_ok=True)

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
        try:
            os.fsync(self._file.fileno())
            if not _is_at(self._file, self.part):
                raise TargetFailed(f"{self.part} was taken away.")
            if os.fstat(self._file.fileno()).st_size != self.offset:  # the disk may have no locks
                raise TargetFailed(f"{self.part} was written by another run, too.")
            if sys.platform == "win32":
                self._file.close()  # there an open file cannot be renamed
            self._refuse_existing()
            self._appear()
            _sync_directory(self.path.parent)
        except OSError as error:
            raise self._failed(error) from error

    def _appear(self) -> None:
        """Give the part its last name."""
        if not self._overwrite:
            # Unlike renaming, this replaces nothing that came since we looked.
            try:
                self.path.hardlink_to(self.part)
            except FileExistsError:
                raise TargetExists(f"{self.path} is already there.") from None
            except OSError:
                self._refuse_existing()  # a disk without such links
            else:
                self.part.unlink(missing_ok=True)
                return
        self.part.replace(self.path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _shortened(name: str) -> str:
    """What a name has room for beside the id; whole characters, as some disks take no others."""
    return name.encode("utf-8", "ignore")[:LONGEST_NAME].decode("utf-8", "ignore")


def _lock(file: BinaryIO) -> bool:
    """Lock a file against other runs until it is closed; False when another has it.

    On a disk without locks it is written all the same: most downloads have no other run.
    """
    try:
        if sys.platform == "win32":
            file.seek(0)  # it locks bytes, from where the file stands
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in UNLOCKABLE:
            raise
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


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
            self._write_all(data)
        except OSError as error:
            raise self._failed(error) from error
        self._check.update(data)
        self.offset += len(data)

    def _write_all(self, data: bytes) -> None:
        while data:
            written: int | None = self._file.write(data)
            if written is None and not isinstance(self._file, io.RawIOBase):
                return  # some that are only like a file take all and give no number
            if not written:
                raise BlockingIOError(errno.EAGAIN, "it takes no more at present")
            data = data[written:]

    def _failed(self, error: OSError) -> TargetFailed:
        return TargetFailed(f"The output cannot be written: {error.strerror}.")

    def restart(self) -> bool:
        return False

    def matches(self) -> bool:
        return self._check.matches()

    def finish(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

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
