"""`/v1/directories`: the directories that files are in, and moving one of them."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import InvalidArgument, NotFound
from lading.protocol.names import canonical_directory
from lading.protocol.spec import MAX_NAME, check_text
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.http.routes.file_list import NOT_THE_ROOT, page_size
from lading.server.services import services

api = Operations("Files")


@api.operation(
    "GET /v1/directories",
    "listDirectories",
    common.ok(schemas.files.DirectoryList, "One page of directories."),
    parameters=(
        Parameter(
            "directory", "The directory that they are in; the root, if not given.", common.TEXT
        ),
        common.LIMIT,
        common.NAME_CURSOR,
        common.USER,
    ),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.files.DirectoryList:
    """List the directories in a directory, with the number and size of their files.

    A directory exists as long as a finished file is in it, or in a directory below it.
    """
    server = services(request)
    principal = await server.acting(request)
    directory, cursor = (
        request.query_params.get("directory", ""),
        request.query_params.get("cursor"),
    )
    check_text("directory", directory, MAX_NAME)
    if cursor is not None:
        check_text("cursor", cursor, MAX_NAME, empty=False)
    most = page_size(request.query_params.get("limit"))
    found = await server.library.directories(principal, directory, after=cursor, most=most + 1)
    shown = [
        schemas.files.Directory(directory=each.path, files=each.files, size=each.size)
        for each in found[:most]
    ]
    more = found[most - 1].name if len(found) > most else None
    return schemas.files.DirectoryList(directories=shown, cursor=more)


@api.operation(
    "PATCH /v1/directories",
    "moveDirectory",
    common.ok(schemas.files.MovedDirectory, "The number of moved files."),
    parameters=(
        Parameter(
            "directory",
            "The directory.",
            {**common.TEXT, "minLength": 1, "pattern": NOT_THE_ROOT},
            required=True,
            example="2025",
        ),
        common.USER,
    ),
    body=common.json_body(schemas.files.MoveDirectory, {"directory": "archive/2025"}),
    problems=(NotFound,),
)
async def move(request: Request) -> schemas.files.MovedDirectory:
    """Move or rename a directory, with all that is below it.

    The addresses of its files stay. Each file is in one of the two directories at any moment. If
    the server ends meanwhile, the same request moves the rest.
    """
    server = services(request)
    principal = await server.acting(request)
    body = await read_json(request, schemas.files.MoveDirectory)
    directory = request.query_params.get("directory")
    if not directory:
        raise InvalidArgument("Name the directory: PATCH /v1/directories?directory=a/b.")
    check_text("directory", directory, MAX_NAME)
    check_text("directory", body.directory, MAX_NAME)
    moved = await server.library.move_directory(principal, directory, body.directory)
    return schemas.files.MovedDirectory(directory=canonical_directory(body.directory), moved=moved)
