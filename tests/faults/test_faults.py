"""A few trials of every row of the table; `scripts/faults` runs more."""

from __future__ import annotations

import pytest

from tests.faults.fault import Base, Fault, NotHere, run
from tests.faults.rows import ROWS
from tests.support.missing import missing


@pytest.mark.parametrize(
    "fault", [fault for fault in ROWS if fault.few], ids=lambda fault: fault.name
)
async def test_promise_holds(fault: Fault, base: Base) -> None:
    seed = "ordinary"  # the same trials each time; scripts/faults draws others
    try:
        result = await run(fault, base, fault.few, seed=seed)
    except NotHere as reason:
        missing(str(reason))  # for example a machine that allows no mounts
    assert not result.failures, "\n".join([f"seed {seed}", *result.details])
