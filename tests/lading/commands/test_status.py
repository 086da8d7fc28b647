from pathlib import Path

import pytest

from lading.version import VERSION
from tests.lading.commands.conftest import Shell
from tests.servers import Process


def test_the_server(shell: Shell, server: Process) -> None:
    first, *_ = shell.lines("status")
    assert first.startswith(f"{server.url} is ready, Lading {VERSION}, ")
    assert first.endswith(" unfinished uploads")
    (facts,) = shell.events("status")
    assert (facts["url"], facts["status"], facts["version"]) == (server.url, "ok", VERSION)
    assert isinstance(facts["uploads"], list)


def test_one_file(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "status.mp4", "--directory", "d")
    lines = shell.lines("status", made)
    assert f"id: {made}" in lines
    for line in ("name: status.mp4", "directory: d", "state: ready", "missing: 0 bytes"):
        assert line in lines
    (manifest,) = shell.events("status", made)
    assert (manifest["_id"], manifest["state"]) == (made, "ready")
    assert "chunks" not in manifest


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there(shell: Shell) -> None:
    shell.environ["LADING_URL"] = "http://127.0.0.1:1"
    result = shell.run("status")
    assert result.exit_code == 1
    assert result.stderr == (
        "lading: The server at http://127.0.0.1:1 cannot be reached: connection refused. "
        "Is it running? Check LADING_URL or --server.\n"
    )
