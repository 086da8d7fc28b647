"""`/v1/files/{id}/{quality}`: the images that are made of a file.

Source: page 10 of the design.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.grants import ORIGINAL, Action
from lading.server.http.download import respond, respond_picture
from lading.server.http.download.picture import quality_of
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.services import services

api = Operations("Files")


@api.operation(
    "GET /v1/files/{id}/{quality}",
    "getFileQuality",
    common.FILE_BYTES,
    parameters=(common.CROP, *common.BYTES_WANTED),
    problems=common.PICTURE_REFUSED,
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download a file in one quality.

    0 is the original. 1 to 6 are webp images of 10, 40, 160, 320, 640 and 1080 pixels on the long
    side, made of an image, of a frame of a video, or of the cover of an audio file. One that does
    not exist yet is made now.
    """
    server = services(request)
    quality = quality_of(request)
    principal = await server.principal(request, Action.DOWNLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    principal.check_quality(quality)
    if quality == ORIGINAL:
        return await respond(request, server, manifest)
    return await respond_picture(request, server, manifest, quality)
