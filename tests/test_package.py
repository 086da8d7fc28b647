"""The built package: it takes one import name, and it works beside a project's own modules.

The wheel is built from copies of the tracked files, so that a build leaves nothing in the checkout
and finds nothing old there. The environments that it is installed into see the dependencies of the
environment that runs the tests, but not its Lading.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from lading.version import VERSION
from tests.test_house import PROJECT, ROOT, tracked

TAKEN_NAMES = ("protocol", "storage", "server", "janitor", "imaging")
CLIENT_LIBRARIES = {"crc32c", "h11", "httpx", "msgpack", "rich", "typer", "websockets"}
"""What the client imports, and h11, which httpx needs."""
READY_SECONDS = 30.0


def copy_tracked(target: Path, *patterns: str) -> Path:
    """Copy tracked files as they are now; a link stays a link."""
    for path in tracked(*patterns):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, copy, follow_symlinks=False)
    return target


def pip(*arguments: object) -> None:
    command = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=without_lading(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def without_lading() -> dict[str, str]:
    """The environment without settings, and without anything that leads to this checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LADING_", "PYTHON"))
    }


def build_wheel(source: Path, folder: Path) -> Path:
    """Build a wheel as the readme says, without the network."""
    # A page that is built is carried along; a fresh checkout has none.
    page = source / "server" / "page"
    page.mkdir(exist_ok=True)
    (page / "index.html").write_text("<!doctype html>")
    pip("wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def environment(folder: Path) -> Path:
    """A virtual environment that sees this one's dependencies; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    # A folder that a .pth file names is searched, but the .pth files in it are not followed. So the
    # editable installation of this checkout stays unseen.
    (own,) = (folder / "lib").glob("python3*/site-packages")
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = copy_tracked(tmp_path_factory.mktemp("source"))
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that the wheel is installed into."""
    python = environment(tmp_path_factory.mktemp("installed"))
    pip("--python", python, "install", "-q", "--no-index", "--no-deps", wheel)
    return python


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose own modules are named like the rooms of Lading, and must not be imported."""
    for name in TAKEN_NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('the project owns {name}')\n")
    return tmp_path


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=without_lading(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- the wheel -------------------------------------------------------------------------------------


def test_wheel_takes_one_name_in_site_packages(wheel: Path) -> None:
    top = {name.split("/")[0] for name in names_in(wheel)}
    assert top == {"lading", f"lading-{VERSION}.dist-info"}


def test_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    rooms = {path.name for path in (ROOT / "lading").iterdir() if path.is_symlink()}
    modules = {f"lading/{path}" for room in rooms for path in tracked(f"{room}/*")}
    modules |= {str(path) for path in tracked("lading/*") if not (ROOT / path).is_symlink()}
    built = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert built == modules | {"lading/server/page/index.html"}


def test_wheel_carries_the_licence_and_says_which_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        (licence,) = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
        fields = archive.read(metadata).decode().partition("\n\n")[0].splitlines()
    assert "License-Expression: Apache-2.0" in fields
    assert not [field for field in fields if field.startswith("Project-URL:")]


def test_image_builds_the_same_wheel_from_what_it_copies(wheel: Path, tmp_path: Path) -> None:
    source = copied_by_the_image(tmp_path / "source")
    built = build_wheel(source, tmp_path / "wheel")
    assert names_in(built) == names_in(wheel)


def copied_by_the_image(target: Path) -> Path:
    """What the stage `build` of the Dockerfile copies, as far as .dockerignore lets it through."""
    kept = [line[1:] for line in lines_of(".dockerignore") if line.startswith("!")]
    stage = " ".join(lines_of("Dockerfile")).partition(" AS build ")[2].partition("FROM ")[0]
    copies = [words.split() for words in stage.split("COPY ")[1:]]
    for *sources, destination in (
        words[: words.index("RUN")] if "RUN" in words else words for words in copies
    ):
        for path in sources:
            if path.startswith("--from="):
                break
            assert any(Path(path).is_relative_to(name) for name in kept), f"{path} is ignored"
            into = target / destination if (ROOT / path).is_dir() else None
            assert into is None or destination == path, "a folder keeps its place"
            copy_tracked(target, path)
    return target


def lines_of(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


# -- an installation beside a project's own modules ------------------------------------------------


def test_client_is_imported_beside_modules_of_the_same_names(
    installed: Path, project: Path
) -> None:
    where = run(installed, "-c", "from lading import Client; print(Client.__module__)", cwd=project)
    assert where == "lading.client.client\n"


def test_command_runs_beside_modules_of_the_same_names(installed: Path, project: Path) -> None:
    for command in ([installed, "-m", "lading"], [installed.parent / "lading"]):
        assert "serve" in run(*command, "--help", cwd=project)
        assert "--port" in run(*command, "serve", "--help", cwd=project)
        assert "--dry-run" in run(*command, "janitor", "sweep", "--help", cwd=project)


@pytest.mark.parametrize("workers", [1, 2])
def test_server_runs_beside_modules_of_the_same_names(
    installed: Path, project: Path, database_url: str, workers: int
) -> None:
    settings = {"DATABASE_URL": database_url, "PORT": "0", "WORKERS": str(workers)}
    with serving(installed.parent / "lading", project, settings) as url:
        answer = httpx.get(f"{url}/livez", trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@contextmanager
def serving(program: Path, folder: Path, settings: dict[str, str]) -> Iterator[str]:
    """Run `lading serve` until the block ends; yields its address, and expects exit code 0."""
    variables = {f"LADING_{name}": value for name, value in settings.items()}
    with (folder / "output").open("wb") as output:
        child = subprocess.Popen(
            [program, "serve"],
            cwd=folder,
            env=without_lading() | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        note = folder / "lading-data" / "server.json"
        deadline = time.monotonic() + READY_SECONDS
        while not note.exists():
            assert child.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline, (folder / "output").read_text()
            time.sleep(0.01)
        yield json.loads(note.read_text())["url"]
        child.terminate()
        assert child.wait(READY_SECONDS) == 0, (folder / "output").read_text()
    finally:
        child.kill()
        child.wait()


def test_client_needs_none_of_the_libraries_of_the_server(installed: Path, project: Path) -> None:
    names = {Requirement(line).name for line in PROJECT["project"]["dependencies"]}
    absent = sorted(name.replace("-", "_") for name in names - CLIENT_LIBRARIES)
    assert "pymongo" in absent
    program = f"import sys; sys.modules.update(dict.fromkeys({absent}))"
    run(installed, "-c", f"{program}; from lading import Client; import lading.cli", cwd=project)


# -- a checkout called `lading` --------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkout in `lading`, installed as `scripts/install` does it."""
    parent = tmp_path_factory.mktemp("clone")
    copy_tracked(parent / "lading")
    python = environment(parent / "lading" / ".venv")
    options = "--no-deps --no-build-isolation --config-settings editable_mode=compat --editable"
    assert f"{options} ." in (ROOT / "scripts" / "install").read_text()
    pip("--python", python, "install", "-q", "--no-index", *options.split(), parent / "lading")
    return parent


def test_clone_called_lading_works_from_its_parent(clone: Path) -> None:
    # The folder `lading` in the parent has no `__init__.py`: it could be a namespace package.
    python = clone / "lading" / ".venv" / "bin" / "python"
    program = "import lading, lading.server.app; from lading import Client; print(lading.__file__)"
    found = run(python, "-c", program, cwd=clone)
    assert found.strip() == str(clone / "lading" / "lading" / "__init__.py")
    assert run(python, "-m", "lading", "--version", cwd=clone).strip() == VERSION


@pytest.mark.parametrize("folder", [".", "lading"])
def test_clone_works_from_folders_inside_it(clone: Path, folder: str) -> None:
    python = clone / "lading" / ".venv" / "bin" / "python"
    program = "import lading.server.app; from lading import Client"
    run(python, "-c", program, cwd=clone / "lading" / folder)
