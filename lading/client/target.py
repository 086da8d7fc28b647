"""Where a download is written: a file that appears when it is complete, or a pipe.

All calls block; the caller makes them in a thread.

The name of a `.part` file contains the id of its file, so that two files of one name do not share
it. It is locked while a run writes it. The system frees the lock when that run ends in any way, so
the next run can resume what a killed one left.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from lading.client.errors import TargetExists, TargetFailed
from lading.client.types import File
from lading.protocol.digests import Sha256, crc32c

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

BLOCK = 8 * 1024 * 1024
UNLOCKABLE = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""Errors of file systems without locks, such as some network file systems."""
LONGEST_NAME = 200
"""Bytes of a file name that every file system accepts, with space for the id and `.part`."""


class Check:
    """Compares bytes with a file on the server: by its SHA-256, else by its CRC-32C.

    Of what has neither, such as an image that was made of a file, the length is compared.
    """

    def __init__(self, expected: File) -> None:
        self._size = expected.size
        self._wanted = expected.crc32c if expected.sha256 is None else expected.sha256
        self._sha = Sha256() if expected.sha256 else None
        self._crc = self._seen = 0

    def update(self, data: bytes) -> None:
        self._seen += len(data)
        if self._sha is not None:
            self._sha.update(data)
        else:
            self._crc = crc32c(data, self._crc)

    def matches(self) -> bool:
        found = self._crc if self._sha is None else self._sha.hexdigest()
        return self._seen == self._size and self._wanted in (None, found)


class Target(Protocol):
    """What a download needs of its target; `offset` is how many bytes it has."""

    offset: int

    def open(self) -> int:
        """Begin. Returns how many bytes an earlier run left."""

    def write(self, data: bytes) -> None: ...

    def restart(self) -> bool:
        """Discard all bytes. Returns False where that is impossible."""

    def matches(self) -> bool:
        """Whether the bytes are the whole file."""

    def finish(self) -> None:
        """All bytes are there and correct: make them durable."""

    def close(self) -> None: ...


class FileTarget:
    """A file. Until it is complete its bytes are in `<name>.<id>.part` beside it."""

    def __init__(self, path: Path, expected: File, *, overwrite: bool) -> None:
        self.path = path
        self.part = path.with_name(f"{_shortened(path.name)}.{expected.id}.part")
        self.offset = 0
        self._expected = expected
        self._overwrite = overwrite
        self._check = Check(expected)
        self._file: BinaryIO | None = None

    def open(self) -> int:
        try:
            file = self._take_part()
            if file.seek(0, os.SEEK_END) > self._expected.size:
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
            # Append mode: neither opening nor writing changes a byte that is there.
            self._file = file = self.part.open("a+b", buffering=0)
            if not _lock(file):
                raise TargetFailed(f"{self.path} is being written by another run.")
            here, names = _is_at(file, self.part), os.fstat(file.fileno()).st_nlink
            if here and names <= 1:
                return file
            # Another run gave it its final name, then finished or was killed: the bytes belong to
            # that file now and must not be written.
            file.close()
            if here:
                self.part.unlink(missing_ok=True)

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise TargetExists(f"{self.path} is a directory.")
        if self.path.exists() and not self._overwrite:
            raise TargetExists(f"{self.path} already exists.")

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
        self.offset, self._check = 0, Check(self._expected)
        return True

    def matches(self) -> bool:
        return self._check.matches()

    def finish(self) -> None:
        assert self._file is not None
        try:
            self._restore_time(self._file)
            os.fsync(self._file.fileno())
            if not _is_at(self._file, self.part):
                raise TargetFailed(f"{self.part} was removed during the download.")
            if os.fstat(self._file.fileno()).st_size != self.offset:  # without locks
                raise TargetFailed(f"{self.part} was also written by another run.")
            if sys.platform == "win32":
                self._file.close()  # Windows cannot rename an open file
            self._refuse_existing()
            self._appear()
            _sync_directory(self.path.parent)
        except OSError as error:
            raise self._failed(error) from error

    def _restore_time(self, file: BinaryIO) -> None:
        """Give the file the time of the one that was uploaded."""
        changed = self._expected.modified_at
        if changed is not None and os.utime in os.supports_fd:
            now = os.fstat(file.fileno()).st_atime_ns
            os.utime(file.fileno(), ns=(now, nanoseconds(changed)))

    def _appear(self) -> None:
        """Give the part file its final name."""
        if not self._overwrite:
            # Unlike a rename, this does not replace a file that appeared meanwhile.
            try:
                self.path.hardlink_to(self.part)
            except FileExistsError:
                raise TargetExists(f"{self.path} already exists.") from None
            except OSError:
                self._refuse_existing()  # a file system without hard links
            else:
                self.part.unlink(missing_ok=True)
                return
        self.part.replace(self.path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def nanoseconds(moment: datetime) -> int:
    """A time as file systems have it, without the errors of a float."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def _shortened(name: str) -> str:
    """The name, cut to leave space for the id, without half a character at its end."""
    return name.encode("utf-8", "ignore")[:LONGEST_NAME].decode("utf-8", "ignore")


def _lock(file: BinaryIO) -> bool:
    """Lock a file against other runs until it is closed. Returns False when another run has it.

    On a file system without locks it returns True: most downloads have no other run.
    """
    try:
        if sys.platform == "win32":
            file.seek(0)  # Windows locks bytes from the current position
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
    """Whether the open file has that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sync_directory(path: Path) -> None:
    """Make a new name durable: the directory must be synced too. Windows cannot do that."""
    if os.name == "nt":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class PipeTarget:
    """A pipe, such as standard output. Written bytes cannot be taken back."""

    def __init__(self, file: BinaryIO, expected: File) -> None:
        self.offset = 0
        self._file = file
        self._check = Check(expected)

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
                return  # some file-like objects take all and return nothing
            if not written:
                raise BlockingIOError(errno.EAGAIN, "it accepts no more bytes at present")
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
        """The caller closes the file."""


def safe_name(name: str, otherwise: str) -> str:
    """A file name for the current directory, made of a name that anyone may have chosen.

    It has no path, is no hidden file and has no control characters. Returns `otherwise` when
    nothing is left.
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
