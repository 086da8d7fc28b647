"""aiotus: reads `{"url", "token", "path", "options"}` and prints the address of the upload."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

import aiotus

ATTEMPTS = 300


async def upload(job: dict[str, Any], file: BinaryIO) -> None:
    """Upload a file; all retries are the client's own."""
    config = aiotus.RetryConfiguration(retry_attempts=ATTEMPTS, max_retry_period_seconds=0.3)
    address = await aiotus.upload(
        job["url"] + "/v1/tus",
        file,
        {"filename": b"aiotus.bin"},
        config=config,
        headers={"Authorization": f"Bearer {job['token']}"},
        **job["options"],
    )
    if address is None:
        raise SystemExit("it never arrived")
    print(json.dumps({"url": str(address)}))


def main() -> None:
    """Do what the job says."""
    job = json.load(sys.stdin)
    with Path(job["path"]).open("rb") as file:
        asyncio.run(upload(job, file))


if __name__ == "__main__":
    main()
