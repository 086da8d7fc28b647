"""Transfers that measures have in common: run one, and say what it cost.

It owns what is read before and after a transfer. It refuses to know which number a measure is
about. Costs are CPU seconds per GB (10^9 bytes) and MiB of resident memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import MIB
from bench.peers import Peer
from bench.process import ask, cpu_seconds, machine_cpu_seconds, memory
from bench.workspace import PEER_DATABASE, LadingServer, Settings, Workspace

DURABLE = "yes: majority, journaled"
NOTHING_WRITTEN = "nothing is written"

CPU = "CPU s/GB"
SERVER_CPU = f"server {CPU}"
PEAK = "RSS peak, MiB"

TUS_PIECE = 4 * MIB
"""The bytes of a PATCH."""


class Transfer(NamedTuple):
    """The rate in bytes per second, the costs, and the client's other results."""

    rate: float
    costs: dict[str, float]
    told: Mapping[str, Any]

    @property
    def megabytes(self) -> float:
        """The rate in MB/s (10^6 bytes)."""
        return self.rate / 1e6


async def over_websocket(
    workspace: Workspace, size: int, uploads: int = 1, settings: Settings | None = None
) -> Transfer:
    """Upload files of `size` bytes over WebSocket into a fresh Lading server, all at once."""
    path = await workspace.source(size)
    await workspace.clear()
    async with workspace.lading(settings) as server:
        return await send(workspace, server, path, size, uploads)


async def send(
    workspace: Workspace, server: LadingServer, path: Path, size: int, uploads: int = 1
) -> Transfer:
    """Upload files of `size` bytes over WebSocket into this server, all at once."""
    base = memory(server.pid).now
    job = {**server.job, "path": str(path), "size": size, "uploads": uploads}
    pids = {"server": server.pid, "mongod": workspace.mongo_pid}
    transfer = await watch("bench.clients.channel", job, size * uploads, pids)
    after, peak = memory(server.pid)
    transfer.costs["RSS before, MiB"] = base / MIB
    transfer.costs[PEAK] = peak / MIB
    transfer.costs["RSS after, MiB"] = after / MIB
    return transfer


async def into_gridfs(workspace: Workspace, size: int) -> Transfer:
    """Put `size` bytes into GridFS on the workspace's mongod, straight from PyMongo."""
    path = await workspace.source(size)
    await workspace.clear()
    return await gridfs(workspace, path, size, read=False)


async def gridfs(workspace: Workspace, path: Path, size: int, *, read: bool) -> Transfer:
    """Put a file into GridFS, or read it from there."""
    job = {"url": workspace.mongo_url, "database": PEER_DATABASE, "path": str(path), "read": read}
    transfer = await watch("bench.clients.gridfs", job, size, {"mongod": workspace.mongo_pid})
    assert not read or transfer.told["bytes"] == size
    return transfer


StartPeer = Callable[[Workspace], AbstractAsyncContextManager[Peer]]


async def by_tus(workspace: Workspace, start: StartPeer, size: int) -> Transfer:
    """Upload `size` bytes to a fresh peer that speaks tus, in PATCHes of 4 MiB."""
    path = await workspace.source(size)
    await workspace.clear()
    async with start(workspace) as peer:
        job = {"url": peer.url, "path": str(path), "size": size, "piece": TUS_PIECE}
        transfer = await watch("bench.clients.tus", job, size, {"server": peer.pid})
        transfer.costs[PEAK] = memory(peer.pid).peak / MIB
    return transfer


async def over_http(
    workspace: Workspace, server: LadingServer | Peer, path: str, size: int, mongod: bool
) -> Transfer:
    """Read a file of `size` bytes over HTTP; `mongod` says whether it comes from there."""
    pids = {"server": server.pid, **({"mongod": workspace.mongo_pid} if mongod else {})}
    transfer = await watch("bench.clients.download", {**server.job, "path": path}, size, pids)
    assert transfer.told["bytes"] == size
    return transfer


async def watch(
    client: str, job: Mapping[str, Any], size: int, pids: Mapping[str, int]
) -> Transfer:
    """Run a client, and measure what these processes and the rest of the machine use."""
    whole = machine_cpu_seconds()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    told = await ask(client, job)
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    used["client"] = told["cpu_seconds"]
    # Kernel threads that write to the disk are in this too, as is the start of the client.
    used["elsewhere"] = machine_cpu_seconds() - whole - sum(used.values())
    costs = {f"{name} {CPU}": seconds / (size / 1e9) for name, seconds in used.items()}
    return Transfer(size / told["seconds"], costs, told)
