"""The rules of the house: what is at the root, what is locked, who imports whom, what scripts and
containers promise. It reads tracked files as text and as syntax trees.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from tests.support.figures import LONGEST

ROOT = Path(__file__).parent.parent
LOCKS = ("serve", "test", "bench", "helm", "audit")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

FIXED_AT_ROOT = (
    "server",
    "protocol",
    "storage",
    "janitor",
    "tests",
    "docs",
    "pyproject.toml",
    "Dockerfile",
)

# Written in parts, so that the test does not find this file.
REGISTRY_HOSTS = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("npmjs", "org"),
        ("registry", "yarnpkg"),
        ("deb", "debian", "org"),
    )
)

CLOCKS_RANDOMNESS_AND_IO = {
    "asyncio", "datetime", "io", "os", "pathlib", "random", "secrets", "select", "selectors",
    "socket", "ssl", "subprocess", "tempfile", "threading", "time", "uuid",
}  # fmt: skip


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )


def tracked(*patterns: str) -> list[Path]:
    listed = git("ls-files", "-z", "--", *patterns)
    assert listed.returncode == 0, listed.stderr
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirements of one lock file by name, each with its options."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *options = re.split(r"\s+(?=--)", line.strip())
            requirement = Requirement(pin)
            found[canonicalize_name(requirement.name)] = (requirement, options)
    return found


def wanted(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with the named extras and the build backend."""
    project = PROJECT["project"]
    lines = PROJECT["build-system"]["requires"] + project["dependencies"]
    for extra in extras:
        lines = lines + project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def test_root_is_a_map_of_fewer_than_twenty_entries() -> None:
    shown = {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")}
    assert len(shown) < 20


@pytest.mark.parametrize("name", FIXED_AT_ROOT)
def test_fixed_name_is_at_the_root(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_is_one_version_with_hashes(name: str) -> None:
    for requirement, options in locked(name).values():
        assert [clause.operator for clause in requirement.specifier] == ["=="], requirement
        assert options, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) for option in options)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_index_and_no_path(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    assert not [line for line in lines if line.startswith("-")]
    assert not [line for line in lines if "://" in line or re.search(r"(^|\s)/", line)]


@pytest.mark.parametrize(
    ("name", "extras"), [("serve", ("embedded",)), ("test", ("embedded", "motor", "test"))]
)
def test_lock_holds_what_the_project_asks_for(name: str, extras: tuple[str, ...]) -> None:
    pins = locked(name)
    for requirement in wanted(*extras):
        pin, _ = pins[canonicalize_name(requirement.name)]
        (clause,) = pin.specifier
        assert requirement.specifier.contains(clause.version), requirement


def test_what_is_served_is_what_was_tested() -> None:
    tested = locked("test")
    assert not {name: pin for name, pin in locked("serve").items() if tested.get(name) != pin}


def test_no_tracked_file_names_a_package_registry() -> None:
    pattern = "|".join(re.escape(host) for host in REGISTRY_HOSTS)
    found = git("grep", "-nIiE", pattern)
    assert found.returncode == 1, found.stdout + found.stderr


@pytest.mark.parametrize("path", tracked("scripts", ".ci"), ids=str)
def test_script_is_executable_and_strict(path: Path) -> None:
    assert os.access(ROOT / path, os.X_OK)
    first, *lines = (ROOT / path).read_text().splitlines()
    assert first in ("#!/usr/bin/env bash", "#!/usr/bin/env python3")
    if first.endswith("bash"):
        code = [line for line in lines if line and not line.startswith("#")]
        assert code[0] == "set -euo pipefail"


def test_figures_are_printed() -> None:
    done = subprocess.run([ROOT / "scripts" / "house"], capture_output=True, text=True, check=True)
    assert re.search(r"^  protocol +\d+ +[\d,]+$", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^ +\d+  \S+\.py$", done.stdout, re.MULTILINE)) == LONGEST
    assert len(re.findall(r"^ +\d+  \S+\.py: \w", done.stdout, re.MULTILINE)) == LONGEST


def test_imports_go_down_only() -> None:
    contracts = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert contracts.returncode == 0, contracts.stdout + contracts.stderr


@pytest.mark.parametrize("path", tracked("protocol/*.py"), ids=str)
def test_protocol_never_waits_reads_no_clock_and_draws_no_random_number(path: Path) -> None:
    waiting = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        assert not isinstance(node, waiting), f"{path}:{node.lineno} waits"
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            assert module.split(".")[0] not in CLOCKS_RANDOMNESS_AND_IO, f"{path} imports {module}"


def test_every_folder_with_python_in_it_is_type_checked() -> None:
    folders = {path.parts[0] for path in tracked("*.py")}
    checked = set(PROJECT["tool"]["mypy"]["files"])
    linked = {path.name for path in (ROOT / "lading").iterdir() if path.is_symlink()}
    assert folders <= checked | linked


def test_every_room_is_a_folder_at_the_root_and_a_link_in_lading() -> None:
    links = {
        path.name: path.readlink() for path in (ROOT / "lading").iterdir() if path.is_symlink()
    }
    assert links == {
        room: Path("..", room) for room in ("protocol", "storage", "janitor", "imaging", "server")
    }


def compose_services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]
    return services


@pytest.mark.parametrize("name", ["lading", "mongo"])
def test_container_has_no_capabilities_and_a_root_it_cannot_write(name: str) -> None:
    service = compose_services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service


def test_containers_listen_on_the_loopback_of_the_host_only() -> None:
    ports = [port for service in compose_services().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_image_runs_as_a_user_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert "0" not in user.split(":")
    assert "root" not in user.split(":")
