"""The unit for systemd in deploy/: what systemd says to it, and whether it leaves enough time."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

from lading.server.settings import Settings
from lading.storage.embedded.process import EmbeddedLimits
from tests.support.proxies import program

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "deploy" / "systemd" / "lading.service"


def verified(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """What systemd says to a unit, with this checkout in it."""
    here = text.replace("/srv/lading", str(ROOT))
    path = tmp_path / UNIT.name
    path.write_text(here)
    command = [program("systemd-analyze"), "verify", "--man=no", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    done = verified(tmp_path, UNIT.read_text("utf-8"))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_say_so(tmp_path: Path) -> None:
    wrong = UNIT.read_text("utf-8").replace("KillMode=mixed", "KillMode=some")
    assert "kill mode" in verified(tmp_path, wrong).stderr


def test_it_waits_for_what_is_in_flight_and_for_the_database() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # the documented way to keep the case of names
    parser.read(UNIT)
    service = parser["Service"]
    assert service["KillMode"] == "mixed", "mongod must not get the signal of the server"
    drain = Settings.model_fields["drain_seconds"].default
    assert int(service["TimeoutStopSec"]) > drain + EmbeddedLimits().stop_seconds
