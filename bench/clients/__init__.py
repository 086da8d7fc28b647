"""The programs that load the sides: each takes one job as JSON, does it and prints what it took.

They run as processes of their own, so that what they cost is not counted as a server's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Job = dict[str, Any]


def work(upload: Callable[[Job], float]) -> None:
    """Do the job on standard input; prints the seconds it took and the CPU time of this process.

    `upload` gives the seconds from the first request of the upload to the last answer.
    """
    job = json.load(sys.stdin)
    before = time.process_time()
    seconds = upload(job)
    json.dump({"seconds": seconds, "cpu_seconds": time.process_time() - before}, sys.stdout)
