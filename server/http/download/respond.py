"""The answer to a request for a file: conditions first, then ranges, then bytes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.manifest import Manifest, State
from lading.server.http.download.conditions import range_field, unchanged
from lading.server.http.download.elsewhere import Asked, respond_elsewhere
from lading.server.http.download.finished import respond_finished
from lading.server.http.download.headers import EACH_TIME, Keeping, file_headers, validators
from lading.server.http.download.unfinished import respond_unfinished
from lading.server.services import Services


async def respond(
    request: Request,
    server: Services,
    manifest: Manifest,
    keeping: Keeping = EACH_TIME,
    *,
    elsewhere: bool = True,
) -> Response:
    """The answer to GET or HEAD of a file, or of an upload in progress.

    Without `elsewhere` the server itself sends the bytes. Raises PreconditionFailed, Undecided.
    """
    server.uploads.approvals.check_readable(manifest)
    current = validators(manifest)
    download = request.query_params.get("download") == "1"
    headers = file_headers(manifest, download=download, keeping=keeping)
    if unchanged(request, current):
        return Response(status_code=304, headers=headers)
    field = range_field(request, current)
    uploads = server.uploads
    if manifest.state is State.READY:
        asked = Asked(request, manifest, field, headers, keeping, manifest.size or 0)
        passed = await respond_elsewhere(server, asked) if elsewhere else None
        return passed or respond_finished(request, uploads, manifest, field, headers)
    answer = await respond_unfinished(request, uploads, manifest, field, headers)
    if isinstance(answer, Response):
        return answer
    # It was finished while the request waited: now it has a tag, and all ranges can be had.
    return await respond(request, server, answer, keeping, elsewhere=elsewhere)
