"""Programs that the tests start: each ends when this process ends, in whatever way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lading.storage.embedded import launch

Child = subprocess.Popen[bytes]


def start(
    program: Sequence[str],
    output: Path,
    env: dict[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Child:
    """Start a program that gets SIGTERM when this process ends, and no Ctrl-C of its terminal."""
    command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *program]
    with output.open("ab") as log:
        return subprocess.Popen(
            command,
            env=env,
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
