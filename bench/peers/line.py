"""A long or broken line before a server, as a process of its own: `line_proxy.py` beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.line import LineKind
from bench.peers import free_port, running
from bench.peers.line_proxy import JOB
from bench.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line that runs; `url` is that of the server, over the line."""

    pid: int
    url: str
    counts: Path

    def counted(self) -> dict[str, int]:
        """After its end: the bytes that were carried `up` and `down`, and the connections that
        were `cut`."""
        found: dict[str, int] = json.loads(self.counts.read_text())
        return found


@asynccontextmanager
async def line(workspace: Workspace, url: str, kind: LineKind) -> AsyncIterator[LongLine]:
    """A line of this kind to the server of `url`."""
    parts, port = urlsplit(url), free_port()
    counts = workspace.directory("line") / "counts.json"
    job = {"port": port, "to": parts.port, "line": kind.job, "counts": str(counts)}
    command = [sys.executable, "-m", "bench.peers.line_proxy"]
    async with running(command, workspace, port, {JOB: json.dumps(job)}) as pid:
        yield LongLine(pid, urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}")), counts)
