"""A janitor in a process of its own that works on command.

Run as `python -m tests.faults.janitor_process URL HOLDER LEASE_SECONDS`. For each line on its
standard input it writes one of JSON: after `sweep` what the sweep did, null when it had no lease or
lost it; after `hold` whether it took the lease. The loop and its lease are the server's own,
except for the length of the lease.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from lading.janitor.loop import NAME, JanitorLoop
from lading.janitor.sweep import Report
from lading.storage.blobs.base import Check
from lading.storage.collections.leases import Leases
from tests.faults.inspector import Inspector

MARK = "= "
"""Begins every answer; other lines are the log's."""


async def work(url: str, holder: str, lease_seconds: float) -> None:
    async with Inspector(url) as inspector:
        leases = Leases(inspector.database)
        sweeper = inspector.sweeper()

        async def sweep(check: Check) -> Report:
            return await sweeper.sweep(check=check)

        loop = JanitorLoop(
            leases,
            sweep,
            holder=holder,
            interval=0.0,
            lease_seconds=lease_seconds,
            clock=inspector.clock,
        )
        tell("ready")
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if word == "sweep":
                report = await loop.once()
                tell(None if report is None else report.as_dict())
            elif word == "hold":
                now = inspector.clock()
                lease = await leases.acquire(NAME, holder, now=now, until=now + lease_seconds)
                tell(lease is not None)


def tell(what: Any) -> None:
    print(MARK + json.dumps(what), flush=True)


if __name__ == "__main__":
    url, holder, seconds = sys.argv[1:]
    asyncio.run(work(url, holder, float(seconds)))
