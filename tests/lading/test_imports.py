"""What an import of the client and the command line loads: no part of the server."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER_ONLY = {
    "pymongo",
    "bson",
    "starlette",
    "uvicorn",
    "pydantic_settings",
    "structlog",
    "aiofiles",
}
TRANSPORTS = {"httpx", "websockets"}


def loaded(code: str) -> set[str]:
    """The top-level modules that a new interpreter has loaded after this code."""
    script = f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
    )
    names = done.stderr.split()
    assert "lading" in names
    rooms = {name for name in names if name.startswith(("lading.server", "lading.storage"))}
    assert rooms == set()
    return {name.partition(".")[0] for name in names}


HELP = """
from lading.cli import app
try:
    app(["put", "--help"])
except SystemExit:
    pass
"""


@pytest.mark.parametrize("code", ["import lading", "from lading import File, Progress", HELP])
def test_no_server_and_no_transport_is_loaded(code: str) -> None:
    assert loaded(code) & (SERVER_ONLY | TRANSPORTS) == set()


def test_the_client_loads_no_server() -> None:
    names = loaded("from lading import Client")
    assert names & SERVER_ONLY == set()
    assert names >= TRANSPORTS
