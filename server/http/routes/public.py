"""`/public`: finished files that anyone may fetch.

Where files lie in a directory, a proxy should serve its `public` folder at this address; Lading
does it only if `LADING_LOCAL_FILE_SERVER` is true. Source: page 9 of the design.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import (
    Gone,
    NotFound,
    NotReady,
    PreconditionFailed,
    QuotaExceeded,
    RangeNotSatisfiable,
    Unavailable,
    UnprocessableImage,
)
from lading.protocol.grants import ORIGINAL
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import ID
from lading.server.http.download import respond, respond_picture
from lading.server.http.download.headers import Keeping
from lading.server.http.download.picture import quality_of
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.services import Services, services
from lading.storage.homes import scheme

api = Operations("Files")

KEEPING = Keeping(3600, shared=True)
"""A file that is public no more may stay in caches for an hour. Its pictures may for a year."""

_WANTED = (common.DOWNLOAD, *common.CONDITIONS)
_REFUSED = (NotFound, RangeNotSatisfiable, PreconditionFailed, Unavailable)
_NO_PICTURE = (NotReady, UnprocessableImage, QuotaExceeded)


@api.operation(
    "GET /public/{id}",
    "getPublicFile",
    common.FILE_BYTES,
    parameters=_WANTED,
    problems=_REFUSED,
    public=True,
    head=True,
)
@api.operation(
    "GET /public/{id}/{quality}",
    "getPublicFileQuality",
    common.FILE_BYTES,
    summary="Download a public file in one quality",
    parameters=(common.CROP, *_WANTED),
    problems=(*_REFUSED, *_NO_PICTURE),
    public=True,
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download a public file.

    No credential is needed. What is not public does not exist here.
    """
    server = services(request)
    manifest = await _file(request, server)
    try:
        quality = quality_of(request)
        if quality == ORIGINAL:
            response = await respond(request, server, manifest, KEEPING)
        else:
            response = await respond_picture(request, server, manifest, quality)
    except NotFound:
        raise _missing() from None
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _missing() -> NotFound:
    return NotFound("There is no public file at this address.")


async def _file(request: Request, server: Services) -> Manifest:
    """The requested file; raises NotFound, always in the same words."""
    missing = _missing()
    file_id = request.path_params["id"]
    if not ID.fullmatch(file_id):
        raise missing
    try:
        manifest = await server.uploads.find(file_id, None)
    except (NotFound, Gone):
        raise missing from None
    proxied = scheme(manifest.blobs) == "file" and not server.settings.local_file_server
    if not manifest.public or manifest.state is not State.READY or proxied:
        raise missing
    return manifest
