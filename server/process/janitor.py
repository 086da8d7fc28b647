"""`lading janitor`: the janitor's work by hand, beside a running server or without one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from lading.protocol.errors import LadingError, Unavailable
from lading.server.assembly import Assembly, open_assembly
from lading.server.settings import Settings, WrongSettings, load
from lading.storage.blobs.base import Unusable
from lading.storage.database import cause_of
from lading.storage.embedded.process import EmbeddedError, EmbeddedMongo, running

DONE, FAILED, USAGE = 0, 1, 2

WAITING = (
    "No server has run for a long time, or the database's clock was set a moment ago. Waiting for "
    "three minutes, so that no upload is taken for old by mistake."
)

ADVICE = "Start it, or check LADING_DATABASE_URL; then run this command again."


def sweep(*, dry_run: bool, as_json: bool) -> int:
    """One sweep and a recount of every account; returns the exit code."""

    async def work(parts: Assembly) -> int:
        clock = parts.storage.clock
        if not clock.settled:
            print(WAITING, file=sys.stderr, flush=True)
            await clock.settle()
        report = await parts.janitor.sweeper.sweep(dry_run=dry_run)
        drift = [] if dry_run else await parts.janitor.reconcile()
        if as_json:
            facts = {"event": "swept", "dry_run": dry_run, **report.as_dict(), "drift": drift}
            print(json.dumps(facts))
        else:
            would = "would be " if dry_run else ""
            print(
                f"{report.expired} {would}expired, {report.emptied} {would}emptied, "
                f"{report.purged} {would}purged; {report.pieces} pieces deleted"
            )
            print("\n".join(f"corrected: {each}" for each in drift), end="\n" if drift else "")
        return FAILED if report.failed else DONE

    return run(work)


def verify(*, as_json: bool, dry_run: bool) -> int:
    """Audit every byte, piece and account; `dry_run` looks at the index and not at the bytes."""

    async def work(parts: Assembly) -> int:
        auditor = parts.janitor.auditor()
        found = 0
        async for finding in auditor.findings(read=not dry_run):
            found += 1
            facts = asdict(finding)
            line = f"{finding.kind} {finding.id}: {finding.detail}"
            print(json.dumps({"event": "finding", **facts}) if as_json else line, flush=True)
        summary = {"findings": found, "pieces": auditor.pieces, "bytes": auditor.size}
        if as_json:
            print(json.dumps({"event": "verified", **summary}))
        else:
            print(f"{found} findings; {auditor.pieces} pieces, {auditor.size} bytes read")
        return FAILED if found else DONE

    return run(work)


def run(work: Callable[[Assembly], Awaitable[int]], **changes: Any) -> int:
    """Do `work` on the storage of the settings, with `changes` to them; returns the exit code."""
    # Standard output is for the results alone.
    structlog.configure(
        processors=[_drop_database_errors, *structlog.get_config()["processors"]],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    try:
        settings = load(**changes)
        return asyncio.run(_with_parts(settings, work))
    except WrongSettings as error:
        print(error, file=sys.stderr)
        return USAGE
    except Unusable as error:
        print(f"lading: {error}", file=sys.stderr)
        return FAILED
    except Unavailable as error:
        cause = cause_of(error.__cause__ or error)
        print(f"lading: The database cannot be used: {cause}. {ADVICE}", file=sys.stderr)
        return FAILED
    except (EmbeddedError, LadingError) as error:
        print(f"lading: {error}", file=sys.stderr)
        return FAILED


def _drop_database_errors(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A database that is down is reported once, when the command ends."""
    if event["event"] == "database-error":
        raise structlog.DropEvent
    return event


async def _with_parts(settings: Settings, work: Callable[[Assembly], Awaitable[int]]) -> int:
    async with AsyncExitStack() as stack:
        url = settings.database_url or running(settings.data)
        if url is None:
            url = (await stack.enter_async_context(_embedded(settings))).url
        return await work(await open_assembly(settings, stack, url=url))


def _embedded(settings: Settings) -> EmbeddedMongo:
    if not settings.data.is_dir():
        raise EmbeddedError(f"There is no data directory {settings.data}; set LADING_DATA.")
    return EmbeddedMongo(settings.data, mongod=settings.mongod)
