"""What happens in a server, as plain functions that want to hear of it: the seam of the metrics
and of tracing.

The rooms that work call them and know nothing of either; by default nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lading.imaging.measure import Observe as ObserveImages
from lading.server.net.record import Record
from lading.storage.blobs.measure import Observe as ObserveBlobs
from lading.storage.collections.audit import Act
from lading.storage.database import Observe as ObserveDatabase

Headers = Iterable[tuple[bytes, bytes]]


def ignore(*_told: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Each is called when what it is named after has happened. None may raise or wait."""

    arrived: Callable[[Headers, bool], None] = ignore
    """A request begins in this task, or a channel if that is true: its headers."""

    began: Callable[[str], None] = ignore
    """What `verb` or `step` reports at its end begins in this task: its name."""

    request: Callable[[Record], None] = ignore
    """A request or a channel has ended."""

    traffic: Callable[[str, int, int], None] = ignore
    """Bytes of a body or message: `http` or `websocket`, how many were received, how many sent."""

    waited: Callable[[float], None] = ignore
    """A message got its share of the byte budget: the seconds that it waited."""

    verb: Callable[[str, str, float, int], None] = ignore
    """A call of an upload: see `uploads/measure.py`."""

    published: Callable[[], None] = ignore
    """An upload became a file."""

    act: Callable[[Act], None] = ignore
    """Somebody did what the audit log notes."""

    step: Callable[[str, str, float], None] = ignore
    """A step of the outbox: see `uploads/todo.py`."""

    event: Callable[[str], None] = ignore
    """An event was sent to a reader: see `uploads/changes.py`."""

    delivery: Callable[[str, str, float], None] = ignore
    """A delivery to a webhook was tried: see `webhooks/deliver.py`."""

    sweep: Callable[[dict[str, int]], None] = ignore
    """The janitor has swept: what it did."""

    database: ObserveDatabase = ignore
    blobs: ObserveBlobs | None = None
    blobs_repeated: Callable[[], None] = ignore
    """A request to a bucket is made again."""

    images: ObserveImages = ignore


NOBODY = Hooks()
