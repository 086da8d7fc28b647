import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell
from tests.support.servers import Process


def test_a_token_to_upload(shell: Shell, movie: Path, server: Process) -> None:
    (line,) = shell.lines("token", "--upload", "--name", "granted.mp4", "--max-size", "2MiB")
    token, url = line.split(" ")
    assert url == f"{server.url}/v1/g/{token}"
    shell.environ["LADING_TOKEN"] = token
    assert len(shell.put(movie)) == 24
    result = shell.run("put", movie)
    assert (result.exit_code, result.stdout) == (3, "")
    shell.environ["LADING_TOKEN"] = server.token
    (found,) = shell.events("ls", "--name", "granted")
    assert (found["name"], found["size"]) == ("granted.mp4", 2**20)


def test_a_token_to_download(shell: Shell, movie: Path) -> None:
    made = shell.put(movie, "--name", "token-1.mp4")
    (line,) = shell.lines("token", "--download", made, "--quality", "0")
    with urllib.request.urlopen(line.split(" ")[1]) as answer:
        assert answer.read() == movie.read_bytes()


def test_json(shell: Shell) -> None:
    before = datetime.now(UTC)
    (minted,) = shell.events("token", "--upload", "--expires", "90s", "--uses", "3", "--user", "jo")
    assert minted["event"] == "minted"
    assert minted["url"].endswith(f"/v1/g/{minted['token']}")
    assert minted["ws_url"].startswith("ws://")
    left = (datetime.fromisoformat(minted["expires_at"]) - before).total_seconds()
    assert 89 < left < 120


def test_all_bounds(shell: Shell, server: Process) -> None:
    bounds = {
        "--directory": "d",
        "--size": "3",
        "--sha256": "0" * 64,
        "--expires": "1.5h",
    }
    options = [word for pair in bounds.items() for word in pair]
    types = ["--mime-type", "image/png", "--mime-type", "video/*"]
    (minted,) = shell.events("token", "--upload", *options, *types)
    request = urllib.request.Request(
        f"{server.url}/v1/grants/{minted['id']}", headers=server.headers
    )
    with urllib.request.urlopen(request) as answer:
        told = answer.read().decode()
    for part in ('"directory":"d"', '"size":3', '"image/png","video/*"', '"uses":1', "0" * 64):
        assert part in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--download ID"),
        (["--upload", "--download", "0" * 24], "--download ID"),
        (["--download", "0" * 24, "--name", "a"], "bounds"),
        (["--download", "0" * 24, "--uses", "2"], "bounds"),
        (["--upload", "--quality", "1"], "--quality"),
        (["--upload", "--max-size", "much"], "32MB or 4MiB"),
        (["--upload", "--expires", "soon"], "90s or 24h"),
        (["--upload", "--uses", "0"], "--uses"),
    ],
)
def test_mistakes(shell: Shell, words: list[str], said: str) -> None:
    result = shell.run("token", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


def test_what_the_server_refuses(shell: Shell) -> None:
    assert shell.run("token", "--download", "0" * 24).exit_code == 1
    assert shell.run("token", "--upload", "--sha256", "x").exit_code == 2
    assert shell.run("token", "--upload", "--expires", "1000d").exit_code == 2
    shell.environ["LADING_TOKEN"] = shell.lines("token", "--upload")[0].split(" ")[0]
    assert shell.run("token", "--upload").exit_code == 3
