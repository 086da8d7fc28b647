"""The folders of a local home, by system calls: what a directory of files can do in one step.

```
incoming/<id>.<attempt>          an upload under way, sparse
private/<last 2 of id>/<id>/0    a finished file; `3`, `3-square` and so on are its pictures
public/<last 2 of id>/<id>/0     a finished file that anyone may fetch
```

Paths are made of ids alone, each folder is opened below the one before it, and no symbolic link is
followed. Everything here blocks and is for threads. Files have mode 0640 and folders 0750, less
what the umask takes away, so that a web server in the group can read what is finished; `incoming`
is for the owner alone. Source: page 9 of the design, "Local directory".
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISLNK

from lading.protocol.errors import LadingError, StorageFull, TooLarge, Unavailable
from lading.storage.blobs.base import ORIGINAL, Unusable

INCOMING, PRIVATE, PUBLIC = "incoming", "private", "public"

WRITTEN_SECONDS = 10.0
"""A picture is written within that; a claim lasts for longer after its last renewal."""

LISTED = re.compile(r"[0-9a-f]{24}")

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC

LARGE = 256 * 1024
"""A write of at least so many bytes leaves the system's cache once it is on the disk."""

_DONTCACHE = 0x80
"""`RWF_DONTCACHE` of Linux 6.14. Python's `os` has no name for it."""

_FLOCK = "hhqqi0q"
"""`struct flock` of Linux: type, whence, start, length, process."""


