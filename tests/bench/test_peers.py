"""What the peers are installed from: locked by hashes, with no registry's address; their ports."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bench import peers
from bench.process import ROOT

NAMES = ("@tus/server", "@tus/file-store", "@tus/s3-store", "@uppy/core", "@uppy/tus")
NEEDED = {f"node_modules/{name}" for name in (*NAMES, "express", "mongodb")}


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^(\S+)==(\S+)", text, re.MULTILINE))


def node_packages() -> dict[str, dict[str, Any]]:
    packages: dict[str, dict[str, Any]] = json.loads(
        (ROOT / "bench" / "package-lock.json").read_text()
    )["packages"]
    return packages


def test_every_requirement_of_the_python_peer_has_hashes_and_no_index() -> None:
    text = (ROOT / "requirements" / "bench.txt").read_text()
    entries = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"^-|://", text, re.MULTILINE)


def test_python_peer_runs_on_what_lading_runs_on() -> None:
    tested = pins("test")
    shared = pins("bench").keys() & tested.keys()
    assert {"uvicorn", "uvloop", "httptools", "starlette"} <= shared
    assert {name: pins("bench")[name] for name in shared} == {name: tested[name] for name in shared}


def test_node_peer_is_locked_by_integrity_and_not_by_address() -> None:
    packages = {path: entry for path, entry in node_packages().items() if path}
    assert packages.keys() >= NEEDED
    assert all("integrity" in entry for entry in packages.values())
    assert not [path for path, entry in packages.items() if "resolved" in entry]


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([20_001, 20_001, 20_002])
    monkeypatch.setattr(peers, "_given", set())
    monkeypatch.setattr("random.randrange", lambda *_range: next(drawn))
    assert [peers.free_port(), peers.free_port()] == [20_001, 20_002]
