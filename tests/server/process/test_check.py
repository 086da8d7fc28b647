"""`lading check`: what it shows of settings, and that each trial notices what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from lading.cli import app
from lading.server.process import check
from lading.server.settings import Settings, load
from lading.storage import inspection
from tests.support.children import free_port
from tests.support.seaweedfs import OWNER, SeaweedFS
from tests.support.servers import NOWHERE, Process, give_up_soon
from tests.support.users import SECRET

Event = dict[str, Any]


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def run(data: Path, url: str | None, *, code: int = 0, **settings: Any) -> list[Event]:
    """The events of one run; `settings` are named like the fields of `Settings`."""
    none = {name: None for name in os.environ if name.startswith("LADING_")}
    given = {"data": data, "database_url": url, "imaging": 0, **settings}
    own = {f"LADING_{name.upper()}": str(v) for name, v in given.items() if v is not None}
    result = CliRunner().invoke(app, ["check", "--json"], env={**none, **own})
    assert (result.exit_code, result.stderr) == (code, ""), (result.output, result.exc_info)
    return [json.loads(line) for line in result.stdout.splitlines()]


def found(events: list[Event], name: str) -> list[tuple[str, str]]:
    """The state and the detail of the trials of this name."""
    return [
        (e["state"], e["detail"]) for e in events if e["event"] == "check" and e["name"] == name
    ]


def test_everything_is_tried_and_nothing_is_left(
    tmp_path: Path, database_url: str, mongo: Any
) -> None:
    events = run(tmp_path, database_url, blobs=f"file://{tmp_path}/files", imaging=1)
    assert events[-1] == {"event": "checked", "failed": 0, "warnings": 0}
    ((state, detail),) = found(events, "database")
    assert state == "ok"
    assert "MongoDB " in detail
    assert "standalone" in detail
    assert "a durable write takes " in detail
    assert found(events, "home") == [("ok", f"file://{tmp_path}/files: written, read, deleted")]
    ((state, detail),) = found(events, "disk")
    assert state in ("ok", "warning")
    assert "fsync" in detail
    ((state, detail),) = found(events, "images")
    assert (state, detail[:10]) == ("ok", "an image i")
    database = mongo[database_url.rpartition("/")[2].partition("?")[0]]
    for name in ("chunks", "manifests", "pictures"):
        assert database[name].count_documents({}) == 0
    assert database.marks.count_documents({"_id": {"$regex": "^check"}}) == 0
    left = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert [path for path in left if path.stat().st_size] == []


def test_each_setting_is_shown_with_its_source_and_no_secret(
    tmp_path: Path, database_url: str
) -> None:
    secret: dict[str, Any] = {"auth": "jwt", "jwt_secret": SECRET, "jwt_audience": "lading"}
    events = run(tmp_path, database_url, upload_ttl="2h", **secret)
    shown = {e["name"]: (e["value"], e["source"]) for e in events if e["event"] == "setting"}
    assert set(shown) == {f"LADING_{name.upper()}" for name in Settings.model_fields}
    assert shown["LADING_UPLOAD_TTL"] == ("7200.0", "environment")
    assert shown["LADING_PORT"] == ("8080", "default")
    assert shown["LADING_JWT_SECRET"] == shown["LADING_DATABASE_URL"] == ("(hidden)", "environment")
    assert SECRET not in json.dumps(events)
    assert found(events, "credentials") == [("ok", "the key of the tokens can be used")]


def test_a_wrong_setting_is_usage_and_an_unknown_one_a_warning(
    tmp_path: Path, database_url: str
) -> None:
    result = CliRunner().invoke(app, ["check"], env={"LADING_PORT": "many"})
    assert result.exit_code == check.USAGE
    assert "LADING_PORT=many" in result.stderr
    events = run(tmp_path, database_url, upload_tlt="1h")
    assert found(events, "settings") == [
        ("warning", "LADING_UPLOAD_TLT is no setting; is it misspelt?")
    ]


def test_a_database_that_is_away_fails_and_the_rest_is_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_soon(monkeypatch)
    events = run(tmp_path, NOWHERE, code=1)
    ((state, detail),) = found(events, "database")
    assert state == "failed"
    assert "LADING_DATABASE_URL" in detail
    assert found(events, "credentials") == [("ok", "the first start makes the token")]


def test_before_the_first_start_nothing_is_made(tmp_path: Path) -> None:
    events = run(tmp_path / "new", None)
    ((state, detail),) = found(events, "database")
    assert (state, str(tmp_path / "new") in detail) == ("ok", True)
    assert not (tmp_path / "new").exists()


def test_a_bucket_is_tried_as_the_server_uses_it(
    tmp_path: Path, database_url: str, seaweed: SeaweedFS, s3_home: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWNER.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OWNER.secret)
    where: dict[str, Any] = {"blobs": s3_home, **seaweed.settings()}
    events = run(tmp_path, database_url, public_url="https://files.example/media", **where)
    assert found(events, "home") == [("ok", f"{s3_home}: written, read, deleted")]
    ((_, detail),) = found(events, "cors")
    assert "https://files.example " in detail
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    events = run(tmp_path, database_url, code=1, **where)
    ((state, detail),) = found(events, "home")
    assert state == "failed"
    assert "AWS_SECRET_ACCESS_KEY" in detail


def test_a_disk_below_the_floor_or_that_cannot_be_written_fails(tmp_path: Path) -> None:
    assert check.disk(tmp_path, 2**60).state == "failed"
    assert check.disk(tmp_path / "nowhere", 0).state == "failed"
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "sync_seconds", lambda _directory: 0.05)
    told = check.disk(tmp_path, 0)
    assert told.state == "warning"
    assert "fsync 50.0 ms" in told.detail


async def test_a_token_that_others_can_read_fails(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    path.write_text("secret")
    path.chmod(0o644)
    told = await check.keys(load(data=tmp_path))
    assert told.state == "failed"
    assert f"chmod 600 {path}" in told.detail


async def test_keys_that_cannot_be_fetched_fail() -> None:
    wrong = f"http://127.0.0.1:{free_port()}/jwks"
    told = await check.keys(load(auth="jwt", jwt_jwks=wrong, jwt_audience="a"))
    assert told.state == "failed"


async def test_the_public_address_is_asked(server: Process) -> None:
    assert (await check.public(load(public_url=server.url))).state == "ok"
    away = await check.public(load(public_url=f"http://127.0.0.1:{free_port()}"))
    assert away.state == "warning"
    other = await check.public(load(public_url=server.url + "/elsewhere"))
    assert other.state == "failed"
    assert "404" in other.detail
