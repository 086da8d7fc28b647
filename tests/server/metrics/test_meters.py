"""What the functions of the meters count, and what may not become a series."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from lading.server.metrics import processes
from lading.server.metrics.meters import Meters
from lading.server.net.record import Record
from tests.support.metrics import Metrics, parse


def shown(meters: Meters) -> Metrics:
    assert meters.registry is not None
    return parse(generate_latest(meters.registry).decode())


def test_a_channel_is_no_request_and_its_close_code_is_one_of_a_few() -> None:
    meters = Meters()
    for code in (1000, 4401, 3456, 4999, None):
        meters.request(Record(request_id="1", method="GET", channel=True, close_code=code))
    found = shown(meters)
    assert found.total("lading_channels_total", close_code="1000") == 1
    assert found.total("lading_channels_total", close_code="4401") == 1
    assert found.total("lading_channels_total", close_code="other") == 3
    assert found.total("lading_channel_duration_seconds_count") == 5
    assert found.total("lading_http_requests_total") == 0


def test_the_janitor_and_the_outbox_are_counted() -> None:
    meters = Meters()
    meters.sweep({"expired": 2, "emptied": 3, "purged": 0, "pieces": 40, "failed": 1})
    meters.sweep({"expired": 0, "emptied": 0, "purged": 0, "pieces": 0, "failed": 0})
    meters.step("move", "ok", 0.2)
    meters.step("move", "failed", 0.1)
    meters.images("made", 0.5, 6)
    meters.images("unprocessable-image", 0.1, 0)
    found = shown(meters)
    assert found.total("lading_janitor_sweeps_total") == 2
    assert found.total("lading_janitor_work_total", what="pieces") == 40
    assert found.total("lading_uploads_total", event="expired") == 2
    assert found.total("lading_outbox_steps_total", step="move", outcome="failed") == 1
    assert found.total("lading_outbox_step_duration_seconds_count", step="move") == 2
    assert found.total("lading_images_total") == 6
    assert found.total("lading_image_files_total", outcome="unprocessable-image") == 1


def test_what_alerts_look_at_is_there_from_the_start() -> None:
    found = shown(Meters())
    for event in ("begun", "finished", "aborted", "expired"):
        assert [*found.series("lading_uploads_total")], event
    for event in ("replaced", "trashed", "restored", "deleted"):
        assert [*found.series("lading_files_total")].count(({"event": event}, 0.0)) == 1
    assert [*found.series("lading_janitor_sweeps_total")] == [({}, 0.0)]


def test_two_applications_in_one_process_count_apart() -> None:
    first, second = Meters(), Meters()
    first.published()
    assert shown(first).total("lading_uploads_total") == 1
    assert shown(second).total("lading_uploads_total") == 0


def test_what_a_killed_server_left_is_cleared_and_what_a_living_one_uses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MEMORY", tmp_path)
    dead, other = tmp_path / f"{processes.PREFIX}4194304999-x", tmp_path / "something"
    dead.mkdir()
    other.mkdir()
    mine = processes.make_directory()
    assert not dead.exists()
    assert other.exists()
    processes.make_directory()
    assert Path(mine).exists()
