"""Downloads of an upload in progress: what is stored, and what arrives next.

A range is answered with the stored run that begins where it begins, so it may be shorter than asked
for (RFC 9110, 15.3.7). Without a range the file is sent as it arrives. A player, which cannot be
told to wait, waits as long as the upload is alive; others wait only if they ask to (RFC 7240). A
player that would not begin before it knows the end gets one stream, whose length is not told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import RangeNotSatisfiable
from lading.protocol.manifest import MAX_INTEGER, MISSING_SHOWN, Manifest, Range, State
from lading.protocol.prefer import parse_wait
from lading.protocol.ranges import content_range, parse
from lading.server.http.download.headers import is_player
from lading.server.http.download.refusal import refusal
from lading.server.http.download.stream import stream
from lading.server.uploads import Uploads

GONE_AWAY = 499
"""For the log: the client closed the connection while it waited."""


async def respond_unfinished(
    request: Request,
    uploads: Uploads,
    manifest: Manifest,
    field: str | None,
    headers: dict[str, str],
) -> Response | Manifest:
    """The answer; or the manifest of the file, where the upload was finished while we waited."""
    growing = manifest.size is None
    size = MAX_INTEGER if manifest.size is None else manifest.size
    try:
        ranges = parse(field, size, growing=growing)
    except RangeNotSatisfiable as error:
        return await _not_there(request, uploads, manifest, error, {})
    # A browser takes the end of a range of unknown total size for the end of the file.
    from_begin = ranges is not None and ranges[0] == (0, size) and is_player(request)
    if ranges is None or (growing and from_begin):
        return await _whole(request, uploads, manifest, manifest.size, headers)
    found = await _first_stored(uploads, manifest, ranges)
    waiting = _wait(request, uploads, manifest, ranges[0][0], headers)
    if found is None and waiting is not None:
        fresh = await _while_connected(request, waiting())
        if fresh is None or fresh.state is State.READY:
            return fresh or Response(status_code=GONE_AWAY)
        manifest = fresh
        found = await _first_stored(uploads, manifest, ranges)
    if found is None:
        not_yet = RangeNotSatisfiable("These bytes have not arrived yet.")
        return await _not_there(request, uploads, manifest, not_yet, headers)
    start, end = found
    if from_begin and await uploads.growing.is_fragmented(manifest, end):
        return await _whole(request, uploads, manifest, None, headers)
    headers["Content-Range"] = content_range(start, end, manifest.size)
    return stream(request, uploads.read(manifest, start, end), end - start, 206, headers)


def _wait(
    request: Request, uploads: Uploads, manifest: Manifest, offset: int, headers: dict[str, str]
) -> Callable[[], Coroutine[None, None, Manifest]] | None:
    """The wait for the byte at `offset` that the request asks for; None where it asks for none."""
    growing = uploads.growing
    seconds = parse_wait(request.headers.get("prefer"))
    if seconds is not None:
        seconds = min(seconds, int(growing.limits.longest_wait))
        headers["Preference-Applied"] = f"wait={seconds}"
        return partial(growing.until_stored, manifest, offset, seconds)
    return partial(growing.while_live, manifest, offset) if is_player(request) else None


async def _first_stored(uploads: Uploads, manifest: Manifest, ranges: list[Range]) -> Range | None:
    """What is stored of the first range whose first byte is."""
    for start, end in ranges:
        stored = await uploads.growing.stored(manifest, start, end)
        if stored > start:
            return start, stored
    return None


async def _whole(
    request: Request,
    uploads: Uploads,
    manifest: Manifest,
    size: int | None,
    headers: dict[str, str],
) -> Response | Manifest:
    """The file as it arrives, of a `size` that is told if it is given.

    Nothing is answered before there is a first byte to send.
    """
    if request.method == "GET" and manifest.size != 0:
        waiting = uploads.growing.while_live(manifest, 0)
        first = await _while_connected(request, waiting)
        if first is None:
            return Response(status_code=GONE_AWAY)
        if first.state is State.READY:
            return first
        manifest = first
    return stream(request, uploads.growing.follow(manifest), size, 200, headers)


async def _while_connected(
    request: Request, waiting: Coroutine[None, None, Manifest]
) -> Manifest | None:
    """What `waiting` returns; None when the client closes the connection before."""
    task, gone = asyncio.ensure_future(waiting), asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _not_there(
    request: Request,
    uploads: Uploads,
    manifest: Manifest,
    error: RangeNotSatisfiable,
    headers: dict[str, str],
) -> Response:
    """416, with what is stored, and whether a wait was applied."""
    stored = await uploads.coverage(manifest)
    error.extra["upload_size"] = stored.upload_size
    error.extra["missing"] = [list(gap) for gap in stored.missing[:MISSING_SHOWN]]
    total = "*" if manifest.size is None else str(manifest.size)
    more = {"Content-Range": f"bytes */{total}"}
    if "Preference-Applied" in headers:
        more["Preference-Applied"] = headers["Preference-Applied"]
    return refusal(request, error, more)
