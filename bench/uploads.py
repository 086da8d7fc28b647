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
from bench.process import ask, cpu_seconds, forget_peak, machine_cpu_seconds, memory
from bench.workspace import PEER_DATABASE, LadingServer, Settings, Workspace

DURABLE = "yes: majority, journaled"
NOTHING_WRITTEN = "nothing is written"

CPU = "CPU s/GB"
SERVER_CPU = f"server {CPU}"
PEAK = "server RSS peak, MiB"

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
    transfer.costs["server RSS before, MiB"] = base / MIB
    transfer.costs["server RSS after, MiB"] = memory(server.pid).now / MIB
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
        return await patches(peer.url, path, size, peer.pid)


async def patches(url: str, path: Path, size: int, pid: int, token: str | None = None) -> Transfer:
    """Upload a file by tus to this URL, in PATCHes of 4 MiB; the server is process `pid`."""
    job = {"url": url, "token": token, "path": str(path), "size": size, "piece": TUS_PIECE}
    return await watch("bench.clients.tus", job, size, {"server": pid})


async def posted(workspace: Workspace, peer: Peer, path: Path, size: int) -> Transfer:
    """Upload a file by one POST to a peer with GridFS, where it is at `/files/file` then."""
    job = {**peer.job, "path": str(path), "size": size, "to": "/files/file"}
    pids = {"server": peer.pid, "mongod": workspace.mongo_pid}
    return await watch("bench.clients.post", job, size, pids)


async def over_http(
    workspace: Workspace, server: LadingServer | Peer, path: str, size: int, mongod: bool
) -> Transfer:
    """Read a file of `size` bytes over HTTP; `mongod` says whether it comes from there."""
    pids = {"server": server.pid, **({"mongod": workspace.mongo_pid} if mongod else {})}
    transfer = await watch("bench.clients.download", {**server.job, "path": path}, size, pids)
    assert transfer.told["bytes"] == size
    return transfer


class Per(NamedTuple):
    """What CPU time is counted for: the name of the quotient, and what seconds are divided by."""

    name: str
    divisor: float


async def watch(
    client: str,
    job: Mapping[str, Any],
    size: int,
    pids: Mapping[str, int],
    per: Per | None = None,
) -> Transfer:
    """Run a client, and measure what it, these processes and the rest of the machine use.

    CPU time is for each GB, unless `per` says otherwise.
    """
    whole = machine_cpu_seconds()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    for pid in pids.values():
        forget_peak(pid)
    told = await ask(client, job)
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    used["client"] = told["cpu_seconds"]
    # Kernel threads that write to the disk are in this too, as is the start of the client.
    used["elsewhere"] = machine_cpu_seconds() - whole - sum(used.values())
    unit, divisor = per or Per(CPU, size / 1e9)
    costs = {f"{name} {unit}": seconds / divisor for name, seconds in used.items()}
    peaks = {name: memory(pid).peak for name, pid in pids.items()} | {"client": told["resident"]}
    costs |= {f"{name} RSS peak, MiB": peak / MIB for name, peak in peaks.items()}
    return Transfer(size / told["seconds"], costs, told)
