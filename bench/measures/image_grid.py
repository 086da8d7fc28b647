"""A grid of fresh photos, from the first upload until the last size is there ÷ bare cascades."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench import uploads
from bench.measure import Goal, Measure, Options, Sample, Side
from bench.measures.images import taken
from bench.process import ask
from bench.workspace import Workspace

IN_GRIDS = 4


class Scene(NamedTuple):
    """Where servers are started, and the photo that all of them get."""

    workspace: Workspace
    photo: Path


@asynccontextmanager
async def scene(workspace: Workspace) -> AsyncIterator[Scene]:
    """The scene, for all rounds."""
    async with taken(workspace) as photo:
        yield Scene(workspace, photo)


def measure(options: Options) -> Measure:
    photos = 10 if options.quick else 100

    async def lading(at: Scene) -> Sample:
        await at.workspace.clear()
        async with at.workspace.lading() as server:
            job = {**server.job, "path": str(at.photo), "photos": photos, "quality": IN_GRIDS}
            return Sample((await ask("bench.clients.photos", job))["seconds"], {})

    async def bare(at: Scene) -> Sample:
        job = {"path": str(at.photo), "count": photos, "bare": True}
        return Sample((await ask("bench.clients.images", job))["seconds"], {})

    return Measure(
        name="image-grid",
        title=f"A grid of {photos} fresh photos of 12 megapixels",
        unit="s",
        sides=(
            Side("Lading, stored and all sizes of all there", uploads.DURABLE, lading),
            Side("pyvips alone, nothing stored", uploads.NOTHING_WRITTEN, bare),
        ),
        goals=(Goal(23, "a grid of photos: Lading ÷ pyvips alone", side=0, over=1, at_most=1.3),),
        note="One child of Lading, one process of pyvips. Six connections, as a browser has.",
        warm_up=False,
        setup=scene,
        rounds=3,
    )
