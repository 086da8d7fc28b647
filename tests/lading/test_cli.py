import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from lading.cli import app
from lading.version import VERSION


def test_the_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("serve", "put", "get", "ls", "rm", "status", "token", "usage"):
        assert f"\n  {command} " in result.output
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"{VERSION}\n"


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
