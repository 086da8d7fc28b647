"""The end of an upload by HTTP: the file, or 202 for a client that comes back for what takes long.

Source: RFC 7240, sections 4.1 and 4.3; docs/http-api.md, "Files that take long to verify".
"""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.prefer import parse_wait, prefers_async
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Reply
from lading.server.services import Services
from lading.server.uploads.finishing import Caller, Verifying

FINISHED = {
    **common.ok(schemas.files.Manifest, "The file."),
    202: Reply(
        "The bytes are being verified; repeat the request. Only with `Prefer: respond-async`.",
        {JSON: schemas.uploads.Verifying},
        {"Preference-Applied": "`respond-async`", "Retry-After": "Seconds until then."},
    ),
}

PREFER = common.header(
    "Prefer",
    "`respond-async, wait=N`: answer with 202 after N seconds (10 by default) if the bytes are "
    "still being verified.",
)


async def finish(
    request: Request,
    server: Services,
    principal: Principal,
    size: int | None = None,
    sha256: str | None = None,
) -> schemas.files.Manifest | Answer:
    """Finish the upload of the request's path. Raises as `Uploads.finish`."""
    upload_id, field = request.path_params["id"], request.headers.get("prefer")
    if not prefers_async(field):
        found = await server.uploads.finish(principal, upload_id, size, sha256)
        return schemas.files.manifest_of(found)
    limits, wait = server.limits.uploads, parse_wait(field)
    seconds = limits.finish_wait if wait is None else min(wait, limits.longest_wait)
    caller = Caller(seconds, request.is_disconnected)
    outcome = await server.uploads.finishing.within(principal, upload_id, size, sha256, caller)
    if not isinstance(outcome, Verifying):
        return schemas.files.manifest_of(outcome)
    told = schemas.uploads.Verifying(state="verifying", done=outcome.done, total=outcome.total)
    return Answer(told, 202, headers={"Preference-Applied": "respond-async", "Retry-After": "1"})
