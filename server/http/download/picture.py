"""Downloads of a file's pictures: webp images that were made of it.

Their bytes are verified, and sent whole, to all who ask at the same moment from one copy in memory.
Source: page 10 of the design, "How".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.conditions import Validators
from lading.protocol.errors import NotFound
from lading.protocol.grants import HIGHEST_QUALITY, ORIGINAL
from lading.protocol.manifest import Manifest
from lading.server.http.download.conditions import unchanged
from lading.server.http.download.elsewhere import Asked, respond_elsewhere
from lading.server.http.download.headers import IMAGE, Keeping, disposition
from lading.server.http.download.stream import stream
from lading.server.services import Services
from lading.server.uploads.pictures import Copy

WEBP = "image/webp"

YEAR = 365 * 24 * 3600

PART = 256 * 1024
"""So many bytes are given to a connection at once, which may copy what it cannot send yet."""


def quality_of(request: Request, usual: int = ORIGINAL) -> int:
    """The quality in the request's path, `usual` where it has none.

    Raises NotFound for what is none, and for a cropped original.
    """
    asked = request.path_params.get("quality", str(usual))
    if asked not in [str(each) for each in range(HIGHEST_QUALITY + 1)]:
        raise NotFound(f"The quality must be a number from {ORIGINAL} to {HIGHEST_QUALITY}.")
    if int(asked) == ORIGINAL and "crop" in request.query_params:
        raise NotFound("The original is not cropped: ask for a quality from 1 to 6.")
    return int(asked)


async def respond_picture(
    request: Request,
    server: Services,
    manifest: Manifest,
    quality: int,
    keeping: Keeping | None = None,
) -> Response:
    """The answer to GET or HEAD of a picture, kept for a year if `keeping` says nothing else.

    Raises PreconditionFailed, and as `Pictures.find`.
    """
    pictures = server.uploads.pictures
    manifest, name = await pictures.find(manifest, quality, request.query_params.get("crop"))
    keeping = keeping or Keeping(YEAR, shared=manifest.public)
    download = request.query_params.get("download") == "1"
    headers = _headers(manifest, name, keeping, download=download)
    if unchanged(request, Validators((headers["ETag"],))):
        return Response(status_code=304, headers=headers)
    size = manifest.pictures[name].size
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(size)})
    asked = Asked(request, manifest, None, headers, keeping, size, name)
    passed = await respond_elsewhere(server, asked)
    if passed is not None:
        return passed
    copy, manifest = await pictures.read(manifest, name)
    headers = _headers(manifest, name, keeping, download=download)
    return stream(request, _parts(copy), len(copy.data), 200, headers)


async def _parts(copy: Copy) -> AsyncGenerator[bytes, None]:
    """The bytes; the copy is held, and so shared with others, until they were sent."""
    for at in range(0, len(copy.data), PART):
        yield copy.data[at : at + PART]


def _headers(manifest: Manifest, name: str, keeping: Keeping, *, download: bool) -> dict[str, str]:
    stem = PurePosixPath(manifest.name).stem
    shown = replace(manifest, name=f"{stem}-{name}.webp", mime_type=WEBP)
    return {
        "Content-Type": WEBP,
        "Content-Disposition": disposition(shown, download=download),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": IMAGE,
        "Cross-Origin-Resource-Policy": "same-site",
        "Cache-Control": keeping.control,
        "ETag": f'"{manifest.key}-{name}-{manifest.pictures[name].crc32c:08x}"',
    }
