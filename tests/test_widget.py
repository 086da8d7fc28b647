"""The browser package: its types, its own tests, and what `npm pack` makes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.missing import missing

WIDGET = Path(__file__).parent.parent / "widget"


def lacking() -> str | None:
    """What the tests of the package need and this machine lacks."""
    if shutil.which("npm") is None:
        return "npm is not installed"
    if not (WIDGET / "node_modules" / "vitest").exists():
        return "widget/node_modules is missing: run scripts/install test"
    return None


@pytest.fixture(autouse=True)
def npm() -> None:
    """Without npm the tests are skipped, and fail where CI=true."""
    reason = lacking()
    if reason is not None:
        missing(reason)


def run(*command: str) -> str:
    """The output of a command. If the command fails, the test fails with its output."""
    ended = subprocess.run(
        command,
        cwd=WIDGET,
        env={**os.environ, "FORCE_COLOR": "0", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def test_types() -> None:
    run("npm", "run", "typecheck")


def test_the_package_in_node() -> None:
    print(run("npm", "run", "test"))


def exported(value: Any) -> list[str]:
    """Every file in `exports` of package.json."""
    if isinstance(value, str):
        return [value.removeprefix("./")]
    return [name for each in value.values() for name in exported(each)]


def test_the_packed_package_contains_what_it_exports_and_no_more() -> None:
    # The output of the build comes before the list.
    said = run("npm", "pack", "--dry-run", "--json", "--loglevel", "error")
    [packed] = json.loads(said[said.index("[\n") :])
    files = {entry["path"] for entry in packed["files"]}
    package = json.loads((WIDGET / "package.json").read_text())
    assert set(exported(package["exports"])) <= files
    assert {"dist/package/source/crc32c.worker.js", "README.md", "LICENSE"} <= files
    assert {name.split("/")[0] for name in files} == {
        "dist",
        "package.json",
        "README.md",
        "LICENSE",
    }
    assert package["license"] == "Apache-2.0"
    assert (WIDGET / "LICENSE").read_text() == (WIDGET.parent / "LICENSE").read_text()


def test_the_packed_package_can_be_imported() -> None:
    run("npm", "run", "build:package")
    code = "const { Upload } = await import('lading'); console.log(typeof Upload)"
    assert run("node", "--input-type=module", "--eval", code).strip() == "function"
