"""`/v1/files`: lists, changes and deletion."""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.requests import Request

from lading.protocol.errors import InvalidArgument, NotFound
from lading.protocol.spec import MAX_NAME, check_id, check_tags, check_text
from lading.server.http import schemas
from lading.server.http.body import read_json, whole_number
from lading.server.http.download.conditions import expected
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.services import services
from lading.storage.collections.manifests import FileFilter

api = Operations("Files")

NOT_THE_ROOT = r"^(?:\.?/)*(?:[^./\x00]|\.[^/\x00])[^\x00]*$"
"""A directory with a segment that is neither empty nor `.`."""

LISTED = 100
MOST_LISTED = 1000


@api.operation(
    "GET /v1/files",
    "listFiles",
    common.ok(schemas.files.FileList, "One page of files."),
    parameters=(
        Parameter("name", "Only names that start with this.", common.TEXT, example="photo"),
        Parameter("directory", "Only this directory, without its subdirectories.", common.TEXT),
        Parameter(
            "tag", "Only files with this tag. Repeat it to require several tags.", common.TAGS
        ),
        Parameter(
            "mime_type",
            "Only this type, such as `image/png` or `image/*`, with any parameters.",
            common.TEXT,
        ),
        Parameter("kind", "Only files of this kind.", common.TEXT),
        common.LIMIT,
        common.CURSOR,
        common.USER,
    ),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.files.FileList:
    """List files, the newest first."""
    server = services(request)
    principal = await server.acting(request)
    query = request.query_params
    cursor = query.get("cursor")
    most = page_size(query.get("limit"))
    found = await server.library.files(
        principal,
        wanted=_filter(query),
        before=None if cursor is None else check_id(cursor),
        most=most + 1,
    )
    files = found[:most]
    return schemas.files.FileList(
        files=[schemas.files.manifest_of(manifest) for manifest in files],
        cursor=files[-1].id if len(found) > most else None,
    )


def _filter(query: QueryParams) -> FileFilter:
    tags = tuple(query.getlist("tag"))
    check_tags(tags)
    for what in ("name", "directory", "mime_type", "kind"):
        check_text(what, query.get(what, ""), MAX_NAME)
    return FileFilter(
        name=query.get("name"),
        directory=query.get("directory"),
        mime_type=query.get("mime_type"),
        tags=tags,
        kind=query.get("kind"),
    )


@api.operation(
    "PATCH /v1/files/{id}",
    "changeFile",
    common.ok(schemas.files.Manifest, "The changed file."),
    body=common.json_body(
        schemas.files.ChangeFile, {"name": "sea.jpg", "tags": ["holiday"]}, required=False
    ),
    parameters=common.PRECONDITIONS,
    problems=common.CHANGE_REFUSED,
)
async def change(request: Request) -> schemas.files.Manifest:
    """Change a file's name, directory or tags, or whether it is public.

    Fields that are left out keep their values.
    """
    server = services(request)
    principal = await server.principal(request)
    body = await read_json(request, schemas.files.ChangeFile)
    manifest = await server.library.change(
        principal,
        request.path_params["id"],
        name=body.name,
        directory=body.directory,
        tags=None if body.tags is None else tuple(body.tags),
        public=body.public,
        expected=expected(request),
    )
    return schemas.files.manifest_of(manifest)


@api.operation(
    "DELETE /v1/files/{id}",
    "deleteFile",
    common.no_content("It is deleted."),
    parameters=common.PRECONDITIONS,
    problems=common.CHANGE_REFUSED,
)
async def remove(request: Request) -> None:
    """Delete a file or an unfinished upload."""
    server = services(request)
    principal = await server.principal(request)
    await server.uploads.delete(principal, request.path_params["id"], expected(request))


@api.operation(
    "DELETE /v1/files",
    "deleteDirectory",
    common.ok(schemas.files.DeletedDirectory, "The number of deleted files."),
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
    problems=(NotFound,),
)
async def remove_directory(request: Request) -> schemas.files.DeletedDirectory:
    """Delete the finished files of a directory and of its subdirectories."""
    server = services(request)
    principal = await server.acting(request)
    directory = request.query_params.get("directory")
    if not directory:
        raise InvalidArgument("Name the directory: DELETE /v1/files?directory=a/b.")
    check_text("directory", directory, MAX_NAME)
    deleted = await server.library.remove_directory(principal, directory)
    return schemas.files.DeletedDirectory(directory=directory, deleted=deleted)


def page_size(value: str | None) -> int:
    """The number of entries of a page, from the `limit` parameter."""
    if value is None:
        return LISTED
    return whole_number("limit", value, 1, MOST_LISTED)
