"""Spans of requests, pieces, the database, the homes of bytes and the outbox, sent by OTLP.

It hears what the metrics hear (`server/hooks.py`), so the rooms that work know nothing of it. What
takes long says when it begins, and is the parent of what happens meanwhile in its task. What is
short is a span when it has ended, from the seconds that it took; outside of a request and a step it
is none, since nobody asked for it. A channel lives for hours, so each call of an upload on it is a
trace of its own with a link to the channel. No address, credential or name is in a span.
Needs the extra `otel`. Source: page 12 of the design, "tracing"; the semantic conventions of
OpenTelemetry for HTTP and databases.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lading.server.hooks import Hooks
from lading.server.net.record import Record
from lading.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

SEND_SECONDS = 5.0
"""How long the end of a server waits for a collector that does not answer."""

_open: ContextVar[tuple[Span, ...]] = ContextVar("spans", default=())
"""What this task does at the moment, the innermost last."""

_channel: ContextVar[bool] = ContextVar("channel", default=False)
"""Whether the outermost is a channel."""


class Tracing:
    """Makes the spans of one process."""

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        own = Resource({"service.name": "lading", "service.version": VERSION})
        # The variables of OpenTelemetry itself come last: OTEL_SERVICE_NAME names a server.
        self._provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("lading", VERSION)

    async def close(self) -> None:
        """Send what is left."""
        await asyncio.to_thread(self._provider.shutdown)

    def hooks(self, others: Hooks) -> Hooks:
        """The hooks of others, which hear as before, and make spans as well."""

        def request(record: Record) -> None:
            others.request(record)  # first: the log names the trace
            self._end_request(record)

        def verb(name: str, outcome: str, seconds: float, size: int) -> None:
            self._end(outcome, {"lading.bytes": size})
            others.verb(name, outcome, seconds, size)

        def step(word: str, outcome: str, seconds: float) -> None:
            self._end(outcome, {})
            others.step(word, outcome, seconds)

        def database(operation: str, outcome: str, seconds: float, repeated: int) -> None:
            facts = {"db.system.name": "mongodb", "db.operation.name": operation}
            self._short(operation, outcome, seconds, facts | {"lading.repeated": repeated})
            others.database(operation, outcome, seconds, repeated)

        def blobs(operation: str, seconds: float, size: int, outcome: str) -> None:
            self._short(f"home {operation}", outcome, seconds, {"lading.bytes": size})
            if others.blobs is not None:
                others.blobs(operation, seconds, size, outcome)

        def images(outcome: str, seconds: float, made: int) -> None:
            self._short("make images", outcome, seconds, {"lading.images": made})
            others.images(outcome, seconds, made)

        return replace(
            others,
            arrived=self._begin_request,
            began=self._begin,
            request=request,
            verb=verb,
            step=step,
            database=database,
            blobs=blobs,
            images=images,
        )

    # -- what takes long

    def _begin_request(self, headers: Iterable[tuple[bytes, bytes]], channel: bool) -> None:
        """A request or a channel; `traceparent` of who sent it makes it part of their trace."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        context = TraceContextTextMapPropagator().extract(told)
        _open.set((self._tracer.start_span("request", context, SpanKind.SERVER),))
        _channel.set(channel)

    def _end_request(self, record: Record) -> None:
        route = record.route or "none"
        facts: dict[str, Any] = {
            "http.request.method": record.method or "_OTHER",
            "http.route": record.route,
            "http.response.status_code": record.status,
            "http.request.body.size": record.received,
            "http.response.body.size": record.sent,
            "lading.request_id": record.request_id,
            "lading.upload_id": record.upload_id,
            "error.type": record.code,
        }
        for span in _open.get()[:1]:
            span.update_name(f"{record.method or 'HTTP'} {route}")
        # A refusal is the client's fault; the conventions call only those of the server errors.
        self._end("ok" if record.status < 500 else str(record.status), facts)

    def _begin(self, name: str) -> None:
        from opentelemetry.trace import Link, set_span_in_context

        around = _open.get()
        if self._is_on_channel():
            link = Link(around[0].get_span_context())
            span = self._tracer.start_span(name, set_span_in_context(_none()), links=[link])
        else:
            parent = set_span_in_context(around[-1] if around else _none())
            span = self._tracer.start_span(name, parent)
        _open.set((*around, span))

    @staticmethod
    def _is_on_channel() -> bool:
        return _channel.get() and len(_open.get()) == 1

    def _end(self, outcome: str, facts: dict[str, Any]) -> None:
        around = _open.get()
        if around:
            _open.set(around[:-1])
            _tell(around[-1], outcome, facts)
            around[-1].end()

    # -- what is short

    def _short(self, name: str, outcome: str, seconds: float, facts: dict[str, Any]) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        around = _open.get()
        if not around or self._is_on_channel() or not around[-1].is_recording():
            return
        end = time.time_ns()
        span = self._tracer.start_span(
            name,
            set_span_in_context(around[-1]),
            SpanKind.CLIENT,
            start_time=end - int(seconds * 1e9),
        )
        _tell(span, outcome, facts)
        span.end(end)


def _none() -> Span:
    from opentelemetry.trace import INVALID_SPAN

    return INVALID_SPAN


def _tell(span: Span, outcome: str, facts: dict[str, Any]) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attributes({name: value for name, value in facts.items() if value not in (None, "")})
    if outcome not in ("ok", "made", "later"):
        span.set_attribute("error.type", outcome)
        span.set_status(StatusCode.ERROR)


def trace_id() -> str | None:
    """The trace that this task works for, for the log."""
    around = _open.get()
    return format(around[0].get_span_context().trace_id, "032x") if around else None


def open_tracing(endpoint: str) -> Tracing:
    """Spans go to the collector at `endpoint`, by OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    address = f"{endpoint.rstrip('/')}/v1/traces"
    return Tracing(OTLPSpanExporter(endpoint=address, timeout=SEND_SECONDS))
