"""The data directory of a server with the embedded database: its lock, its layout, its modes.

    <data>/lock          held with flock by the one server that uses the directory; holds its pid
    <data>/db/           mongod's files
    <data>/mongod.log    mongod's log, bounded; the one before is mongod.log.1
    <data>/run/          mongod's socket; a link to a private temporary directory where the path
                         is too long for a socket's address, or mongod cannot use it

Nothing else in the directory is touched.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from lading.storage.embedded.mongod import SOCKET_NAME, EmbeddedError

ADDRESS_LENGTH = 103
"""The longest path of a unix socket in bytes: 107 on Linux, 103 on macOS (`sun_path`)."""

UNUSABLE = frozenset(",:[]")
"""mongod splits its list of addresses at commas, and one that could be a host with a port it reads
as such. It then listens, and drops each connection."""

LOG_LIMIT = 8 * 2**20
"""mongod's log is renamed when it is larger than this, in bytes."""

LOG_TAIL = 64 * 2**10


class DataDirectory:
    """One data directory. Only the holder of its claim may touch its contents.

    A process that is forked from this one without exec inherits the lock; start workers as fresh
    processes.
    """

    def __init__(self, root: Path, log_limit: int = LOG_LIMIT) -> None:
        self._log_limit = log_limit
        self.root = root.expanduser().resolve()
        self.database = self.root / "db"
        self.log = self.root / "mongod.log"
        self.socket = self._run / SOCKET_NAME
        self._lock: int | None = None
        self._log_start = 0

    @property
    def _run(self) -> Path:
        return self.root / "run"

    def claim(self) -> None:
        """Create what is not there, and take the lock before anything else is touched.

        EmbeddedError when another process holds the lock or the directory cannot be used. The
        claim ends with `release` or with this process, however that ends.
        """
        if self._lock is not None:
            raise RuntimeError("the data directory is claimed already")
        try:
            _make_private(self.root)
            self._take_lock()
            _make_private(self.database, always=True)
            self._make_socket_place()
        except OSError as error:
            self.release()
            raise EmbeddedError(
                f"The data directory {self.root} cannot be used: "
                f"{error.filename or 'lock'}: {error.strerror}."
            ) from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Remove the socket's directory and free the lock. Without a claim nothing happens."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._remove_socket_place()
            os.ftruncate(self._lock, 0)
        os.close(self._lock)
        self._lock = None

    def _take_lock(self) -> None:
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(lock, 32).decode("ascii", "replace").strip()
            holder = f"(pid {pid}) " if pid else ""
            os.close(lock)
            raise EmbeddedError(
                f"Another Lading server {holder}uses the data directory {self.root}."
            ) from None
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode("ascii"))

    def _make_socket_place(self) -> None:
        self._remove_socket_place()
        place = self._run
        if _fits(place / SOCKET_NAME):
            place.mkdir(0o700)
        else:
            place = Path(tempfile.mkdtemp(prefix="lading-"))
            # The link is how the next server finds what a killed one left behind.
            self._run.symlink_to(place)
            if not _fits(place / SOCKET_NAME):
                raise EmbeddedError(
                    f"Neither {self.root} nor {place} can hold a socket; "
                    "set TMPDIR to a short path of letters and digits."
                )
        self.socket = place / SOCKET_NAME

    def _remove_socket_place(self) -> None:
        """Remove the directory that a server made, this one or a killed one, if it is empty."""
        with suppress(FileNotFoundError):
            (self._run / SOCKET_NAME).unlink()
        if self._run.is_symlink():
            with suppress(OSError):
                self._run.readlink().rmdir()
            self._run.unlink()
        elif self._run.exists():
            self._run.rmdir()

    def open_log(self) -> int:
        """A descriptor that appends to the log, renamed first if it is large. The caller closes
        it. From here on `log_since_open` reads."""
        self.put_log_aside()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_start = os.fstat(log).st_size
        return log

    def put_log_aside(self) -> bool:
        """Rename the log if it is larger than the limit; its writer must open it anew.

        Where the rename fails the log grows on: that is no reason to stop the database.
        """
        if self.log_size() <= self._log_limit:
            return False
        try:
            self.log.replace(self.log.with_name("mongod.log.1"))
        except OSError:
            return False
        self._log_start = 0
        return True

    def log_size(self) -> int:
        """The size of the log in bytes, 0 when there is none."""
        try:
            return self.log.stat().st_size
        except OSError:
            return 0

    def free_bytes(self) -> int | None:
        """The free space of the disk for this user, in bytes; None when the directory is gone."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError:
            return None

    def log_since_open(self) -> str:
        """What was written to the log since `open_log`, at most its last 64 KiB, whole lines."""
        try:
            with self.log.open("rb") as log:
                start = max(self._log_start, os.fstat(log.fileno()).st_size - LOG_TAIL)
                log.seek(start)
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return text if start == self._log_start else text.partition("\n")[2]


def _make_private(folder: Path, *, always: bool = False) -> None:
    """Create a directory with mode 0700. An existing one keeps its mode unless `always`: the
    operator may have reasons."""
    try:
        folder.mkdir(0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        if not always:
            return
    folder.chmod(0o700)


def _fits(address: Path) -> bool:
    """Whether a path can be the address of mongod's socket."""
    return len(os.fsencode(address)) <= ADDRESS_LENGTH and not set(str(address)) & UNUSABLE
