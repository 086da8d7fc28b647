"""Thousands of files of 2 kB by `lading put` ÷ by rclone to a bucket (target 17)."""

from __future__ import annotations

from bench.directories import beside_rclone, filled
from bench.measure import Goal, Measure, Options

SIZE = 2_000
WANTED = 5_000


def measure(options: Options) -> Measure:
    count = 300 if options.quick else WANTED
    return beside_rclone(
        "small-put",
        f"{count:,} files of 2 kB",
        Goal(17, "5,000 files: lading put ÷ rclone", side=0, over=1, at_least=2),
        "",
        files=filled(count, SIZE),
        rounds=1,
    )
