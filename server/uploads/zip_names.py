"""The paths of files in an archive: safe for whoever unpacks it, and each of its own.

Names are data that anyone may have chosen, and some programs write wherever a path leads. So no
path is absolute or goes up, none has control characters, backslashes or colons, and none is longer
than file systems take. Paths that some file systems take for one get a number.
"""

from __future__ import annotations

from collections.abc import Iterable

from lading.protocol.names import composed, saved_name

RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
"""Names of devices on Windows, with any ending."""

FORBIDDEN = frozenset('\\:*?"<>|')


def safe_segment(text: str) -> str:
    """One part of a path; `_` where nothing is left."""
    plain = "".join("_" if c in FORBIDDEN or not c.isprintable() else c for c in text)
    plain = plain.rstrip(". ")  # Windows drops them
    if plain.partition(".")[0].rstrip().lower() in RESERVED:
        plain = f"_{plain}"
    return saved_name(plain) or "_"


def safe_path(text: str) -> str:
    """A path without empty parts and without those that have a meaning."""
    return "/".join(safe_segment(part) for part in text.split("/") if part) or "_"


def unique(paths: Iterable[str]) -> list[str]:
    """The paths; those that are taken, by a file or as a directory, get a number."""
    wanted = list(paths)
    directories = {
        _same(path[:end]) for path in wanted for end in range(len(path)) if path[end] == "/"
    }
    taken: set[str] = set()
    last: dict[str, int] = {}  # numbers up to it are taken: 50,000 files may have one name
    found = []
    for path in wanted:
        free, same = path, _same(path)
        while _same(free) in taken or _same(free) in directories:
            last[same] = last.get(same, 1) + 1
            free = _numbered(path, last[same])
        taken.add(_same(free))
        found.append(free)
    return found


def _numbered(path: str, number: int) -> str:
    directory, slash, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    tail = f" ({number}){dot}{ending}"
    room = 255 - len(tail.encode())
    return f"{directory}{slash}{stem.encode()[:room].decode('utf-8', 'ignore')}{tail}"


def _same(path: str) -> str:
    """What is equal for paths that a file system may take for one."""
    return composed(path).casefold()
