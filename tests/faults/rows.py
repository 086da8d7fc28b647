"""The rows of the table, in the order of page 5 of the design."""

from __future__ import annotations

from tests.faults import (
    answers_lost,
    anything,
    bit_flip,
    clocks,
    disk_full,
    duplicates,
    finish_abort_sweep,
    images_killed,
    janitors,
    local_directory,
    mongod_killed,
    move_killed,
    network,
    power_cut,
    primary_lost,
    quota_race,
    s3_trouble,
    server_killed,
    sigterm,
)
from tests.faults.fault import Fault

ROWS: tuple[Fault, ...] = (
    server_killed.FAULT,
    mongod_killed.FAULT,
    primary_lost.KILLED,
    primary_lost.STOPPED,
    network.FAULT,
    answers_lost.FAULT,
    duplicates.FAULT,
    finish_abort_sweep.FAULT,
    janitors.TOGETHER,
    janitors.HOLDER_LOST,
    quota_race.FAULT,
    bit_flip.FAULT,
    disk_full.FAULT,
    clocks.FAULT,
    sigterm.FAULT,
    move_killed.FAULT,
    s3_trouble.FAULT,
    anything.FAULT,
    local_directory.KILLED,
    power_cut.FAULT,
    local_directory.DISK_FULL,
    local_directory.BIT_FLIP,
    images_killed.FAULT,
)
