"""Every metric that grows as things happen, and the functions by which other rooms report them.

The functions are called often, so they do little: they find the series by a tuple and add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lading.protocol.codes import STATUSES
from lading.protocol.webhooks import Event
from lading.server.hooks import Hooks
from lading.server.metrics import processes
from lading.server.net.record import Record
from lading.storage.collections.audit import Act

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds of one operation on a disk or in a network."""

LONG = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""Seconds of a request, which may carry a large body."""

HOURS = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)

SIZES = tuple(float(2**power) for power in (10, 12, 14, 16, 18, 20, 21, 22, 23, 24))
"""Bytes of a piece: at most 15 MiB."""

NO_ROUTE = "none"
OTHER = "other"

CLOSE_CODES = frozenset(
    {1000, 1001, 1002, 1003, 1005, 1006, 1008, 1009, 1011, 1012}
    | {row.close for row in STATUSES.values() if row.close is not None}
)
"""A client may close with any of some thousand codes; all but these are counted as one."""

EVENTS = ("begun", "finished", "aborted", "expired")
FILE_EVENTS = (Act.REPLACED, Act.TRASHED, Act.RESTORED, Act.DELETED)
WORK = ("expired", "emptied", "purged", "pieces", "failed")


class Meters:
    """The metrics of one application."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no annotation here
        self.registry = None if processes.is_joined() else CollectorRegistry()
        """Where they are; None where their files are read instead."""
        self._series: dict[tuple[Any, ...], Any] = {}
        self._http = self._counter(
            "http_requests", "HTTP requests that were answered.", "method", "route", "status"
        )
        self._http_seconds = self._histogram(
            "http_request_duration_seconds",
            "Seconds from the head of a request to the last byte of its answer.",
            LONG,
            "method",
            "route",
            "status",
        )
        self._channels = self._counter(
            "channels", "WebSocket channels that ended, by close code.", "close_code"
        )
        self._channel_seconds = self._histogram(
            "channel_duration_seconds", "Seconds that WebSocket channels were open.", HOURS
        )
        self._received = self._counter(
            "received_bytes", "Bytes of request bodies and messages that arrived.", "transport"
        )
        self._sent = self._counter(
            "sent_bytes", "Bytes of answers and messages that were sent.", "transport"
        )
        self._uploads = self._counter("uploads", "Uploads that reached a state.", "event")
        self._files = self._counter("files", "What was done with finished files.", "event")
        self._refusals = self._counter(
            "upload_refusals", "Refused calls of uploads, by code of the error.", "verb", "code"
        )
        self._acknowledged = self._counter(
            "acknowledged_bytes", "Bytes of pieces that were reported as durable."
        )
        self._piece_bytes = self._histogram(
            "piece_size_bytes", "Bytes of the pieces that were stored.", SIZES
        )
        self._ack_seconds = self._histogram(
            "acknowledgement_duration_seconds",
            "Seconds from a whole piece in memory until it is durable.",
            SHORT,
        )
        self._waits = self._histogram(
            "byte_budget_wait_duration_seconds", "Seconds that messages waited for memory.", SHORT
        )
        self._database_seconds = self._histogram(
            "database_operation_duration_seconds",
            "Seconds of operations on the database, repetitions included.",
            SHORT,
            "operation",
            "outcome",
        )
        self._retries = self._counter(
            "database_retries", "Operations on the database that were repeated."
        )
        self._blob_seconds = self._histogram(
            "blob_operation_duration_seconds",
            "Seconds of operations on the homes of bytes.",
            SHORT,
            "operation",
            "outcome",
        )
        self._blob_bytes = self._counter(
            "blob_bytes", "Bytes that were written to or read from the homes.", "operation"
        )
        self._blob_retries = self._counter(
            "blob_retries", "Requests to a bucket that were repeated."
        )
        self._elsewhere = self._counter(
            "elsewhere_bytes", "Bytes that were left to a proxy or a bucket to send.", "by"
        )
        self._steps = self._counter(
            "outbox_steps", "Steps after publication or deletion that ended.", "step", "outcome"
        )
        self._step_seconds = self._histogram(
            "outbox_step_duration_seconds", "Seconds of these steps.", LONG, "step"
        )
        self._image_files = self._counter(
            "image_files", "Files of which images were to be made.", "outcome"
        )
        self._images = self._counter("images", "Images that were made.")
        self._image_seconds = self._histogram(
            "image_duration_seconds", "Seconds of making the images of a file.", LONG
        )
        self._events = self._counter("events", "Events that were sent to readers.", "event")
        self._deliveries = self._counter(
            "webhook_deliveries", "Tries to deliver an event to a webhook.", "event", "outcome"
        )
        self._delivery_seconds = self._histogram(
            "webhook_delivery_duration_seconds", "Seconds of these tries.", LONG
        )
        self._sweeps = self._counter("janitor_sweeps", "Sweeps of the janitor.")
        self._sweeping = self._counter(
            "janitor_work", "What the sweeps did, in uploads and pieces.", "what"
        )
        self.connections = self._gauge("connections", "Open connections.", "kind")
        self.budget = self._gauge("byte_budget_bytes", "Memory for pieces on their way.")
        self.budget_used = self._gauge("byte_budget_used_bytes", "The part of it that is taken.")
        self.budget_waiting = self._gauge("byte_budget_waiting", "Messages that wait for memory.")
        self.pressed = self._gauge(
            "byte_budget_pressed",
            "Processes that grant a small window only, since memory is short.",
        )
        self.streams = self._gauge("event_streams", "Open streams of events.")
        self.memory = self._gauge(
            "resident_memory_bytes", "Resident memory of the server processes."
        )
        self.imaging_peak = self._gauge(
            "imaging_peak_memory_bytes",
            "The most resident memory that one child that makes images has had.",
            mode="livemax",
        )
        self._begin()

    def _begin(self) -> None:
        """Show from the start on what alerts look at: rates of a series begin with its zero."""
        for event in EVENTS:
            self._uploads.labels(event)
        for act in FILE_EVENTS:
            self._files.labels(str(act))
        for what in WORK:
            self._sweeping.labels(what)
        for each in Event:
            self._deliveries.labels(str(each), "failed")
        for transport in ("http", "websocket"):
            self._received.labels(transport)
            self._sent.labels(transport)

    # -- what other rooms call

    def request(self, record: Record) -> None:
        """A request or a channel has ended."""
        if record.channel:
            code = record.close_code if record.close_code in CLOSE_CODES else OTHER
            self._at(self._channels, code).inc()
            self._channel_seconds.observe(record.seconds)
            return
        labels = (record.method or OTHER, record.route or NO_ROUTE, record.status)
        self._at(self._http, *labels).inc()
        self._at(self._http_seconds, *labels).observe(record.seconds)
        if record.elsewhere is not None:
            self._at(self._elsewhere, record.elsewhere).inc(record.elsewhere_bytes)

    def traffic(self, transport: str, received: int, sent: int) -> None:
        """Bytes of a body or of messages passed; `transport` is `http` or `websocket`."""
        if received:
            self._at(self._received, transport).inc(received)
        if sent:
            self._at(self._sent, transport).inc(sent)

    def verb(self, verb: str, outcome: str, seconds: float, size: int) -> None:
        """A call of an upload ended; `size` is that of a piece."""
        if outcome != "ok":
            self._at(self._refusals, verb, outcome).inc()
        elif verb == "write":
            self._acknowledged.inc(size)
            self._piece_bytes.observe(size)
            self._ack_seconds.observe(seconds)
        elif verb == "create":
            self._at(self._uploads, "begun").inc()
        elif verb == "abort":
            self._at(self._uploads, "aborted").inc()

    def published(self) -> None:
        """An upload became a file."""
        self._at(self._uploads, "finished").inc()

    def act(self, act: Act) -> None:
        """Somebody did what the audit log notes."""
        if act in FILE_EVENTS:
            self._at(self._files, str(act)).inc()

    def step(self, step: str, outcome: str, seconds: float) -> None:
        """A step of the outbox ended."""
        self._at(self._steps, step, outcome).inc()
        self._at(self._step_seconds, step).observe(seconds)

    def event(self, event: str) -> None:
        """An event was sent to a reader."""
        self._at(self._events, event).inc()

    def delivery(self, event: str, outcome: str, seconds: float) -> None:
        """A delivery to a webhook was tried."""
        self._at(self._deliveries, event, outcome).inc()
        self._delivery_seconds.observe(seconds)

    def sweep(self, report: dict[str, int]) -> None:
        """The janitor has swept."""
        self._sweeps.inc()
        self._at(self._uploads, "expired").inc(report["expired"])
        for what in WORK:
            if report[what]:
                self._at(self._sweeping, what).inc(report[what])

    def waited(self, seconds: float) -> None:
        """A message got its share of the byte budget."""
        self._waits.observe(seconds)

    def database(self, operation: str, outcome: str, seconds: float, retries: int) -> None:
        """An operation on the database ended."""
        self._at(self._database_seconds, operation, outcome).observe(seconds)
        if retries:
            self._retries.inc(retries)

    def blobs(self, operation: str, seconds: float, size: int, outcome: str) -> None:
        """An operation on a home of bytes ended."""
        self._at(self._blob_seconds, operation, outcome).observe(seconds)
        if size and outcome == "ok":
            self._at(self._blob_bytes, operation).inc(size)

    def blobs_repeated(self) -> None:
        """A request to a bucket is made again."""
        self._blob_retries.inc()

    def images(self, outcome: str, seconds: float, made: int) -> None:
        """The images of a file were made, or were not."""
        self._at(self._image_files, outcome).inc()
        self._images.inc(made)
        self._image_seconds.observe(seconds)

    def hooks(self) -> Hooks:
        """All of these, for the other rooms."""
        return Hooks(
            request=self.request,
            traffic=self.traffic,
            waited=self.waited,
            verb=self.verb,
            published=self.published,
            act=self.act,
            step=self.step,
            event=self.event,
            delivery=self.delivery,
            sweep=self.sweep,
            database=self.database,
            blobs=self.blobs,
            blobs_repeated=self.blobs_repeated,
            images=self.images,
        )

    # -- the library

    def _at(self, metric: Any, *labels: object) -> Any:
        """The series of a metric with these labels, found without the library's search."""
        key = (metric, *labels)
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = metric.labels(*labels)
        return found

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"lading_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"lading_{name}", text, labels, registry=self.registry, buckets=buckets)

    def _gauge(
        self, name: str, text: str, *labels: str, mode: Literal["livesum", "livemax"] = "livesum"
    ) -> Gauge:
        return Gauge(f"lading_{name}", text, labels, registry=self.registry, multiprocess_mode=mode)
