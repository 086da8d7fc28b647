"""`lading images`: makes pictures of files again, beside running servers or without one."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from lading.imaging.worker import Imager
from lading.protocol.errors import InvalidArgument
from lading.protocol.spec import check_id
from lading.server.assembly import Assembly
from lading.server.limits import USUAL_LIMITS
from lading.server.process.janitor import DONE, FAILED, USAGE, run
from lading.server.uploads.pictures import BESIDE
from lading.server.uploads.rebuild import Rebuild, Rebuilt, Watch


def rebuild(
    ids: Sequence[str], *, missing: bool, dry_run: bool, as_json: bool, watch: Watch
) -> int:
    """Make the pictures of the files with these ids, or of all; returns the exit code."""
    try:
        wanted = [check_id(each) for each in ids]
    except InvalidArgument as error:
        print(f"lading: {error}", file=sys.stderr)
        return USAGE

    async def work(parts: Assembly) -> int:
        children = max(1, parts.settings.imaging)
        imager = Imager(children)
        try:
            todo = parts.uploads.rebuilding(imager, afresh=not missing)
            rebuilding = Rebuild(
                parts.storage,
                parts.uploads.kinds,
                todo,
                USUAL_LIMITS.uploads,
                watch,
                missing=missing,
                at_once=children + BESIDE,
            )
            done = await rebuilding.run(wanted, dry_run=dry_run)
        finally:
            await imager.close()
        print(_json(done, dry_run) if as_json else _text(done, dry_run))
        return FAILED if done.failed or done.absent else DONE

    return run(work)


def _json(done: Rebuilt, dry_run: bool) -> str:
    facts = {
        "files": done.files,
        "unprocessable": done.unprocessable,
        "failed": done.failed,
        "absent": done.absent,
    }
    return json.dumps({"event": "images-rebuilt", "dry_run": dry_run, **facts})


def _text(done: Rebuilt, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    lines = [f"the images of {done.files} files {would}made"]
    lines += [f"no image can be made of it: {each}" for each in done.unprocessable]
    lines += [f"not made, see above: {each}" for each in done.failed]
    lines += [f"no finished file: {each}" for each in done.absent]
    return "\n".join(lines)
