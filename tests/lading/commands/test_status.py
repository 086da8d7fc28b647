import asyncio
from pathlib import Path

import pytest

from lading.version import VERSION
from tests.lading.commands.conftest import Shell
from tests.support.servers import Process, inside
from tests.support.wire import channel


def test_the_server(shell: Shell, server: Process) -> None:
    first, *_ = shell.lines("status")
    assert first.startswith(f"{server.url} is ready, Lading {VERSION}, ")
    (facts,) = shell.events("status")
    plural = "" if len(facts["uploads"]) == 1 else "s"
    assert first.endswith(f", {len(facts['uploads'])} unfinished upload{plural}")
    assert (facts["url"], facts["status"], facts["version"]) == (server.url, "ok", VERSION)
    assert isinstance(facts["uploads"], list)


async def test_one_unfinished_upload(tmp_path: Path, database_url: str, shell: Shell) -> None:
    async with inside(tmp_path, database_url) as server, channel(server) as wire:
        await wire.create(0, 10)
        shell.environ |= {"LADING_URL": server.url, "LADING_TOKEN": server.token}
        first, *_ = await asyncio.to_thread(shell.lines, "status")
    assert first.endswith(", 1 unfinished upload")


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
