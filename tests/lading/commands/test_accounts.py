"""`lading users`: accounts are made, changed, disabled and deleted from a shell."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process, process

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def site(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with accounts."""
    url = mongod.replace("/?", "/shell-accounts?")
    with process(
        tmp_path_factory.mktemp("accounts"), url, auth="accounts", signup="invite", imaging=0
    ) as running:
        yield running


@pytest.fixture
def admin(shell: Shell, site: Process) -> Shell:
    """A shell with the admin token of that server."""
    shell.environ |= {"LADING_URL": site.url, "LADING_TOKEN": site.token}
    return shell


def signs_in(site: Process, name: str, password: str) -> int:
    body = {"name": name, "password": password}
    with httpx.Client(base_url=site.url, trust_env=False, timeout=30) as visitor:
        return visitor.post("/v1/session", json=body).status_code


def listed(admin: Shell, name: str) -> list[str]:
    lines = [line.split("\t") for line in admin.lines("users", "list")]
    return next((line for line in lines if line[0] == name), [])


def test_an_account_from_a_script(admin: Shell, site: Process) -> None:
    made = admin.run(
        "users", "add", "ann", "--password-stdin", "--quota", "1MB", stdin=b"correct horse\nx\n"
    )
    assert (made.exit_code, made.stdout) == (0, "ann: added\n"), made.output
    assert listed(admin, "ann") == ["ann", "0", "0", "1000000", "active"]
    assert signs_in(site, "ann", PASSWORD) == 200
    again = admin.run("users", "add", "Ann", "--password-stdin", stdin=b"correct horse\n")
    assert (again.exit_code, again.stderr) == (1, "lading: There is an account of this name.\n")
    assert admin.lines("users", "disable", "ann") == ["ann: disabled"]
    assert listed(admin, "ann")[-1] == "disabled"
    assert signs_in(site, "ann", PASSWORD) == 403
    assert admin.lines("users", "enable", "ann") == ["ann: enabled"]
    changed = admin.run("users", "passwd", "ann", "--password-stdin", stdin=b"battery staple")
    assert changed.stdout == "ann: password set\n"
    assert [signs_in(site, "ann", each) for each in (PASSWORD, "battery staple")] == [401, 200]
    assert admin.lines("users", "rm", "ann", "--yes") == [
        "ann: 1 account, 0 files, 0 unfinished uploads, 0 tags, 0 grants deleted"
    ]
    assert listed(admin, "ann") == []
    assert admin.run("users", "rm", "ann", "--yes").exit_code == 1


def test_scopes_are_given_with_the_account(admin: Shell) -> None:
    options = ("--admin", "--grant", "--password-stdin", "--json")
    made = admin.run("users", "add", "root", *options, stdin=b"correct horse\n")
    assert '"scopes": ["admin", "grant"]' in made.stdout


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("add", "bob"), b"", 2, "--password-stdin"),
        (("add", "bob", "--password-stdin"), b"short\n", 2, "at least 8 characters"),
        (("add", "../bob", "--password-stdin"), b"correct horse\n", 2, "letters, digits"),
        (("passwd", "nobody", "--password-stdin"), b"correct horse\n", 1, "no account"),
        (("disable", "nobody"), b"", 1, "no account"),
    ],
    ids=str,
)
def test_what_is_refused_and_why(
    admin: Shell, arguments: tuple[str, ...], stdin: bytes, code: int, said: str
) -> None:
    refused = admin.run("users", *arguments, stdin=stdin)
    assert (refused.exit_code, said in refused.stderr) == (code, True), refused.output


def test_an_invitation_is_an_address(admin: Shell, site: Process) -> None:
    (line,) = admin.lines("users", "invite", "--uses", "2", "--expires", "1h")
    address, _, token = line.partition("/#invite=")
    assert address == site.url
    body = {"name": "guest", "password": PASSWORD, "invitation": token}
    with httpx.Client(base_url=site.url, trust_env=False, timeout=30) as visitor:
        assert visitor.post("/v1/signup", json=body).status_code == 201


def answer(terminal: int, prompt: bytes, text: bytes) -> bytes:
    """Type at a prompt, once the terminal shows no more what is typed; what it showed before."""
    seen = b""
    while prompt not in seen:
        seen += os.read(terminal, 1000)
    deadline = time.monotonic() + 20
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(terminal, text)
    return seen


def test_a_terminal_is_asked_twice_and_shows_nothing(site: Process, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "LADING_URL": site.url, "LADING_TOKEN": site.token or ""}
    with subprocess.Popen(
        [sys.executable, "-m", "lading", "users", "add", "typed"],
        env=environ,
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # Without a terminal of the session's own, it asks at the one that is its input.
        start_new_session=True,
    ) as child:
        try:
            seen = answer(ours, b"Password:", b"correct horse\n")
            seen += answer(ours, b"confirmation:", b"correct horse\n")
            assert child.wait(30) == 0
        finally:
            child.kill()
    seen += os.read(ours, 1000)
    os.close(theirs)
    os.close(ours)
    assert b"typed: added" in seen
    assert b"horse" not in seen
    assert signs_in(site, "typed", PASSWORD) == 200
