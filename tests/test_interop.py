"""`docs/interop.md` names a test for each statement of the specifications: all of them exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_named_test_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/interop.md").read_text("utf-8")))
    assert len(named) > 50
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text("utf-8"), re.M))
    assert named - found == set()
