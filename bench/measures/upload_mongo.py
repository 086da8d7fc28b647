"""Uploading over WebSocket into MongoDB ÷ GridFS straight from PyMongo (target 1)."""

from __future__ import annotations

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Sample, Side, in_words
from bench.scene import Scene


def measure(quick: bool) -> Measure:
    size = 256 * MIB if quick else GIB

    async def lading(scene: Scene) -> Sample:
        uploaded = await uploads.over_websocket(scene, size)
        return Sample(uploaded.rate / 1e6, uploaded.costs)

    async def gridfs(scene: Scene) -> Sample:
        uploaded = await uploads.into_gridfs(scene, size)
        return Sample(uploaded.rate / 1e6, uploaded.costs)

    return Measure(
        name="upload-mongo",
        title=f"Upload of {in_words(size)} into MongoDB",
        unit="MB/s",
        sides=(
            Side("Lading over WebSocket", uploads.DURABLE, lading),
            Side("GridFS straight from PyMongo", uploads.DURABLE, gridfs),
        ),
        goals=(Goal("Lading ÷ GridFS", side=0, over=1, at_least=0.9),),
    )
