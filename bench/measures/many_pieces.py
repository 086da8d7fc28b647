"""The time of a piece when 100,000 are stored ÷ when 100 are, and RESUME of 100,000 ÷ a bare scan
of the index (target 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Goal, Measure, Options, Sample, Side
from bench.process import ask
from bench.uploads import DURABLE
from bench.workspace import LADING_DATABASE, SECOND_DATABASE, LadingServer, Workspace

PIECE = 4096
"""Bytes of a piece; small, so that the cost of each piece shows."""

FEW, MANY = 100, 100_000
AT_ONCE = 8
"""Pieces in flight while the time is measured."""

RESUME = "RESUME, ms"
SCAN = "scan of the index, ms"
BESIDE = "RESUME ÷ scan"


@dataclass(slots=True)
class Filling:
    """One upload of small pieces, which is filled further and further."""

    server: LadingServer
    source: Path
    size: int
    upload: str | None = None
    stored: int = 0

    async def fill(self, pieces: int) -> None:
        """Store so many more pieces as fast as possible.

        A connection may say 2,000 things a second, so it takes several.
        """
        await self._store(pieces, at_once=64, connections=4)

    async def take(self, pieces: int) -> Sample:
        """Store so many more over one connection; ms for each, and ms of the RESUME before."""
        told = await self._store(pieces, at_once=AT_ONCE, connections=1)
        return Sample(told["seconds"] / pieces * 1e3, {RESUME: told["opening"] * 1e3})

    async def _store(self, pieces: int, **how: int) -> dict[str, Any]:
        job = {"path": str(self.source), "size": self.size, "chunk_size": PIECE}
        place = {"upload": self.upload, "first": self.stored, "pieces": pieces}
        told = await ask("bench.clients.pieces", {**self.server.job, **job, **place, **how})
        self.upload, self.stored = told["upload"], self.stored + pieces
        return told


@dataclass(frozen=True, slots=True)
class Uploads:
    """A long upload, and a server with its own database for new ones."""

    workspace: Workspace
    long: Filling
    fresh: LadingServer

    async def scan(self) -> float:
        """The ms in which PyMongo alone reads from the index what is stored of the long upload."""
        job = {"url": self.workspace.mongo_url, "database": LADING_DATABASE}
        told = await ask("bench.clients.scan", {**job, "upload": self.long.upload})
        assert told["pieces"] == self.long.stored
        return float(told["seconds"]) * 1e3


def measure(options: Options) -> Measure:
    many, timed = (5_000, 500) if options.quick else (MANY, 3_000)
    size = 2 * many * PIECE

    @asynccontextmanager
    async def setup(workspace: Workspace) -> AsyncIterator[Uploads]:
        source = await workspace.source(size)
        await workspace.clear()
        async with (
            workspace.lading() as server,
            workspace.lading(database=SECOND_DATABASE) as fresh,
        ):
            long = Filling(server, source, size)
            await long.fill(many)
            yield Uploads(workspace, long, fresh)

    async def few(uploads: Uploads) -> Sample:
        short = Filling(uploads.fresh, uploads.long.source, size)
        await short.fill(FEW)
        return await short.take(timed)

    async def more(uploads: Uploads) -> Sample:
        scanned = await uploads.scan()
        value, costs = await uploads.long.take(timed)
        return Sample(value, {**costs, SCAN: scanned, BESIDE: costs[RESUME] / scanned})

    note = f"Pieces of 4 KiB, {AT_ONCE} on their way at once, {timed:,} timed in each run; each "
    note += "side has a server and a database of its own."
    if many != MANY:
        note += f" The targets are set for {MANY:,}."
    return Measure(
        name="many-pieces",
        title=f"Storing one more piece when {many:,} are stored",
        unit="ms",
        sides=(
            Side(f"Lading, {FEW:,} stored", DURABLE, few),
            Side(f"Lading, {many:,} stored", DURABLE, more),
        ),
        goals=(
            Goal(9, f"a piece after {many:,} ÷ after {FEW:,}", side=1, over=0, at_most=1.05),
            Goal(9, f"RESUME of {many:,} pieces ÷ a scan", side=1, cost=BESIDE, at_most=1.5),
        ),
        note=note,
        setup=setup,
    )
