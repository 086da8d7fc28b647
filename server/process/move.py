"""`lading move`: brings finished files to a home, beside running servers or without one."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from lading.protocol.errors import InvalidArgument
from lading.protocol.spec import check_id
from lading.server.assembly import Assembly
from lading.server.limits import USUAL_LIMITS
from lading.server.process.janitor import DONE, FAILED, USAGE, run
from lading.server.uploads.relocation import Moved, Relocation, Watch


def move(ids: Sequence[str], *, to: str | None, dry_run: bool, as_json: bool, watch: Watch) -> int:
    """Move the files with these ids, or all, to `to` or to the home of the settings.

    Returns the exit code.
    """
    try:
        wanted = [check_id(each) for each in ids]
    except InvalidArgument as error:
        print(f"lading: {error}", file=sys.stderr)
        return USAGE

    async def work(parts: Assembly) -> int:
        relocation = Relocation(
            parts.storage, USUAL_LIMITS.uploads, watch, parts.settings.janitor_pace
        )
        done = await relocation.run(wanted, dry_run=dry_run)
        home = parts.storage.blobs.home
        print(_json(home, done, dry_run) if as_json else _text(home, done, dry_run))
        return FAILED if done.failed or done.absent else DONE

    return run(work) if to is None else run(work, blobs=to)


def _json(home: str, done: Moved, dry_run: bool) -> str:
    facts = {"files": done.files, "bytes": done.size, "failed": done.failed, "absent": done.absent}
    return json.dumps({"event": "moved", "to": home, "dry_run": dry_run, **facts})


def _text(home: str, done: Moved, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    lines = [f"{done.files} files, {done.size} bytes {would}moved to {home}"]
    lines += [f"not moved, see above: {each}" for each in done.failed]
    lines += [f"no finished file: {each}" for each in done.absent]
    return "\n".join(lines)
