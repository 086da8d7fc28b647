"""One of several server processes: started by `supervisor.py`, serves a port together with others.

Unlike a single server it inherits its listening socket, ends when a pipe ends, and uses its share
of the memory that the settings allow.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import socket
import sys
from typing import TypedDict

from lading.memory import keep_freed
from lading.server.app import create_app
from lading.server.metrics import processes
from lading.server.net.connection_counts import ConnectionCounts, table_size
from lading.server.process.log import configure_log, log_request
from lading.server.process.serve import run
from lading.server.process.server import Server, configuration
from lading.server.settings import Settings, load


class Job(TypedDict):
    """A worker's number, how many workers there are, and its file descriptors.

    `metrics` is the socket of the port of the metrics, None where there is none.
    """

    number: int
    count: int
    listener: int
    connection_counts: int
    lifeline: int
    ready: int
    metrics: int | None


LEAST_BUDGET = 2**20


def share(settings: Settings, count: int) -> Settings:
    """The settings of one of `count` workers: the memory for pieces is divided among them."""
    total, each = settings.byte_budget // count, settings.user_byte_budget
    return settings.model_copy(
        update={
            "byte_budget": max(total, LEAST_BUDGET),
            "user_byte_budget": each and max(each // count, LEAST_BUDGET),
        }
    )


def work(job: Job) -> int:
    """Serve until the pipe ends or a signal comes; returns the exit code."""
    processes.join(job["number"])
    settings = share(load(), job["count"])
    configure_log(settings.log_level, settings.log_format)
    keep_freed(settings.byte_budget // 4)
    table = memoryview(mmap.mmap(job["connection_counts"], table_size(job["count"])))
    connection_counts = ConnectionCounts(table, processes=job["count"], number=job["number"])
    app = create_app(settings, connection_counts=connection_counts, observe=log_request)

    def ready() -> None:
        asyncio.get_running_loop().add_reader(job["lifeline"], end)
        os.write(job["ready"], b"!")
        os.close(job["ready"])

    def end() -> None:
        asyncio.get_running_loop().remove_reader(job["lifeline"])
        server.should_exit = True

    server = Server(configuration(app, settings.trusted_proxies), settings, ready)
    metrics = None if job["metrics"] is None else socket.socket(fileno=job["metrics"])
    return run(server, app, socket.socket(fileno=job["listener"]), metrics)


if __name__ == "__main__":
    sys.exit(work(json.loads(sys.argv[1])))
