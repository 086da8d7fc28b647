"""How cost grows: each curve measures time and memory at several sizes of one quantity.

It owns the curves and their arithmetic. It refuses to know how they are drawn and printed.
Source: page 6 of the design.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench import uploads
from bench.measure import MIB, Options
from bench.measures import idle_connections, many_pieces, many_uploads, server_processes
from bench.process import ask, forget_peak, memory
from bench.workspace import Workspace, room_for

Values = Mapping[str, float]
"""The values at one point; each name contains its unit."""

PEAK = uploads.PEAK


@dataclass(frozen=True, slots=True)
class Curve:
    """What is varied, its sizes, and a run that measures all of them in turn."""

    name: str
    title: str
    along: str
    points: tuple[int, ...]
    run: Callable[[Workspace, Sequence[int]], Awaitable[list[Values]]] = field(repr=False)


def curves(options: Options) -> list[Curve]:
    """All curves; smaller for a quick run, or if the disk has little free space."""
    quick = options.quick
    wanted = (16, 64) if quick else (16, 64, 256, 1024, 4096)
    sizes = tuple(size for size in wanted if room_for(size * MIB) <= options.room)
    return [
        Curve("file-size", "Against the size of a file", "MiB", sizes, _file_size),
        Curve(
            "piece-count",
            "Against the number of pieces that are stored",
            "pieces of 4 KiB",
            (100, 2_000) if quick else (100, 2_000, 14_000, 100_000),
            _piece_count,
        ),
        Curve(
            "uploads",
            "Against the number of uploads at once",
            "uploads of 8 MiB",
            (1, 10) if quick else (1, 10, 50, 200),
            _uploads,
        ),
        Curve(
            "connections",
            "Against the number of idle connections",
            "connections",
            (100, 300) if quick else (100, 1_000, 3_000, 10_000),
            _connections,
        ),
        Curve(
            "processes",
            "Against the number of server processes",
            "processes",
            (1, 2) if quick else (1, 2, 3, 4),
            _processes,
        ),
    ]


def medians(rounds: Sequence[Sequence[Values]]) -> list[dict[str, float]]:
    """For each point the median of the rounds."""
    return [
        {name: statistics.median(values[name] for values in at_point) for name in at_point[0]}
        for at_point in zip(*rounds, strict=True)
    ]


def growth(points: Sequence[Values], name: str) -> float:
    """The last value ÷ the first: 1 is flat."""
    return points[-1][name] / points[0][name]


async def _file_size(workspace: Workspace, points: Sequence[int]) -> list[Values]:
    found = []
    for point in points:
        sent = await uploads.over_websocket(workspace, point * MIB)
        found.append(_transfer(sent))
    return found


async def _uploads(workspace: Workspace, points: Sequence[int]) -> list[Values]:
    found = []
    for point in points:
        sent = await uploads.over_websocket(workspace, 8 * MIB, point, many_uploads.SETTINGS)
        found.append(_transfer(sent))
    return found


def _transfer(sent: uploads.Transfer) -> Values:
    return {
        "s/GB": 1e9 / sent.rate,
        uploads.SERVER_CPU: sent.costs[uploads.SERVER_CPU],
        PEAK: sent.costs[PEAK],
    }


TIMED = 1_000
LISTED = 300


async def _piece_count(workspace: Workspace, points: Sequence[int]) -> list[Values]:
    """One upload that is filled further and further."""
    size = (points[-1] + TIMED) * many_pieces.PIECE
    source = await workspace.source(size)
    await workspace.clear()
    found: list[Values] = []
    async with workspace.lading() as server:
        filling = many_pieces.Filling(server, source, size)
        for point in points:
            await filling.fill(point - filling.stored)
            forget_peak(server.pid)
            sample = await filling.take(TIMED)
            values = {"ms for a piece": sample.value, **sample.costs}
            found.append({**values, PEAK: memory(server.pid).peak / MIB})
    return found


async def _connections(workspace: Workspace, points: Sequence[int]) -> list[Values]:
    await workspace.clear()
    async with workspace.lading(idle_connections.SETTINGS) as server:
        job = {**server.job, "pid": server.pid, "steps": list(points), "hold": 0.1}
        told = await ask("bench.clients.idle", job)
    return [
        {"ms to open one": step["seconds"] * 1e3, "RSS, MiB": step["resident"] / MIB}
        for step in told["steps"]
    ]


async def _processes(workspace: Workspace, points: Sequence[int]) -> list[Values]:
    found: list[Values] = []
    async with server_processes.serving(workspace, points, LISTED) as servers:
        for server in servers:
            sample = await server_processes.load(workspace, server, LISTED, 60)
            values = {f"ms for a list of {LISTED} files": 1e3 / sample.value}
            found.append({**values, "RSS, MiB": sample.costs["RSS, MiB"]})
    return found
