import json
import stat
from pathlib import Path

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process


def logged_out(shell: Shell) -> Shell:
    shell.environ |= {"LADING_URL": None, "LADING_TOKEN": None}
    return shell


def test_afterwards_commands_need_neither_address_nor_token(
    shell: Shell, server: Process, tmp_path: Path
) -> None:
    logged_out(shell)
    result = shell.run("login", server.url, "--token-stdin", stdin=f"{server.token}\n".encode())
    assert result.exit_code == 0, result.output
    assert result.stdout == f"default: {server.url} as admin\n"
    path = tmp_path / "config" / "lading" / "profiles.json"
    assert result.stderr == f"lading: saved in {path}.\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert shell.lines("usage")[0].startswith("admin\t")
    assert shell.lines("logout") == [f"default: {server.url} forgotten"]
    assert shell.run("usage").exit_code == 2


def test_profiles(shell: Shell, server: Process) -> None:
    logged_out(shell)
    login = ["login", f"{server.url}/?token={server.token}"]  # as the server prints it
    assert shell.run(*login, "--profile", "work").exit_code == 0
    assert shell.run("usage").exit_code == 2
    assert shell.lines("usage", "--profile", "work")
    assert shell.lines("--profile", "work", "usage")
    shell.environ["LADING_PROFILE"] = "work"
    assert shell.lines("usage")
    result = shell.run("usage", "--profile", "home")
    assert result.exit_code == 2
    assert "There is no profile home. Profiles: work." in result.stderr
    assert shell.run("logout").exit_code == 0
    assert shell.run("logout").exit_code == 2


def test_environment_variables_win(shell: Shell, server: Process) -> None:
    """And no server gets the token of another one."""
    logged_out(shell)
    assert shell.run("login", "http://127.0.0.1:9", "--token", "x").exit_code == 1  # nobody there
    shell.run("login", server.url, "--token", str(server.token))
    shell.environ["LADING_URL"] = server.url
    assert shell.run("usage").exit_code == 3
    assert shell.lines("usage", "--profile", "default")
    shell.environ["LADING_TOKEN"] = server.token
    assert shell.lines("usage")


def test_a_wrong_token_is_not_remembered(shell: Shell, server: Process, tmp_path: Path) -> None:
    logged_out(shell)
    assert shell.run("login", server.url, "--token", "wrong").exit_code == 3
    assert not (tmp_path / "config").exists()


def test_without_a_terminal_nobody_is_asked(shell: Shell, server: Process) -> None:
    logged_out(shell)
    assert shell.run("login").exit_code == 2
    assert shell.run("login", server.url).exit_code == 2


def test_a_file_that_was_damaged(shell: Shell, tmp_path: Path) -> None:
    logged_out(shell)
    path = tmp_path / "config" / "lading" / "profiles.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    result = shell.run("usage")
    assert (result.exit_code, "cannot be used" in result.stderr) == (2, True)
    path.write_text(json.dumps({"profiles": {}}))
    assert "No server is given" in shell.run("usage").stderr
