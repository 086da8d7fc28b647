"""What is looked up for the metrics."""

from __future__ import annotations

from lading.server.metrics.meters import Meters
from lading.server.metrics.state import LOOK_SECONDS, Open, State
from lading.server.net.byte_budget import ByteBudget
from tests.server.uploads.test_replace import stored
from tests.support.parts import ANN, Parts


async def test_the_trash_is_counted(parts: Parts) -> None:
    now = 0.0
    state = State(
        Meters(),
        parts.storage,
        ByteBudget(2**20),
        lambda: Open(0, 0),
        max_connections=1,
        steady=lambda: now,
    )

    async def trashed() -> float:
        nonlocal now
        now += LOOK_SECONDS
        await state.look()
        families = {family.name: family for family in state.collect()}
        return float(families["lading_trash_files"].samples[0].value)

    first, second = await stored(parts), await stored(parts)
    assert await trashed() == 0
    for file_id in (first, second):
        await parts.library.trash.put(ANN, file_id)
    assert await trashed() == 2
    assert await parts.manifests.count_trashed(1) == 1, "it counts no further"
    await parts.library.trash.restore(ANN, first)
    await parts.library.trash.empty(ANN)
    assert await trashed() == 0
