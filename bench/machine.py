"""What the run used: versions and the kind of machine, never its name or its paths."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.process import ROOT
from lading.version import VERSION

LIBRARIES = (
    "crc32c",
    "httptools",
    "msgpack",
    "pymongo",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
)


def versions(mongod: str) -> dict[str, str]:
    """The versions of all programs and libraries."""
    return {
        "lading": f"{VERSION} ({_commit()})",
        "python": platform.python_version(),
        "mongod": mongod,
        "kernel": f"{platform.system()} {platform.release()}",
        **{name: version(name) for name in LIBRARIES},
    }


def machine(scratch: Path) -> dict[str, Any]:
    """Processors, memory, the file system of the data, and how busy the machine was before."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _field("/proc/cpuinfo", "model name"),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "file_system": _file_system(scratch),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _commit() -> str:
    """The commit of the checkout, and whether what ran differs from it."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "no commit"


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _file_system(place: Path) -> str:
    """The type of the file system that holds `place`: the mount whose path is the longest."""
    found: tuple[int, str] = (-1, "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if place.resolve().is_relative_to(mount):
            found = max(found, (len(mount), kind))
    return found[1]
