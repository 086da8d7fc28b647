"""`/v1/archive`: several files as one ZIP, made while it is sent, and resumed from any byte."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.conditions import Validators
from lading.protocol.errors import Incomplete, InvalidArgument, RangeNotSatisfiable, TooLarge
from lading.protocol.names import canonical_directory
from lading.protocol.ranges import content_range, parse
from lading.protocol.spec import MAX_NAME, check_text
from lading.server.http.download.conditions import range_field, unchanged
from lading.server.http.download.headers import LOCKED, saved_as
from lading.server.http.download.refusal import refusal
from lading.server.http.download.stream import stream
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter, Reply
from lading.server.services import Services, services
from lading.server.uploads.archive import Archive

api = Operations("Files")

ZIP = "application/zip"


@api.operation(
    "GET /v1/archive",
    "getArchive",
    {
        200: Reply(
            "The archive; its length is known before.",
            {ZIP: {"type": "string", "format": "binary"}},
            {"ETag": "Strong: it changes when a file is added, changed or deleted."},
        ),
        206: Reply("The requested range.", {ZIP: {"type": "string", "format": "binary"}}),
        304: Reply("The client's copy is current.", {}, {"ETag": "The tag of that copy."}),
    },
    parameters=(
        Parameter(
            "directory",
            "All files of this directory and those below it.",
            common.TEXT,
            example="2025",
        ),
        Parameter(
            "id",
            "A file. Repeat it for several.",
            {"type": "array", "items": common.ID_TEXT, "maxItems": common.MOST_IDS},
        ),
        common.USER,
        *common.CONDITIONS,
    ),
    problems=(*common.BYTES_REFUSED, Incomplete, TooLarge),
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download a directory, or some files, as one ZIP.

    Files are stored in it as they are. Without a directory and ids it has all files.
    """
    server = services(request)
    return send(request, *await _wanted(request, server))


def send(request: Request, archive: Archive, name: str) -> Response:
    """The answer to GET or HEAD of an archive, which is saved as `name`.zip."""
    current = Validators((archive.etag,))
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": ZIP,
        "Content-Disposition": saved_as(f"{name}.zip"),
        "Content-Security-Policy": LOCKED,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-site",
        "Cache-Control": "private, no-cache",
        "ETag": archive.etag,
    }
    if unchanged(request, current):
        return Response(status_code=304, headers=headers)
    try:
        ranges = parse(range_field(request, current), archive.size)
    except RangeNotSatisfiable as error:
        return refusal(request, error, {"Content-Range": f"bytes */{archive.size}"})
    start, end, status = 0, archive.size, 200
    if ranges is not None and len(ranges) == 1:  # several may be ignored (RFC 9110, 14.2)
        start, end = ranges[0]
        status = 206
        headers["Content-Range"] = content_range(start, end, archive.size)
    return stream(request, archive.read(start, end), end - start, status, headers)


async def _wanted(request: Request, server: Services) -> tuple[Archive, str]:
    """The archive, and the name to save it under."""
    principal = await server.acting(request)
    directory, ids = request.query_params.get("directory"), request.query_params.getlist("id")
    if len(ids) > common.MOST_IDS:
        raise InvalidArgument(f"At most {common.MOST_IDS} ids can be named.")
    if directory is None and not ids:
        directory = ""
    check_text("directory", directory or "", MAX_NAME)
    own = canonical_directory(directory or "").rpartition("/")[2]
    return await server.archives.make(principal, directory, ids), own or "files"
