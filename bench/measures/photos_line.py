"""100 photos over a line with 100 ms round trip, by `lading put` ÷ by rclone to a bucket
(target 16)."""

from __future__ import annotations

from bench.directories import beside_rclone, filled
from bench.line import LineKind
from bench.measure import Goal, Measure, Options

SIZE = 3_000_000
RATE = 125e6
LINE = LineKind(rate=RATE, round_trip=0.1, queue=int(RATE * 0.05))


def measure(options: Options) -> Measure:
    count = 20 if options.quick else 100
    return beside_rclone(
        "photos-line",
        f"{count} files of 3 MB over a line of 1 Gbit/s with 100 ms round trip",
        Goal(16, "photos over a line: lading put ÷ rclone", side=0, over=1, at_least=1.5),
        "The bytes are random, so nobody makes pictures of them. Lading verifies a SHA-256 of each "
        "file.",
        files=filled(count, SIZE),
        rounds=2,
        kind=LINE,
    )