def translated(error: OSError) -> LadingError:
    """The error of Lading for a failure of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            "The disk of the directory that LADING_BLOBS names is full; try again when there is "
            "space."
        )
    if error.errno == errno.EFBIG:
        return TooLarge("The file system of the server's directory holds no file of this length.")
    return Unavailable(f"The server's directory does not work: {error.strerror}; try again.")


class Directory:
    """The folders below `root`, an absolute path. `create` makes what is missing.

    Raises Unusable unless files can be written there, locked, and renamed from folder to folder.
    """

    def __init__(self, root: str, *, create: bool) -> None:
        self.root = root
        self._when_large = _DONTCACHE
        self._folders: dict[str, int] = {}
        try:
            self._root = self._open_root(create)
            for name in (INCOMING, PRIVATE, PUBLIC):
                self._folders[name] = self._open_folder(name, create)
            if create:
                os.fsync(self._root)
                self._try_out()
        except OSError as error:
            self.close()
            raise self._unusable(f"cannot be used ({error.strerror})") from error
        except Unusable:
            self.close()
            raise

    def close(self) -> None:
        """Close the descriptors of the folders."""
        for descriptor in (*self._folders.values(), getattr(self, "_root", -1)):
            with suppress(OSError):
                os.close(descriptor)
        self._folders.clear()

    # -- at the start

    def _unusable(self, why: str, path: str = "") -> Unusable:
        where = f"{path}/ in it " if path else ""
        return Unusable(f"LADING_BLOBS=file://{self.root}: {where}{why}")

    def _open_root(self, create: bool) -> int:
        if create and not os.path.lexists(self.root):
            try:
                self._make_root()
            except OSError as error:
                raise self._unusable(f"cannot be made ({error.strerror})") from error
        return self._open_checked(None, self.root)

    def _make_root(self) -> None:
        _make_folder(None, self.root)
        parent = os.open(Path(self.root).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def _open_folder(self, name: str, create: bool) -> int:
        if create:
            _make_folder(self._root, name, 0o700 if name == INCOMING else 0o750)
        return self._open_checked(self._root, name)

    def _open_checked(self, folder: int | None, name: str) -> int:
        """Open a folder and say what it is if it is none."""
        shown = name if folder is not None else ""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if S_ISLNK(found.st_mode):
                raise self._unusable("is a symbolic link; name the directory itself", shown)
            if not S_ISDIR(found.st_mode):
                raise self._unusable("is not a directory", shown)
            return os.open(name, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            raise self._unusable("does not exist", shown) from None
        except PermissionError:
            raise self._unusable("cannot be read by this user", shown) from None

    def _try_out(self) -> None:
        """Do once with an empty file what is done with every upload."""
        name = f".try-{secrets.token_hex(8)}"
        incoming = self._folders[INCOMING]
        try:
            descriptor = os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=incoming)
        except OSError as error:
            raise self._unusable(f"cannot be written ({error.strerror})", INCOMING) from error
        where = incoming
        try:
            self._try_lock(descriptor)
            for target in (PRIVATE, PUBLIC):
                where = self._try_rename(name, where, target)
        finally:
            os.close(descriptor)
            os.unlink(name, dir_fd=where)

    def _try_lock(self, descriptor: int) -> None:
        try:
            try_lock(descriptor, 0, 0)
            is_hole(descriptor, 0, 1)
        except OSError as error:
            why = f"is on a file system without locks or holes ({error.strerror})"
            raise self._unusable(why, INCOMING) from error

    def _try_rename(self, name: str, where: int, target: str) -> int:
        folder = self._folders[target]
        try:
            os.rename(name, name, src_dir_fd=where, dst_dir_fd=folder)
        except OSError as error:
            why = f"cannot be written ({error.strerror})"
            if error.errno == errno.EXDEV:
                why = f"is on another file system than {INCOMING}; they must be on the same one"
            raise self._unusable(why, target) from error
        return folder

    # -- an upload under way

    def open_incoming(self, name: str, *, create: bool) -> int | None:
        """A descriptor of an upload's file; None when there is none and it is not created."""
        flags = _WRITE | os.O_CREAT if create else _WRITE
        with suppress(FileNotFoundError):
            return os.open(name, flags, 0o640, dir_fd=self._folders[INCOMING])
        return None

    def is_incoming(self, name: str, descriptor: int) -> bool:
        """Whether the open file is still the upload's: it may be published, or deleted."""
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._folders[INCOMING], follow_symlinks=False)
            return os.path.samestat(found, os.fstat(descriptor))
        return False

    def unlink_incoming(self, *names: str) -> None:
        """Delete files of uploads, as far as they are there."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folders[INCOMING])

    def incoming(self) -> list[str]:
        """The names of all files of uploads under way."""
        return _names(self._folders[INCOMING])

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data` at an offset.

        A long video would push everything else out of the system's cache, and pages that were just
        freed cost less than new ones. So large writes leave the cache, where the kernel and the
        file system know how.
        """
        view = memoryview(data)
        while view:
            flags = self._when_large if len(view) >= LARGE else 0
            try:
                written = os.pwritev(descriptor, [view], offset, flags)
            except OSError as error:
                if not flags or error.errno != errno.EOPNOTSUPP:
                    raise
                self._when_large = 0
                continue
            view, offset = view[written:], offset + written

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut an open file, or let it grow by a hole."""
        os.ftruncate(descriptor, size)

    def sync_data(self, descriptor: int) -> None:
        """Make the bytes of an open file durable."""
        os.fdatasync(descriptor)

    def sync_file(self, descriptor: int) -> None:
        """Make an open file durable with its length and times."""
        os.fsync(descriptor)

    def sync_entries(self) -> None:
        """Make the entries of `incoming` durable."""
        os.fsync(self._folders[INCOMING])

    # -- finished files

    def finished(self, upload_id: str, name: str = ORIGINAL) -> str | None:
        """In which folder a finished file or its picture lies: `private`, `public`, or None.

        `private` is looked at twice, since the file may be renamed in between.
        """
        for kind in (PRIVATE, PUBLIC, PRIVATE):
            descriptor = self.open_finished(upload_id, kind, name)
            if descriptor is not None:
                os.close(descriptor)
                return kind
        return None

    def open_finished(self, upload_id: str, kind: str, name: str = ORIGINAL) -> int | None:
        """A descriptor for reading a finished file or its picture; None when it is not there."""
        with self._folder(kind, upload_id) as folder:
            if folder is not None:
                with suppress(FileNotFoundError):
                    return os.open(name, _READ, dir_fd=folder)
        return None

    def write_beside(self, upload_id: str, name: str, data: bytes) -> bool:
        """Write a picture beside a finished file, whole or not at all; durable on return.

        False when the file is not in its place. Its folder may be renamed meanwhile: the picture
        is written into the folder, whatever the name of that is.
        """
        kind = self.finished(upload_id)
        if kind is None:
            return False
        with self._folder(kind, upload_id) as folder:
            if folder is None:
                return False
            fresh = f".{name}.{secrets.token_hex(8)}"
            try:
                self._write_new(folder, fresh, data)
                os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
                self._forget_unwritten(folder, name)
                os.fsync(folder)
            except FileNotFoundError:  # the folder was deleted, or this writer overstayed its claim
                return False
            except OSError:
                with suppress(OSError):
                    os.unlink(fresh, dir_fd=folder)
                raise
        return True

    def _forget_unwritten(self, folder: int, name: str) -> None:
        """Delete what writers of a picture left that were killed before this one was written."""
        written = os.stat(name, dir_fd=folder).st_mtime
        for each in _names(folder):
            if each.startswith(f".{name}."):
                with suppress(FileNotFoundError):
                    if os.stat(each, dir_fd=folder).st_mtime < written - WRITTEN_SECONDS:
                        os.unlink(each, dir_fd=folder)

    def _write_new(self, folder: int, name: str, data: bytes) -> None:
        descriptor = os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folder)
        try:
            self.write(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read_beside(self, upload_id: str, name: str) -> bytes | None:
        """The bytes of a picture beside a finished file; None when there is none."""
        for kind in (PRIVATE, PUBLIC, PRIVATE):  # its folder may be renamed in between
            descriptor = self.open_finished(upload_id, kind, name)
            if descriptor is not None:
                with os.fdopen(descriptor, "rb") as file:
                    return file.read()
        return None

    def open_any(self, upload_id: str, incoming: str) -> int | None:
        """A descriptor for reading an upload, wherever its file is at this moment."""
        for _ in range(2):  # it may be renamed while it is looked for
            for kind in (PRIVATE, PUBLIC):
                descriptor = self.open_finished(upload_id, kind)
                if descriptor is not None:
                    return descriptor
            with suppress(FileNotFoundError):
                return os.open(incoming, _READ, dir_fd=self._folders[INCOMING])
        return None

    def publish(self, name: str, upload_id: str, kind: str) -> None:
        """Rename an upload's file to its final place; durable on return."""
        with self._made_folder(kind, upload_id) as folder:
            incoming = self._folders[INCOMING]
            os.rename(name, ORIGINAL, src_dir_fd=incoming, dst_dir_fd=folder)
            os.fsync(folder)
        self.sync_entries()

    def publish_nothing(self, upload_id: str, kind: str) -> None:
        """Make an empty file at its final place; durable on return."""
        with self._made_folder(kind, upload_id) as folder:
            os.close(os.open(ORIGINAL, _WRITE | os.O_CREAT, 0o640, dir_fd=folder))
            os.fsync(folder)

    def change_kind(self, upload_id: str, old: str, new: str) -> None:
        """Rename the folder of a finished file between `private` and `public`; durable then."""
        shard = upload_id[-2:]
        _make_folder(self._folders[new], shard)
        os.fsync(self._folders[new])
        with self._shard(old, shard) as source, self._shard(new, shard) as target:
            assert source is not None
            assert target is not None
            os.rename(upload_id, upload_id, src_dir_fd=source, dst_dir_fd=target)
            os.fsync(target)
            os.fsync(source)

    def delete_finished(self, upload_id: str) -> None:
        """Delete the folder of a finished file with all that is in it; durable on return."""
        for kind in (PRIVATE, PUBLIC):
            with self._shard(kind, upload_id[-2:]) as shard:
                if shard is not None:
                    self._delete_folder(shard, upload_id)

    def _delete_folder(self, shard: int, upload_id: str) -> None:
        try:
            folder = os.open(upload_id, _FOLDER, dir_fd=shard)
        except FileNotFoundError:
            return
        try:
            for name in _names(folder):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        with suppress(FileNotFoundError):
            os.rmdir(upload_id, dir_fd=shard)
        os.fsync(shard)

    def kept(self, kind: str) -> Iterator[tuple[str, list[str]]]:
        """The finished files in `private` or `public`: the id, and what its folder holds."""
        for shard in _names(self._folders[kind]):
            with self._shard(kind, shard) as folder:
                if folder is None:
                    continue
                for name in filter(LISTED.fullmatch, _names(folder)):
                    with suppress(FileNotFoundError, NotADirectoryError):
                        yield name, _names(folder, name)

    # -- folders

    @contextmanager
    def _shard(self, kind: str, shard: str) -> Iterator[int | None]:
        """The folder of all ids with the same two last digits; None when there is none."""
        try:
            folder = os.open(shard, _FOLDER, dir_fd=self._folders[kind])
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        try:
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _folder(self, kind: str, upload_id: str) -> Iterator[int | None]:
        """The folder of one finished file; None when there is none."""
        with self._shard(kind, upload_id[-2:]) as shard:
            if shard is None:
                yield None
                return
            try:
                folder = os.open(upload_id, _FOLDER, dir_fd=shard)
            except FileNotFoundError:
                yield None
                return
            try:
                yield folder
            finally:
                os.close(folder)

    @contextmanager
    def _made_folder(self, kind: str, upload_id: str) -> Iterator[int]:
        """The folder of one finished file, made and durable. Another process may make it, too."""
        _make_folder(self._folders[kind], upload_id[-2:])
        os.fsync(self._folders[kind])
        with self._shard(kind, upload_id[-2:]) as shard:
            assert shard is not None
            _make_folder(shard, upload_id)
            os.fsync(shard)
        with self._folder(kind, upload_id) as folder:
            if folder is None:
                raise FileNotFoundError(errno.ENOENT, "the file was deleted at this moment")
            yield folder


