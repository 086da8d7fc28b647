"""The command line, called as a shell would, with a real server behind it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lading.cli import app
from lading.client.client import Client
from tests.support.servers import Process


@dataclass
class Shell:
    """Runs commands in this process; `environ` is what they see besides the usual."""

    environ: dict[str, str | None] = field(default_factory=dict)

    def run(self, *arguments: object, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], stdin, env=self.environ)

    def lines(self, *arguments: object) -> list[str]:
        """The lines on standard output of a command that succeeds without a word besides."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout.splitlines()

    def events(self, *arguments: object) -> list[dict[str, Any]]:
        """What a command tells with --json."""
        return [json.loads(line) for line in self.lines(*arguments, "--json")]

    def put(self, path: Path, *arguments: object) -> str:
        """Upload a file; gives its id."""
        (line,) = self.lines("put", path, *arguments)
        return line.split()[0]


@pytest.fixture
def shell(server: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    none: dict[str, str | None] = {name: None for name in os.environ if name.startswith("LADING_")}
    none["XDG_CONFIG_HOME"] = str(tmp_path / "config")  # whoever runs the tests may be logged in
    return Shell({**none, "LADING_URL": server.url, "LADING_TOKEN": server.token})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands give up at once on a server that is not there."""
    usual = Client.__init__.__kwdefaults__ or {}
    short = {"connect_patience": 0.1, "request_patience": 0.1}
    monkeypatch.setattr(Client.__init__, "__kwdefaults__", {**usual, **short})


@pytest.fixture
def program(server: Process) -> dict[str, str]:
    """The environment of a command in a process of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    here = str(Path(__file__).parents[3])
    return {
        **own,
        "PYTHONPATH": here,
        "LADING_URL": server.url,
        "LADING_TOKEN": server.token or "",
    }


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = tmp_path / "movie.mp4"
    # Of no other test: the server would know it again. Its beginning is no image's by chance.
    path.write_bytes(b"no magic" + os.urandom(2**20 - 8))
    return path
