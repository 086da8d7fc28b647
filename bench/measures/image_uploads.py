"""The rate of an upload while sizes of photos are made ÷ while none are."""

from __future__ import annotations

from bench import uploads
from bench.measure import GIB, MIB, Goal, Measure, Options, Run, Sample, Side, in_words
from bench.measures.image_grid import Scene, scene
from bench.process import ask


def measure(options: Options) -> Measure:
    size, photos = (128 * MIB, 15) if options.quick else (GIB, 60)

    def with_children(count: int) -> Run:
        async def run(at: Scene) -> Sample:
            source = await at.workspace.source(size)
            await at.workspace.clear()
            async with at.workspace.lading({"imaging": count}) as server:
                job = {**server.job, "path": str(at.photo), "photos": photos, "quality": 0}
                await ask("bench.clients.photos", job)
                sent = await uploads.send(at.workspace, server, source, size)
                return Sample(sent.megabytes, sent.costs)

        return run

    return Measure(
        name="image-uploads",
        title=f"Upload of {in_words(size)} behind {photos} photos of 12 megapixels",
        unit="MB/s",
        sides=(
            Side("Lading, while their sizes are made", uploads.DURABLE, with_children(1)),
            Side("Lading, with LADING_IMAGING=0", uploads.DURABLE, with_children(0)),
        ),
        goals=(Goal(24, "upload rate while sizes are made", side=0, over=1, at_least=0.8),),
        note="The photos are stored just before, so their sizes are being made all the time.",
        setup=scene,
        rounds=3,
    )
