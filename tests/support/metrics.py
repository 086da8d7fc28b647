"""The metrics of a server as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from lading.server.metrics.meters import Meters
from lading.server.metrics.state import Looked, Open, State
from lading.storage.collections.outbox import Backlog
from lading.storage.database import Health, Space


@dataclass(frozen=True)
class Metrics:
    """One answer of `/metrics`."""

    text: str
    families: Mapping[str, Metric]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        return sum(value for found, value in self.series(name) if labels.items() <= found.items())

    def series(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """The labels and the value of each sample of this name."""
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == name:
                    yield sample.labels, sample.value

    @property
    def count(self) -> int:
        """How many series there are."""
        return sum(len(family.samples) for family in self.families.values())


def parse(text: str) -> Metrics:
    """The metrics in a text of Prometheus' format."""
    found = {family.name: family for family in text_string_to_metric_families(text)}
    return Metrics(text, found)


async def read(client: httpx.AsyncClient, path: str = "/metrics") -> Metrics:
    """The metrics of the client's server."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def _families() -> list[Metric]:
    """Every metric that a server may have."""
    meters = Meters()
    free = SimpleNamespace(database=Space(1), directory_free=1, floor=1)
    state = State(
        meters,
        cast(Any, SimpleNamespace(free_space=free)),
        cast(Any, None),
        lambda: Open(0, 0),
        max_connections=1,
    )
    state._looked = Looked(Backlog(1, 1.0), Backlog(1, 1.0), 0, 0, Health(1, 1.0))
    assert meters.registry is not None
    return [*meters.registry.collect(), *state.collect()]


FAMILIES = _families()
