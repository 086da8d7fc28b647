"""Which files `lading put` uploads: those that are named, and all in directories that are named.

A directory keeps its name and its inner paths on the server. Inside a directory, links to files are
followed and links to directories are not, so there are no loops. Sockets, pipes and devices in it
are left out. All calls block.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePath

from lading.client.local import valid


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload: its path, the directory for it on the server, its size in bytes (None for
    what has none, such as standard input), and when it was last changed, in nanoseconds."""

    path: str
    directory: str
    size: int | None
    modified_ns: int | None = None


@dataclass(slots=True)
class Found:
    """The files in the order of the arguments; `left_out` says what is not uploaded and why."""

    files: list[LocalFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def find(arguments: Sequence[str], directory: str, exclude: Sequence[str] = ()) -> Found:
    """The files of the arguments. `directory` is where they go on the server; `exclude` are
    patterns such as `*.tmp` for names and for paths inside a named directory."""
    found = Found()
    for argument in arguments:
        file = _file(argument, directory)
        if argument == "-" or file.size is not None or not _is_directory(argument):
            found.files.append(file)
        else:
            _search(found, argument, _joined(directory, _own_name(argument)), "", exclude)
    return found


def find_in(path: str, directory: str, exclude: Sequence[str] = ()) -> Found | None:
    """All files in a directory, which is `directory` on the server; None if it is none."""
    if not _is_directory(path):
        return None
    found = Found()
    _search(found, path, directory, "", exclude)
    return found


def _is_directory(path: str) -> bool:
    # `os`, not `Path`: an argument that is no path at all (a NUL in it) is not a directory.
    return os.path.isdir(path)  # noqa: PTH112 - it may be no path at all


def _search(found: Found, path: str, directory: str, inner: str, exclude: Sequence[str]) -> None:
    """Add what is in the directory `path`; `inner` is its path inside the named directory."""
    waiting = [(path, directory, inner)]
    while waiting:
        path, directory, inner = waiting.pop()
        below = []
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            found.unreadable.append((path, error.strerror or str(error)))
            continue
        for entry in entries:
            name = f"{inner}/{entry.name}" if inner else entry.name
            if any(fnmatch(entry.name, each) or fnmatch(name, each) for each in exclude):
                continue
            if entry.is_dir(follow_symlinks=False):
                below.append((entry.path, _joined(directory, valid(entry.name)), name))
            elif entry.is_dir():
                found.left_out.append(f"{entry.path} is a link to a directory.")
            elif _is_special(entry):
                found.left_out.append(f"{entry.path} is not a regular file.")
            else:
                found.files.append(_file(entry.path, directory))
        waiting += reversed(below)


def _is_special(entry: os.DirEntry[str]) -> bool:
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False  # opening it says what is wrong


def _file(path: str, directory: str) -> LocalFile:
    """A file, with its size and time if it is a regular one."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - thousands of files: no Path for each
    except (OSError, ValueError):
        return LocalFile(path, directory, None)
    if not stat.S_ISREG(facts.st_mode):
        return LocalFile(path, directory, None)
    return LocalFile(path, directory, facts.st_size, facts.st_mtime_ns)


def _own_name(path: str) -> str:
    """The last part of a directory's path; none for `.`, `..` and the root."""
    name = valid(PurePath(path).name)
    return "" if name == ".." else name


def _joined(directory: str, name: str) -> str:
    return "/".join(filter(None, (directory.rstrip("/"), name)))


def names(files: Sequence[LocalFile]) -> Iterator[tuple[str, str]]:
    """Directory and name of each file on the server."""
    for file in files:
        yield file.directory, valid(PurePath(file.path).name)
