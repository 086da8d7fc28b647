import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from lading.cli import app
from lading.version import VERSION


def test_the_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    new = ("sync", "du", "mv", "tag", "login", "logout")
    known = ("serve", "check", "doctor", "put", "get", "ls", "rm", "status", "token", "usage")
    for command in (*known, *new):
        assert f"\n  {command} " in result.output
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
        assert CliRunner().invoke(app, [command, "-h"]).output.startswith("Usage: ")
    assert CliRunner().invoke(app, ["-h"]).output == result.output


def test_the_version() -> None:
    for option in ("--version", "-v"):
        assert CliRunner().invoke(app, [option]).output == f"{VERSION}\n"


def test_no_command_is_a_question() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lading", "--version"],
        cwd=Path(__file__).parents[2], capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert done.stdout == f"{VERSION}\n"
