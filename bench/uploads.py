"""Uploads that measures have in common: run one, and say what it cost.

It owns what is read before and after an upload. It refuses to know which number a measure is
about. Costs are CPU seconds per GB (10^9 bytes) and MiB of resident memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.measure import MIB
from bench.process import ask, cpu_seconds, machine_cpu_seconds, memory
from bench.scene import PEER_DATABASE, Scene

DURABLE = "yes: majority, journaled"

CPU = "CPU s/GB"


class Uploaded(NamedTuple):
    """How fast an upload was, in bytes per second, and what it cost."""

    rate: float
    costs: dict[str, float]


async def over_websocket(scene: Scene, size: int) -> Uploaded:
    """Upload `size` bytes over WebSocket into a fresh Lading server, chunks in MongoDB."""
    path = await scene.source(size)
    await scene.clear()
    async with scene.lading() as server:
        base, _ = memory(server.pid)
        job = {"url": server.url, "token": server.token, "path": str(path), "size": size}
        pids = {"server": server.pid, "mongod": scene.mongo_pid}
        rate, costs = await _watch("bench.clients.channel", job, size, pids)
        after, peak = memory(server.pid)
    kinds = {"RSS before": base, "RSS peak": peak, "RSS after": after}
    costs |= {f"{kind}, MiB": number / MIB for kind, number in kinds.items()}
    return Uploaded(rate, costs)


async def into_gridfs(scene: Scene, size: int) -> Uploaded:
    """Put `size` bytes into GridFS on the scene's mongod, straight from PyMongo."""
    path = await scene.source(size)
    await scene.clear()
    job = {"url": scene.mongo_url, "database": PEER_DATABASE, "path": str(path)}
    return await _watch("bench.clients.gridfs", job, size, {"mongod": scene.mongo_pid})


async def _watch(
    client: str, job: Mapping[str, Any], size: int, pids: Mapping[str, int]
) -> Uploaded:
    """Run a client, and read meanwhile what these processes and the rest of the machine use."""
    whole = machine_cpu_seconds()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    result = await ask(client, job)
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    used["client"] = result["cpu_seconds"]
    # Kernel threads that write to the disk are in this too, as is the start of the client.
    used["elsewhere"] = machine_cpu_seconds() - whole - sum(used.values())
    costs = {f"{name} {CPU}": seconds / (size / 1e9) for name, seconds in used.items()}
    return Uploaded(size / result["seconds"], costs)
