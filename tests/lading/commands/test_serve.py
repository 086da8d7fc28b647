import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.lading.commands.conftest import Shell

LADING = [sys.executable, "-m", "lading"]


def test_options_become_settings(
    program: dict[str, str], shell: Shell, database_url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    child = subprocess.Popen(
        [*LADING, "serve", "--host", "127.0.0.1", "--port", "0", "--data", str(data)],
        env={**program, "LADING_DATABASE_URL": database_url}, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not (data / "server.json").exists():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        note = json.loads((data / "server.json").read_text())
        shell.environ |= {"LADING_URL": None, "LADING_TOKEN": None, "LADING_DATA": str(data)}
        assert shell.lines("status")[0].startswith(f"{note['url']} is ready")
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
        assert child.stdout is not None
        child.stdout.close()


def test_a_wrong_setting_stops_it_at_once(program: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*LADING, "serve", "--port", "99999", "--data", str(tmp_path)],
        env=program, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"LADING_PORT=99999" in done.stderr


def test_the_client_does_not_load_the_server(program: dict[str, str]) -> None:
    code = "import lading.cli, sys; print([m for m in ('server', 'uvicorn') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=program, capture_output=True, check=True, text=True
    )
    assert done.stdout == "[]\n"


def test_the_server_does_not_load_the_client(program: dict[str, str]) -> None:
    code = "import lading.version, sys; print([m for m in ('httpx', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=program, capture_output=True, check=True, text=True
    )
    assert done.stdout == "[]\n"
