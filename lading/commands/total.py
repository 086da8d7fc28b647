"""How far several files are together: a line on a terminal, and now and then a line in a log.

Each change of one file is added to the sums, so nothing walks all files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lading.client.types import Progress

LOG_SECONDS = 10.0
"""Without a terminal the sums are printed so often."""


class Total:
    """The sums over a batch of `files` files with `size` bytes, as far as sizes are known."""

    def __init__(self, files: int, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.files = files
        self.size = size
        self.stored = 0
        self.uploaded = self.skipped = self.failed = 0
        self.sent = 0
        self._clock = clock
        self._began = self._printed = clock()
        self._moving: dict[str, int] = {}
        self._earlier = 0

    @property
    def done(self) -> int:
        """Files that need no more work."""
        return self.uploaded + self.skipped + self.failed

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """Bytes per second that were stored by this run."""
        return (self.stored - self._earlier) / max(self.seconds, 0.001)

    def moved(self, file: str, progress: Progress) -> None:
        """One file made progress."""
        before = self._moving.get(file)
        if before is None:
            self._earlier += progress.stored  # by an earlier run
        self.stored += progress.stored - (before or 0)
        self._moving[file] = progress.stored

    def ended(self, file: str, size: int | None, *, skipped: bool = False, sent: int = 0) -> None:
        """One file is on the server."""
        moved = self._moving.pop(file, 0)
        if skipped:
            self.skipped += 1
            self.stored -= moved
            self.size -= size or 0  # the rest is what there is to send
        else:
            self.uploaded += 1
            self.sent += sent

    def gave_up(self, file: str, size: int | None) -> None:
        """One file failed."""
        self.failed += 1
        self.stored -= self._moving.pop(file, 0)
        self.size -= size or 0

    def is_due(self) -> bool:
        """Whether a log should have another line now."""
        now = self._clock()
        if now < self._printed + LOG_SECONDS:
            return False
        self._printed = now
        return True

    def facts(self, done: str = "uploaded") -> dict[str, Any]:
        """The sums for programs; `done` is what was done with the files."""
        return {
            "files": self.files,
            done: self.uploaded,
            "skipped": self.skipped,
            "failed": self.failed,
            "bytes_sent": self.sent,
            "seconds": round(self.seconds, 3),
        }
