"""`/v1/files/batch`: several small files in one request, each for itself.

For clients that have thousands of them: the work for a request, and the operations of the database
that wait for the disk, are shared. Source: docs/http-api.md, "Several files in one request".
"""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.batch import MEDIA_TYPE, MOST_BYTES, MOST_FILES, decode
from lading.protocol.errors import LadingError, TooLarge
from lading.protocol.manifest import Manifest
from lading.server.http import schemas
from lading.server.http.body import declared_length, read_body
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Body, Operations
from lading.server.net.problems import problem_document
from lading.server.services import services
from lading.server.uploads.small_files import SmallFiles

api = Operations("Files")

BODY = Body(
    {MEDIA_TYPE: {"type": "string", "format": "binary"}},
    f"At most {MOST_BYTES} bytes and {MOST_FILES} files. For each file two msgpack values: a map "
    "with the fields of CREATE, as over WebSocket, and the bytes as binary. Its media type is not "
    "checked.",
)


@api.operation(
    "POST /v1/files/batch",
    "createFiles",
    common.ok(schemas.files.Outcomes, "What became of each file, in their order."),
    parameters=(common.USER,),
    body=BODY,
    problems=(TooLarge,),
    keyed=True,
)
async def create(request: Request) -> schemas.files.Outcomes:
    """Store several small files.

    Each is for itself: one that is refused leaves the others as they are. What is stored is
    durable. A batch that is malformed stores nothing.
    """
    server = services(request)
    principal = await server.acting(request)
    length = declared_length(request)
    most = MOST_BYTES if length is None else min(length, MOST_BYTES)
    share = await server.budget.acquire(most, principal.user_id)
    try:
        files = decode(await read_body(request, MOST_BYTES))
        most = server.settings.small_file_limit
        stored = await SmallFiles(server.uploads, most, server.spawn).store(principal, files)
    finally:
        share.release()
    return schemas.files.Outcomes(outcomes=[_outcome(each) for each in stored])


def _outcome(found: Manifest | LadingError) -> schemas.files.Outcome:
    if isinstance(found, LadingError):
        return schemas.files.Outcome(problem=schemas.service.Problem(**problem_document(found)))
    return schemas.files.Outcome(file=schemas.files.manifest_of(found))
