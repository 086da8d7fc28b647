"""`/v1/files`: lists, changes and deletion."""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.requests import Request

from lading.protocol.errors import Incomplete, InvalidArgument, NotFound
from lading.protocol.spec import MAX_NAME, check_tags, check_text
from lading.server.http import cursors, schemas
from lading.server.http.body import read_json, whole_number
from lading.server.http.download.conditions import expected
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.services import services
from lading.storage.collections.file_lists import Order, Ordering
from lading.storage.collections.manifests import UNSET, FileFilter

api = Operations("Files")

NOT_THE_ROOT = r"^(?:\.?/)*(?:[^./\x00]|\.[^/\x00])[^\x00]*$"
"""A directory with a segment that is neither empty nor `.`."""

TO_TRASH = Parameter(
    "trash",
    "`true` moves to the trash; without it what is named is deleted for good.",
    {"type": "string", "enum": ["true", "false"]},
)

ORDERS = {
    f"{'-' * descending}{order}": Ordering(order, descending)
    for order in Order
    for descending in (False, True)
}

MAX_SEARCH = 256
LISTED = 100
MOST_LISTED = 1000


@api.operation(
    "GET /v1/files",
    "listFiles",
    common.ok(schemas.files.FileList, "One page of files."),
    parameters=(
        Parameter("name", "Only names that start with this.", common.TEXT, example="photo"),
        Parameter(
            "search",
            "Only names that hold each of these words, anywhere, whatever their case and accents.",
            {**common.TEXT, "maxLength": MAX_SEARCH},
            example="sea jpg",
        ),
        Parameter("directory", "Only this directory, without its subdirectories.", common.TEXT),
        Parameter(
            "recursive",
            "`true` includes the subdirectories of `directory`.",
            {"type": "string", "enum": ["true", "false"]},
        ),
        Parameter(
            "tag", "Only files with this tag. Repeat it to require several tags.", common.TAGS
        ),
        Parameter(
            "mime_type",
            "Only this type, such as `image/png` or `image/*`, with any parameters.",
            common.TEXT,
        ),
        Parameter("kind", "Only files of this kind.", common.TEXT),
        Parameter(
            "order",
            "What the files are sorted by; with `-` the last one first.",
            {"type": "string", "enum": list(ORDERS), "default": "-created"},
        ),
        common.LIMIT,
        common.FILE_CURSOR,
        common.USER,
    ),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.files.FileList:
    """List or search files, the newest first or in another order."""
    server = services(request)
    principal = await server.acting(request)
    query = request.query_params
    ordering, cursor = ORDERS[query.get("order", "-created")], query.get("cursor")
    after = None if cursor is None else cursors.read(cursor, ordering)
    most = page_size(query.get("limit"))
    wanted = _filter(query)
    found = await server.library.page(principal, wanted, ordering, after=after, most=most + 1)
    files = found[:most]
    return schemas.files.FileList(
        files=[schemas.files.manifest_of(manifest) for manifest in files],
        cursor=cursors.write(files[-1], ordering) if len(found) > most else None,
    )


def _filter(query: QueryParams) -> FileFilter:
    tags = tuple(query.getlist("tag"))
    check_tags(tags)
    for what in ("name", "directory", "mime_type", "kind"):
        check_text(what, query.get(what, ""), MAX_NAME)
    search = query.get("search", "")
    check_text("search", search, MAX_SEARCH)
    return FileFilter(
        name=query.get("name"),
        words=tuple(dict.fromkeys(search.split())),
        directory=query.get("directory"),
        recursive=query.get("recursive") == "true",
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
    problems=(*common.CHANGE_REFUSED, Incomplete),
)
async def change(request: Request) -> schemas.files.Manifest:
    """Change a file's name, directory, tags or times, or whether it is public.

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
        modified_at=body.modified_at,
        expires_at=body.expires_at if "expires_at" in body.model_fields_set else UNSET,
        expected=expected(request),
    )
    return schemas.files.manifest_of(manifest)


@api.operation(
    "DELETE /v1/files/{id}",
    "deleteFile",
    {
        **common.ok(schemas.files.Manifest, "It is in the trash, until its `expires_at`."),
        **common.no_content("It is deleted for good."),
    },
    parameters=(TO_TRASH, *common.PRECONDITIONS),
    problems=common.CHANGE_REFUSED,
)
async def remove(request: Request) -> schemas.files.Manifest | None:
    """Delete a file, also one in the trash, or an unfinished upload; or move a file to the trash.

    With `trash=true` a finished file goes to the trash, where the server has one. It is not listed
    or served then, counts in the usage, and is deleted after `LADING_TRASH_TTL`.
    """
    server = services(request)
    principal, file_id = await server.principal(request), request.path_params["id"]
    if not _to_trash(request):
        await server.uploads.delete(principal, file_id, expected(request))
        return None
    moved = await server.library.trash.put(principal, file_id, expected(request))
    return None if moved is None else schemas.files.manifest_of(moved)


def _to_trash(request: Request) -> bool:
    return request.query_params.get("trash") == "true"


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
        TO_TRASH,
        common.USER,
    ),
    problems=(NotFound,),
)
async def remove_directory(request: Request) -> schemas.files.DeletedDirectory:
    """Delete the finished files of a directory and of its subdirectories.

    With `trash=true` they go to the trash, where the server has one.
    """
    server = services(request)
    principal = await server.acting(request)
    directory = request.query_params.get("directory")
    if not directory:
        raise InvalidArgument("Name the directory: DELETE /v1/files?directory=a/b.")
    check_text("directory", directory, MAX_NAME)
    deleted = await server.library.remove_directory(
        principal, directory, to_trash=_to_trash(request)
    )
    return schemas.files.DeletedDirectory(directory=directory, deleted=deleted)


def page_size(value: str | None) -> int:
    """The number of entries of a page, from the `limit` parameter."""
    if value is None:
        return LISTED
    return whole_number("limit", value, 1, MOST_LISTED)