def _make_folder(parent: int | None, name: str, mode: int = 0o750) -> None:
    """Make a folder unless it is there."""
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)


def _names(folder: int, name: str = ".") -> list[str]:
    """What is in a folder. By a descriptor of its own, for others may be listing it, too."""
    own = os.open(name, _FOLDER, dir_fd=folder)
    try:
        with os.scandir(own) as found:
            return [each.name for each in found]
    finally:
        os.close(own)


def try_lock(descriptor: int, start: int, length: int) -> bool:
    """Lock bytes of an open file, to its end where `length` is 0. False when they are locked.

    The lock belongs to the descriptor: it ends with it, however the process ends. Locks of one
    descriptor do not exclude each other.
    """
    try:
        _lock(descriptor, fcntl.F_WRLCK, start, length)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock(descriptor: int, start: int, length: int) -> None:
    """End a lock."""
    _lock(descriptor, fcntl.F_UNLCK, start, length)


def _lock(descriptor: int, kind: int, start: int, length: int) -> None:
    asked = struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, asked)


def is_hole(descriptor: int, start: int, size: int) -> bool:
    """Whether nothing was ever written in these bytes of an open file."""
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA) >= start + size
    except OSError as error:
        if error.errno == errno.ENXIO:  # no data until the end
            return True
        raise
