"""Runs inside the processes that are killed: counts the steps of their work, and ends them at one.

A step is what changes anything outside of the process: a write command to the database, a call that
changes a home's directory, a request that changes a bucket. The process dies right before a step,
or while the database or the bucket carries it out. (Right after one is right before the next.)
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo import monitoring

from lading.server.limits import USUAL_LIMITS
from lading.storage.blobs import directory
from lading.storage.blobs.s3_client import S3Client

WRITES = ("insert", "update", "findAndModify", "delete")

COLLECTIONS = ("manifests", "chunks", "pictures", "quotas", "grants", "tags")
"""The others do not belong to uploads: the clock's mark, leases."""

CALLS = ("rename", "mkdir", "ftruncate", "unlink", "rmdir", "pwritev")
"""What a sync made durable survives a kill in any case; `power_cut.py` is about that."""

REQUESTS = (
    "put_object",
    "upload_part",
    "create_multipart_upload",
    "complete_multipart_upload",
    "abort_multipart_upload",
    "delete_object",
)


class Steps(monitoring.CommandListener):
    """Notes each step in the file `log`, once there is such a file, and dies at number `last`.

    `moment` is how many seconds a command or a request has been on its way then.
    """

    def __init__(self, log: Path, last: int, moment: float) -> None:
        self._log = log
        self._last = last
        self._moment = moment
        self._passed = 0
        self._lock = threading.Lock()

    def _is_last(self, what: str) -> bool:
        with self._lock:
            if not self._log.exists():
                return False
            with self._log.open("a") as log:
                log.write(f"{what}\n")
            self._passed += 1
            return self._passed == self._last

    def before(self, what: str) -> None:
        """Note a step that happens at once."""
        if self._is_last(f"before {what}"):
            _die()

    def begin(self, what: str) -> None:
        """Note a step that somebody else carries out, while this process waits."""
        self.before(what)
        if self._is_last(f"during {what}"):
            asyncio.get_running_loop().call_later(self._moment, _die)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        name = event.command_name
        if name in WRITES and event.command[name] in COLLECTIONS:
            self.begin(f"{name} {event.command[name]}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Calls:
    """The module `os` for the directories of homes."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        if name not in CALLS:
            return call

        def stepping(*arguments: Any, **options: Any) -> Any:
            self._steps.before(name)
            return call(*arguments, **options)

        return stepping

    def open(self, path: str, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            self._steps.before("open")
        return os.open(path, flags, *arguments, **options)


def _requests(steps: Steps, method: Callable[..., Any]) -> Callable[..., Any]:
    async def stepping(self: S3Client, operation: str, *arguments: Any, **options: Any) -> Any:
        if operation in REQUESTS:
            steps.begin(operation)
        return await method(self, operation, *arguments, **options)

    return stepping


def watch(log: str, last: int, moment: float) -> None:
    """Count the steps of this process from now on. None of them is made by a timer."""
    object.__setattr__(USUAL_LIMITS.uploads, "watermark_seconds", 3600.0)
    steps = Steps(Path(log), last, moment)
    monitoring.register(steps)
    vars(directory)["os"] = _Calls(steps)
    for name in ("call", "send"):
        setattr(S3Client, name, _requests(steps, getattr(S3Client, name)))
