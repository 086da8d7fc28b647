"""Real proxies for the tests: nginx and Caddy, run with a configuration, in front of a server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.missing import missing

Configure = Callable[[Path, str], list[str]]
"""From a folder and the text of a site to the command that runs a proxy there."""


def nginx(folder: Path, site: str) -> list[str]:
    """The command that runs nginx with the text of a site."""
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{each}_temp_path {folder / each};" for each in places)
    user = "user root;" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder / 'pid'}; error_log stderr;"
        f"events {{}} http {{ {temporary}\n{site}\n}}"
    )
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(config)]


def caddy(folder: Path, site: str, options: str = "") -> list[str]:
    """The command that runs Caddy with the text of a site."""
    config = folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\tauto_https off\n\t{options}\n}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]


def program(name: str) -> str:
    """Where a program is; skips the test where it is not installed."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        missing(f"{name} is missing (Debian: apt-get install {name})")
    return found


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a proxy that listens on this port; its output is `proxy.log` in the folder."""
    path, log = program(command[0]), folder / "proxy.log"
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as output:
        child = subprocess.Popen(
            [path, *command[1:]], env=os.environ | own, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + 20
        while True:
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield
    finally:
        child.terminate()
        child.wait(20)
