"""Several worker processes, one answer: each writes its numbers into files that any of them reads.

The files are those of prometheus-client's multiprocess mode, in one directory of a server. They are
named after the worker's number and not its process id: a worker that is started again goes on
with the numbers of the one that died, so nothing is lost and no file is left over.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which the library learns where the files are."""

PREFIX = "lading-metrics-"

MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of random name is made in it


def make_directory() -> str:
    """A directory for the files of one server, in memory where the system has such a disk.

    The files are mapped: writing to one on a full disk would end the process.
    """
    usable = os.access(MEMORY, os.W_OK | os.X_OK)
    place = MEMORY if usable else Path(tempfile.gettempdir())
    _clear(place)
    return tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place)


def _clear(place: Path) -> None:
    """Remove the directories of servers that were killed and could not do it."""
    for left in place.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists() and Path("/proc").exists():
            shutil.rmtree(left, ignore_errors=True)


def join(number: int) -> None:
    """From here on, new metrics of this process are those of the worker with this number."""
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: number)  # type: ignore[no-untyped-call] # the library has no annotation here


def is_joined() -> bool:
    """Whether this process is one of several."""
    return values.ValueClass is not values.MutexValue and DIRECTORY in os.environ


def together() -> CollectorRegistry:
    """The sums over all processes."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, os.environ[DIRECTORY])  # type: ignore[no-untyped-call] # the library has no annotation here
    return registry


def forget(directory: str, number: int) -> None:
    """A worker ended: what it had open is open no more. What it counted stays."""
    mark_process_dead(number, directory)  # type: ignore[no-untyped-call] # the library has no annotation here
