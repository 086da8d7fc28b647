"""Early pieces in the rows: their servers have small cells, so clients offer those, too.

`lading.Client` offers only what servers have by default. Source: docs/decisions/0110.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from websockets.typing import Subprotocol

from lading.client import channel

CELLS = (64 * 1024, 256 * 1024, 2**20)
"""How long the cells of the rows' servers are."""

IN_FLIGHT = 4
"""A server whose cells were set lets a client begin with so many."""

OFFERED = [f"lading.v1.early-{cell}-{IN_FLIGHT * cell}" for cell in CELLS]


@contextmanager
def early_offered() -> Iterator[None]:
    """Meanwhile `lading.Client` offers them."""
    offered = [*map(Subprotocol, OFFERED), *channel.OFFERED]
    with patch.object(channel, "OFFERED", offered):
        yield
