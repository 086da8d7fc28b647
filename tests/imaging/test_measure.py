"""What a hook hears of the pictures that are made."""

from __future__ import annotations

import asyncio

import pytest

from lading.imaging.ladder import Variant
from lading.imaging.measure import Measured
from lading.protocol.errors import UnprocessableImage
from tests.support.imaging import Bytes
from tests.support.maker import FakeMaker


async def test_each_outcome_is_reported_with_its_seconds_and_pictures() -> None:
    maker, told = FakeMaker(), list[tuple[str, float, int]]()
    times = iter([10.0, 12.5, 20.0, 21.0, 30.0, 30.5, 40.0, 44.0])
    measured = Measured(maker, lambda *each: told.append(each), lambda: next(times))
    asked = [Variant(1), Variant(3)]
    made = await measured.make(Bytes(b"photo"), asked)
    assert set(made.pictures) == set(asked)
    for error in (UnprocessableImage("broken"), ValueError("a fault")):
        maker.failures = [error]
        with pytest.raises(type(error)):
            await measured.make(Bytes(b"photo"), asked)
    maker.opened.clear()
    maker.begun.clear()
    making = asyncio.create_task(measured.make(Bytes(b"photo"), asked))
    await maker.begun.wait()
    making.cancel()
    await asyncio.wait([making])
    assert told == [
        ("made", 2.5, 2),
        ("unprocessable-image", 1.0, 0),
        ("fault", 0.5, 0),
        ("cancelled", 4.0, 0),
    ]
