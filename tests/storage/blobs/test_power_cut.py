"""The model of power cuts finds a sync that is missing; `tests/faults/power_cut.py` runs it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from random import Random

import pytest

from tests.faults.fault import Trial
from tests.faults.power_cut import every_cut, record
from tests.support.power_cut import Entered, Event, Left, Recorder, Synced, Wrote, after


class NoFileSync(Recorder):
    """A driver that never makes bytes durable."""

    def fsync(self, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            super().fsync(descriptor)

    fdatasync = fsync


class NoFolderSync(Recorder):
    """A driver that makes bytes durable, but no name."""

    def fsync(self, descriptor: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            super().fsync(descriptor)


@pytest.mark.parametrize("kind", [NoFileSync, NoFolderSync])
async def test_a_missing_sync_is_found(tmp_path: Path, kind: type[Recorder]) -> None:
    trial = Trial(0, Random("model"))
    (tmp_path / "run").mkdir()
    events, sent = await record(tmp_path / "run", trial.random, kind)
    with pytest.raises(AssertionError, match="cut after event"):
        await every_cut(tmp_path, events, sent, trial.random)


def test_only_what_a_sync_covers_is_sure() -> None:
    new: Event = Entered(0, "a", 1)
    assert after([new]).folders == {0: {}}
    assert after([new, Synced(1, 1)]).folders == {0: {}}, "the sync of a file keeps no name"
    assert after([new, Synced(0, 0)]).folders == {0: {}}, "it began before the file was there"
    assert after([new, Synced(0, 1)]).folders == {0: {"a": 1}}
    bytes_too: list[Event] = [
        new,
        Synced(0, 1),
        Wrote(1, 0, b"one"),
        Wrote(1, 3, b"two"),
        Synced(1, 3),
    ]
    assert after(bytes_too).files == {1: b"one"}
    assert after(bytes_too, all_of_it=True).files == {1: b"onetwo"}


def test_a_rename_happens_or_does_not() -> None:
    begun: list[Event] = [Entered(0, "a", 1), Entered(0, "d", 2, is_folder=True), Synced(0, 2)]
    renamed = [*begun, Entered(2, "b", 1, came_from=(0, "a"))]
    before, then = {0: {"a": 1, "d": 2}, 2: {}}, {0: {"d": 2}, 2: {"b": 1}}
    assert after(renamed).folders == before
    assert after([*renamed, Synced(2, 4)]).folders == then
    seen = {str(after(renamed, Random(number)).folders) for number in range(50)}
    assert seen == {str(before), str(then)}
    assert after([*begun, Left(0, "a"), Synced(0, 4)]).folders == {0: {"d": 2}, 2: {}}
