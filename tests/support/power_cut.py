"""A disk that loses its power: what a directory may hold afterwards, for each moment of a run.

A run's system calls are recorded where the driver makes them. From any beginning of the record a
directory can be built as the disk may have it then. What a sync covered is there. Of the rest,
bytes may be there or not, in any choice, whole or in part; changes of folders are there up to some
moment and not after it, as journals of file systems keep them. A rename happens or does not.

Bytes count as covered by a sync when they were written before it began. That is the promise of
fsync(2) and no more: an entry of a folder is durable only by a sync of that folder.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

Node = int
"""A file or folder of the record, by the order in which they appear; numbers are not used again."""

ROOT: Node = 0


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes of a file; None cuts it, or lets it grow, at the offset."""

    node: Node
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Entered:
    """A name in a folder: a new file or folder, or one that was there under another name."""

    folder: Node
    name: str
    node: Node
    is_folder: bool = False
    came_from: tuple[Node, str] | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A name that is gone from a folder."""

    folder: Node
    name: str


@dataclass(frozen=True, slots=True)
class Synced:
    """A file or folder is as it was at `since`, a place in the record, or newer."""

    node: Node
    since: int


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the run promised, or did in its database, at this moment."""

    what: Any


Event = Wrote | Entered | Left | Synced | Said


@dataclass
class Recorder:
    """Stands in for the module `os` in the driver. `pause` lets a sync take its time."""

    root: Path
    pause: Callable[[], None] = lambda: None
    events: list[Event] = field(default_factory=list)
    _born: dict[int, Node] = field(default_factory=dict)
    _nodes: int = 0
    _lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        assert self._node(self.root.stat().st_ino) == ROOT

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def say(self, what: Any) -> None:
        """Record a promise."""
        with self._lock:
            self.events.append(Said(what))

    def _node(self, number: int) -> Node:
        """The node of an inode; the first one is the directory itself."""
        if number not in self._born:
            self._born[number] = self._nodes
            self._nodes += 1
        return self._born[number]

    def _of(self, descriptor: int) -> Node:
        return self._node(os.fstat(descriptor).st_ino)

    def _folder(self, dir_fd: int | None, path: str) -> tuple[Node, str]:
        assert dir_fd is not None, "the record begins in a directory that is there"
        return self._of(dir_fd), path

    # -- what the driver calls

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not flags & os.O_CREAT:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        with self._lock:
            try:
                made = os.open(path, flags | os.O_EXCL, mode, dir_fd=dir_fd)
            except FileExistsError:
                return os.open(path, flags, mode, dir_fd=dir_fd)
            self._born.pop(os.fstat(made).st_ino, None)  # numbers are used again
            self.events.append(Entered(*self._folder(dir_fd, path), self._of(made)))
            return made

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        with self._lock:
            os.mkdir(path, mode, dir_fd=dir_fd)
            number = os.stat(path, dir_fd=dir_fd).st_ino
            self._born.pop(number, None)
            entry = self._folder(dir_fd, path)
            self.events.append(Entered(*entry, self._node(number), is_folder=True))

    def rename(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        with self._lock:
            found = os.stat(old, dir_fd=src_dir_fd, follow_symlinks=False)
            node = self._node(found.st_ino)
            os.rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            source = (self._of(src_dir_fd), old)
            is_folder = stat.S_ISDIR(found.st_mode)
            self.events.append(Entered(self._of(dst_dir_fd), new, node, is_folder, source))

    def unlink(self, path: str, *, dir_fd: int) -> None:
        with self._lock:
            os.unlink(path, dir_fd=dir_fd)
            self.events.append(Left(self._of(dir_fd), path))

    def rmdir(self, path: str, *, dir_fd: int) -> None:
        with self._lock:
            os.rmdir(path, dir_fd=dir_fd)
            self.events.append(Left(self._of(dir_fd), path))

    def pwritev(
        self, descriptor: int, buffers: list[memoryview], offset: int, flags: int = 0
    ) -> int:
        [data] = buffers
        with self._lock:
            written = os.pwritev(descriptor, buffers, offset, flags)
            self.events.append(Wrote(self._of(descriptor), offset, bytes(data[:written])))
            return written

    def ftruncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            os.ftruncate(descriptor, size)
            self.events.append(Wrote(self._of(descriptor), size, None))

    def fsync(self, descriptor: int) -> None:
        with self._lock:
            node, since = self._of(descriptor), len(self.events)
        self.pause()
        os.fsync(descriptor)
        with self._lock:
            self.events.append(Synced(node, since))

    fdatasync = fsync


@dataclass
class Disk:
    """What may be on a disk: the entries of folders, and bytes."""

    folders: dict[Node, dict[str, Node]] = field(default_factory=lambda: {ROOT: {}})
    files: dict[Node, bytearray] = field(default_factory=dict)

    def apply(self, event: Event, part: float = 1.0) -> None:
        """Carry out an event; of bytes that are written only a first `part`."""
        match event:
            case Wrote(node, offset, None):
                kept = self.files.setdefault(node, bytearray())
                del kept[offset:]
                kept.extend(bytes(offset - len(kept)))
            case Wrote(node, offset, bytes(data)):
                kept, end = self.files.setdefault(node, bytearray()), offset + len(data)
                kept.extend(bytes(max(end - len(kept), 0)))
                written = data[: int(len(data) * part)]
                kept[offset : offset + len(written)] = written
            case Entered(folder, name, node, is_folder, came_from):
                if came_from is not None:
                    self.folders.get(came_from[0], {}).pop(came_from[1], None)
                self.folders.setdefault(folder, {})[name] = node
                if is_folder:
                    self.folders.setdefault(node, {})
            case Left(folder, name):
                self.folders.get(folder, {}).pop(name, None)

    def build(self, target: Path, node: Node = ROOT) -> None:
        """Make a directory of it."""
        target.mkdir()
        for name, child in self.folders[node].items():
            if child in self.folders:
                self.build(target / name, child)
            else:
                (target / name).write_bytes(self.files.get(child, b""))


def after(
    events: Sequence[Event], random: Random | None = None, *, all_of_it: bool = False
) -> Disk:
    """The disk after a power cut at the end of `events`.

    Of what no sync covers everything is lost; with `random` some, with `all_of_it` nothing.
    """
    covered: dict[Node, int] = {}
    for event in events:
        if isinstance(event, Synced):
            covered[event.node] = max(covered.get(event.node, 0), event.since)
    journal = 0 if random is None else random.randint(0, len(events))
    disk = Disk()
    for place, event in enumerate(events):
        if all_of_it or any(place < covered.get(node, 0) for node in _places(event)):
            disk.apply(event)
        elif isinstance(event, Wrote):
            if random is not None and random.random() < 0.5:
                disk.apply(event, random.random())
        elif place < journal:
            disk.apply(event)
    return disk


def _places(event: Event) -> list[Node]:
    """The files and folders of which each one's sync makes the event durable."""
    match event:
        case Wrote(node):
            return [node]
        case Entered(folder, came_from=(source, _)):
            return [folder, source]
        case Entered(folder) | Left(folder):
            return [folder]
    return []
