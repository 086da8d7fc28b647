"""The programs that load the sides: each takes one job as JSON, does it and prints what it took.

They run as processes of their own, so that what they cost is not counted as a server's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]


def work(task: Callable[[Job], Job]) -> None:
    """Do the job on standard input; prints what `task` gave, and what this process used: its CPU
    time, and the most bytes that were resident. A task that had others do its work tells theirs.

    By `seconds` a task tells how long it took from its first request to the last answer.
    """
    job = json.load(sys.stdin)
    before = time.process_time()
    result = task(job)
    own = {
        "cpu_seconds": time.process_time() - before,
        "resident": _resident(),
    }
    json.dump({**own, **result}, sys.stdout)


def _resident() -> int:
    """The most bytes that were resident; that of getrusage(2) begins with those of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class Source:
    """The bytes to upload, as long as is asked for: those of the file again and again."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._length = Path(path).stat().st_size

    def read(self, start: int, end: int) -> bytes:
        """The bytes `[start, end)`, which do not go over the end of the file."""
        data = os.pread(self._descriptor, end - start, start % self._length)
        assert len(data) == end - start
        return data
