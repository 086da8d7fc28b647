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

_given: set[int] = set()


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
    """A TCP port of the loopback interface that nothing listens on.

    Another one each time: one program may get several before it listens on the first.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


class environment:
    """The variables by which the SDK signs, for the servers that are started inside."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)

    def __exit__(self, *_error: object) -> None:
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
