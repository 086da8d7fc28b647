"""What the process of `lading serve` does around the application: its note, its log, its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from server.main import FAILED, Note
from server.settings import load
from tests.servers import PROGRAM, process

# -- server.json


def test_a_second_server_in_the_same_data_directory_leaves_the_note_of_the_first(
    tmp_path: Path,
) -> None:
    with process(tmp_path, None) as first:
        note = (tmp_path / "server.json").read_bytes()
        own = {"LADING_PORT": "0", "LADING_DATA": str(tmp_path)}
        second = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=os.environ | own, capture_output=True, check=False
        )
        assert second.returncode == FAILED
        assert first.child.poll() is None
        assert (tmp_path / "server.json").read_bytes() == note
    assert not (tmp_path / "server.json").exists()


def test_a_note_that_another_server_wrote_meanwhile_stays(tmp_path: Path) -> None:
    """Two servers on one outside database may share a data directory by mistake."""
    first = Note(load(data=tmp_path), "http://127.0.0.1:1")
    second = Note(load(data=tmp_path), "http://127.0.0.1:2")
    first.write()
    second.write()
    first.remove()
    assert (tmp_path / "server.json").exists()
    second.remove()
    assert not (tmp_path / "server.json").exists()
