"""The six sizes of a photo of 12 megapixels ÷ a bare pyvips cascade, and what the child needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import photo, uploads
from bench.measure import MIB, Goal, Measure, Options, Run, Sample, Side
from bench.process import ask
from bench.workspace import Workspace


@asynccontextmanager
async def taken(workspace: Workspace) -> AsyncIterator[Path]:
    """The photo, made once."""
    path = workspace.directory("photo") / "photo.jpg"
    await asyncio.to_thread(photo.write, path)
    yield path


def measure(options: Options) -> Measure:
    count = 5 if options.quick else 40

    def by(bare: bool) -> Run:
        async def run(path: Path) -> Sample:
            job = {"path": str(path), "count": count, "bare": bare}
            told = await ask("bench.clients.images", job)
            return Sample(told["seconds"] / count * 1e3, {"peak RSS, MiB": told["peak"] / MIB})

        return run

    nothing = uploads.NOTHING_WRITTEN
    return Measure(
        name="images",
        title="Six sizes of a photo of 12 megapixels",
        unit="ms",
        sides=(
            Side("Lading, in its child", nothing, by(False)),
            Side("pyvips alone", nothing, by(True)),
        ),
        goals=(
            Goal(21, "six sizes: Lading ÷ pyvips alone", side=0, over=1, at_most=1.3),
            Goal(
                22,
                "six sizes: peak RSS of the child, MiB",
                side=0,
                cost="peak RSS, MiB",
                at_most=200,
            ),
        ),
        note="Each side runs in one process. The child of Lading is niced and confined, gets the "
        "file over a pipe, and refuses cut-off files.",
        setup=taken,
        rounds=3,
    )
