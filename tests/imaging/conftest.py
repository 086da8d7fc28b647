"""What the tests of pictures share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.imaging import Studio


@pytest.fixture(scope="package")
def studio() -> Iterator[Studio]:
    """A real child, behind its sandbox; replaced when it ends."""
    studio = Studio()
    yield studio
    studio.close()
