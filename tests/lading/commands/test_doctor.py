"""`lading doctor`: what it prints, and how it ends. The trials are in tests/lading/doctor/."""

from __future__ import annotations

import json

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process

ORIGIN = "https://www.example.org"


def test_a_server_that_is_well(shell: Shell, server: Process) -> None:
    told = shell.events("doctor", server.url, "--idle", "0.1")
    assert told[-1] == {"event": "examined", "failed": 0, "warnings": 0}
    assert {each["event"] for each in told[:-1]} == {"trial"}
    trials = {each["name"]: each for each in told[:-1]}
    assert trials["streaming"]["state"] == "ok"
    assert "64 MiB" in trials["streaming"]["detail"]
    assert trials["cors"]["state"] == "skipped"
    assert not any(each["advice"] for each in trials.values())
    names = [json.loads(line) for line in shell.lines("ls", "--json")]
    assert not [each for each in names if each["name"] == "lading-doctor.bin"]


def test_what_does_not_work_is_shown_with_what_to_change(shell: Shell, server: Process) -> None:
    result = shell.run("doctor", server.url, "--idle", "0", "--origin", ORIGIN)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    (found,) = [n for n, line in enumerate(lines) if line.startswith("failed")]
    assert ORIGIN in lines[found]
    for place, line in zip(
        ("Lading", "nginx", "Caddy", "Cloudflare"), lines[found + 1 :], strict=False
    ):
        assert line.strip().startswith(f"{place}: ")
    assert lines[-1].endswith("1 failed, 0 warnings")


def test_a_credential_that_is_refused(shell: Shell, server: Process) -> None:
    result = shell.run("doctor", server.url, "--token", "wrong")
    assert result.exit_code == 3
    assert "token" in result.stderr


def test_nobody_is_there(shell: Shell) -> None:
    result = shell.run("doctor", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
