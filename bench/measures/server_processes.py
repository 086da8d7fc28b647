"""What two server processes do ÷ what one does, where the database is not the limit (target 12)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench.measure import MIB, Goal, Measure, Options, Run, Sample, Side
from bench.process import ask, cpu_seconds, machine_cpu_seconds, memory
from bench.uploads import NOTHING_WRITTEN
from bench.workspace import LadingServer, Workspace

FILES = 1_000
"""Files of a list: one query for the database, much work for the server."""

CONNECTIONS = 16
"""Enough connections that the kernel, which spreads them at random, gives some to each process."""
ALLOWED = "most that the cores allow, ratio"


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers of the same files: one with one process, one with several."""

    workspace: Workspace
    one: LadingServer
    several: LadingServer


def measure(options: Options) -> Measure:
    files, requests = (300, 60) if options.quick else (FILES, 120)

    @asynccontextmanager
    async def setup(workspace: Workspace) -> AsyncIterator[Servers]:
        async with serving(workspace, (1, 2), files) as (one, two):
            yield Servers(workspace, one, two)

    def listing(processes: int) -> Run:
        async def run(servers: Servers) -> Sample:
            server = servers.one if processes == 1 else servers.several
            return await load(servers.workspace, server, files, requests)

        return run

    cores = len(os.sched_getaffinity(0))
    return Measure(
        name="server-processes",
        title=f"Lists of {files:,} files over HTTP, with one server process and with two",
        unit="lists/s",
        sides=(
            Side("Lading, one process", NOTHING_WRITTEN, listing(1)),
            Side("Lading, two processes (LADING_WORKERS=2)", NOTHING_WRITTEN, listing(2)),
        ),
        goals=(Goal(12, "two server processes ÷ one", side=1, over=0, at_least=1.8),),
        note=f"The client, mongod and the servers share the {cores} cores of this machine. With "
        "one process the client and mongod have the other core; two processes must share both "
        "with them. The last cost says what ratio the CPU times leave room for at most.",
        setup=setup,
        rounds=3,
    )


@asynccontextmanager
async def serving(
    workspace: Workspace, processes: Sequence[int], files: int
) -> AsyncIterator[list[LadingServer]]:
    """Servers with these numbers of processes, on one database with `files` files of one user."""
    source = await workspace.source(MIB)
    await workspace.clear()
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(workspace.lading({"workers": number}))
            for number in processes
        ]
        job = {**servers[0].job, "tus": False, "path": str(source), "size": 1024}
        await ask("bench.clients.small_files", {**job, "files": files, "connections": 4})
        yield servers


async def load(workspace: Workspace, server: LadingServer, files: int, requests: int) -> Sample:
    """Ask a server for lists of files; returns lists per second."""
    job = {**server.job, "path": f"/v1/files?limit={files}"}
    whole, own = machine_cpu_seconds(), cpu_seconds(server.pid)
    mongod = cpu_seconds(workspace.mongo_pid)
    told = await ask(
        "bench.clients.requests", {**job, "requests": requests, "connections": CONNECTIONS}
    )
    own = (cpu_seconds(server.pid) - own) / requests
    mongod = (cpu_seconds(workspace.mongo_pid) - mongod) / requests
    client = told["cpu_seconds"] / requests
    rest = (machine_cpu_seconds() - whole) / requests - own - mongod - client
    costs = {
        "server CPU ms/list": own * 1e3,
        "mongod CPU ms/list": mongod * 1e3,
        "client CPU ms/list": client * 1e3,
        "elsewhere CPU ms/list": rest * 1e3,
        "RSS, MiB": memory(server.pid).now / MIB,
        ALLOWED: allowed(len(os.sched_getaffinity(0)), own, mongod + client),
    }
    return Sample(requests / told["seconds"], costs)


def allowed(cores: int, server: float, others: float) -> float:
    """How many times faster two processes can be at most, on this number of cores.

    A request costs the server process and the others so much CPU time. One process is kept busy
    by one core; with two the cores are shared by all.
    """
    return min(2.0, cores * server / (server + others))
