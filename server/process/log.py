"""The log of a server: JSON for programs, or text for people on a terminal, on standard output.

One line for each request when its last byte was sent, and one for each channel when it has ended,
besides what goes wrong. Every line that a request causes has its `request_id`. Addresses are logged
as templates (`/v1/g/{token}`), so a token in an address is never in the log. Source: page 12 of the
design, "logs".
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from lading.server.net.record import Record, current
from lading.server.tracing import trace_id

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "text"]

log = structlog.get_logger()


class Output:
    """Standard output, for the log. A line that cannot be written is lost; the server continues.

    The disk may be full, or nobody may read the output. The server must survive that, and start its
    database again when there is space.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()


def configure_log(level: Level = "info", form: Format | None = None) -> None:
    """Structured lines from `level` on. Without a `form`: text on a terminal, else JSON."""
    shared: list[structlog.types.Processor] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form is None:
        form = "text" if sys.stdout.isatty() else "json"
    if form == "text":
        # A plain traceback: one with local variables would show tokens.
        plain = structlog.dev.plain_traceback
        colors = sys.stdout.isatty()
        shared.append(_printable)
        renderer: structlog.types.Processor = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=plain
        )
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Output())),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    # Libraries are asked for no more than warnings: their debug lines may show credentials.
    least = logging.ERROR if level == "error" else logging.WARNING
    logging.basicConfig(handlers=[handler], level=least, force=True)


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the request that this task serves, or served when it began the work, and the trace."""
    for name, value in (("request_id", current()), ("trace_id", trace_id())):
        if value is not None:
            event.setdefault(name, value)
    return event


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what would move a terminal's cursor: names and ids are what clients chose."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event


def log_request(record: Record) -> None:
    """Write the line of a request or of a channel that has ended."""
    facts: dict[str, object] = {
        "request_id": record.request_id,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "ms": round(record.seconds * 1000, 1),
        "bytes_in": record.received,
        "bytes_out": record.sent,
    }
    others: dict[str, object] = {
        "code": record.code,
        "user_id": record.user_id,
        "upload_id": record.upload_id,
    }
    if record.channel:
        others["close_code"] = record.close_code
        facts |= {"uploads": record.uploads, "pieces": record.pieces}
    facts |= {name: value for name, value in others.items() if value is not None}
    if record.status >= 500:
        log.warning("request", **facts)
    else:
        log.info("channel" if record.channel else "request", **facts)
