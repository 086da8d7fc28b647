"""Directories of files, sent by `lading put` and by rclone: for the measures of many files.

It owns the files and the two commands. It refuses to know which targets there are.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import uploads
from bench.clients import Job
from bench.line import LineKind
from bench.measure import Goal, Measure, Run, Sample, Setup, Side, left_out
from bench.peers import rclone
from bench.peers.line import line
from bench.peers.rclone import copying
from bench.peers.seaweedfs import MISSING, has_seaweedfs, seaweedfs
from bench.workspace import Workspace

COMMAND = "bench.clients.command"


@dataclass(frozen=True, slots=True)
class Directory:
    """`count` files of `size` random bytes each, and the workspace of the servers."""

    workspace: Workspace
    path: Path
    count: int
    size: int


def beside_rclone(
    name: str,
    title: str,
    goal: Goal,
    note: str,
    *,
    files: Setup,
    rounds: int,
    kind: LineKind | None = None,
) -> Measure:
    """`lading put` of such a directory ÷ `rclone copy` to a bucket, over a line of that kind."""
    unit = "files/s"
    if not rclone.has_rclone():
        return left_out(name, title, unit, rclone.MISSING)
    if not has_seaweedfs():
        return left_out(name, title, unit, MISSING)
    return Measure(
        name=name,
        title=title,
        unit=unit,
        sides=(
            Side("lading put", uploads.DURABLE, by_lading(kind)),
            Side("rclone copy to SeaweedFS", "as SeaweedFS is", by_rclone(kind)),
        ),
        goals=(goal,),
        note=f"Both commands as they are by default, from their start to their end. {note}".strip(),
        warm_up=False,
        rounds=rounds,
        setup=files,
    )


def filled(count: int, size: int) -> Setup:
    """The setup of a measure: such a directory."""

    @asynccontextmanager
    async def setup(workspace: Workspace) -> AsyncIterator[Directory]:
        path = workspace.directory("files")
        await asyncio.to_thread(_fill, path, count, size)
        yield Directory(workspace, path, count, size)

    return setup


def by_lading(kind: LineKind | None = None) -> Run:
    """`lading put` to a fresh server, over a line of this kind if there is one."""

    async def run(files: Directory) -> Sample:
        workspace = files.workspace
        await workspace.clear()
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(workspace.lading())
            pids = {"server": server.pid, "mongod": workspace.mongo_pid}
            url = await _over(stack, files, server.url, kind, pids)
            variables = {"LADING_URL": url, "LADING_TOKEN": server.token}
            command = [sys.executable, "-m", "lading", "put", "--json", str(files.path)]
            return await _run(files, {"command": command, "variables": variables}, pids)

    return run


def by_rclone(kind: LineKind | None = None) -> Run:
    """`rclone copy` to a fresh bucket of SeaweedFS, over a line of this kind if there is one."""

    async def run(files: Directory) -> Sample:
        async with AsyncExitStack() as stack:
            bucket = await stack.enter_async_context(seaweedfs(files.workspace))
            pids = {"server": bucket.pid}
            url = await _over(stack, files, bucket.url, kind, pids)
            return await _run(files, copying(files.path, url), pids)

    return run


async def _over(
    stack: AsyncExitStack, files: Directory, url: str, kind: LineKind | None, pids: dict[str, int]
) -> str:
    """The URL of the server over the line, whose process joins `pids`."""
    if kind is None:
        return url
    long = await stack.enter_async_context(line(files.workspace, url, kind))
    pids["line"] = long.pid
    return long.url


async def _run(files: Directory, job: Job, pids: dict[str, int]) -> Sample:
    size, each = files.count * files.size, uploads.Per("CPU ms/file", files.count / 1e3)
    sent = await uploads.watch(COMMAND, job, size, pids, each)
    return Sample(files.count / sent.told["seconds"], sent.costs)


def _fill(path: Path, count: int, size: int) -> None:
    for number in range(count):
        (path / f"{number:05}.bin").write_bytes(os.urandom(size))
