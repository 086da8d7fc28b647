"""Runs the Playwright tests of `widget/e2e/`: the web page in a real Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.missing import missing

WIDGET = Path(__file__).parent.parent / "widget"
CHROMIUM = os.environ.get("CHROMIUM", "chromium")


def lacking() -> str | None:
    """What the tests of the page need and this machine lacks."""
    if shutil.which("npm") is None:
        return "npm is not installed"
    if shutil.which(CHROMIUM) is None:
        return "Chromium is not installed"
    if not (WIDGET / "node_modules" / "@playwright" / "test").exists():
        return "widget/node_modules is missing: run scripts/install test"
    return None


@pytest.fixture
def browser() -> str:
    """The path of the browser. Without it the test is skipped, and fails where CI=true."""
    reason = lacking()
    if reason is not None:
        missing(reason)
    found = shutil.which(CHROMIUM)
    assert found is not None
    return found


ON_REQUEST = {"screenshots.spec", "fifty-thousand.spec"}
"""Those that are run by hand, with a variable of their own in the environment."""

SPECS = [each for each in sorted(WIDGET.glob("e2e/*.spec.ts")) if each.stem not in ON_REQUEST]


@pytest.mark.timeout(230)
@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.name.removesuffix(".spec.ts"))
def test_the_page_in_a_real_browser(
    spec: Path, browser: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["npx", "--no-install", "playwright", "test", f"e2e/{spec.name}"]
    environment = {**os.environ, "CHROMIUM": browser, "FORCE_COLOR": "0"}
    lines = []
    with subprocess.Popen(
        command,
        cwd=WIDGET,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                lines.append(line)
                with capsys.disabled():
                    print(line, end="", flush=True)
        except BaseException:
            running.terminate()
            raise
    assert running.returncode == 0, "".join(lines)
