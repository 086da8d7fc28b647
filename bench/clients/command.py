"""Runs a program as a user would: `{"command", "variables"}`, with these settings in its
environment, and no others of its own.

The `seconds` run from its start to its end, so the start of its interpreter counts.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time

from bench.clients import Job, work

OTHERS = ("AWS_", "LADING_", "RCLONE_")
"""What this machine's user has set for such programs would count otherwise."""


def run(job: Job) -> Job:
    """Run it; raises CalledProcessError, with what it wrote last, if it fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    environment = {**inherited, **job["variables"]}
    begin = time.perf_counter()
    done = subprocess.run(
        job["command"], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{job['command'][0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "resident": used.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    work(run)
