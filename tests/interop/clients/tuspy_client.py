"""tuspy: reads `{"url", "token", "path", "options"}` and prints the address of the upload.

It retries by itself in the middle of an upload, but not its creation, so that is done here.
"""

from __future__ import annotations

import json
import sys
import time

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

TRIES, PAUSE = 200, 0.3
"""A server on a busy machine takes a while to start."""


def main() -> None:
    """Upload a file."""
    job = json.load(sys.stdin)
    headers = {"Authorization": f"Bearer {job['token']}"}
    client = TusClient(job["url"] + "/v1/tus", headers=headers)
    address = None
    for _ in range(TRIES):
        try:
            uploader = client.uploader(
                job["path"],
                url=address,
                metadata={"filename": "tuspy.bin"},
                retries=20,
                retry_delay=PAUSE,
                **job["options"],
            )
            address = address or uploader.create_url()
            uploader.set_url(address)
            uploader.upload()
        except TusCommunicationError:
            time.sleep(PAUSE)
        else:
            print(json.dumps({"url": address}))
            return
    raise SystemExit("it never arrived")


if __name__ == "__main__":
    main()
