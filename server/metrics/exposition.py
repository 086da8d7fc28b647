"""The metrics as text: Prometheus' format, or OpenMetrics for those who ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from lading.server.metrics import processes
from lading.server.metrics.meters import Meters
from lading.server.metrics.state import State

OPENMETRICS = "application/openmetrics-text"

OPENMETRICS_1 = f"{OPENMETRICS}; version=1.0.0"
"""All that is asked of the library: it fails for versions that are none."""


class Text(NamedTuple):
    """What is sent, and its media type."""

    body: bytes
    media_type: str


class Numbers(dict[tuple[str, str], float]):
    """The value of each sample, by its name and the values of its labels, with commas."""

    def total(self, name: str) -> int:
        """The sum of all samples of this name."""
        return sum(self.of(name).values())

    def of(self, name: str) -> dict[str, int]:
        """The samples of this name, by the values of their labels."""
        return {label: round(value) for (found, label), value in self.items() if found == name}


class _Together(Collector):
    """What several collectors have, one after the other."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


class Exposition:
    """Writes the metrics of all processes of this server."""

    def __init__(self, meters: Meters, state: State) -> None:
        self._meters = meters
        self._state = state

    async def write(self, accept: str) -> Text:
        """All of them, in the format that the field `Accept` asks for."""
        await self._state.look()
        if self._meters.registry is not None:
            return self._written(self._meters.registry, accept)
        # The files of all processes are read and added up: not in the way of requests.
        return await asyncio.to_thread(self._written, processes.together(), accept)

    async def numbers(self) -> Numbers:
        """All of them as numbers."""
        await self._state.look()
        if self._meters.registry is not None:
            return self._counted(self._meters.registry)
        return await asyncio.to_thread(self._counted, processes.together())

    def _counted(self, counted: Collector) -> Numbers:
        return Numbers(
            ((sample.name, ",".join(sample.labels.values())), float(sample.value))
            for metric in _Together(counted, self._state).collect()
            for sample in metric.samples
        )

    def _written(self, counted: Collector, accept: str) -> Text:
        wants_open = OPENMETRICS in accept.lower()
        encode, media_type = choose_encoder(OPENMETRICS_1 if wants_open else "")
        return Text(encode(_Together(counted, self._state)), media_type)
