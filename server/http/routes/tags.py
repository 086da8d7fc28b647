"""`/v1/tags`: a user's tags, the number of files that have each, and changes to all of those."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import NameTaken, NotFound
from lading.protocol.spec import check_tags, each_once
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.http.routes.file_list import page_size
from lading.server.services import services
from lading.server.urls import tag_url
from lading.storage.collections.tags import Tag

api = Operations("Tags")


def _shown(tag: Tag) -> schemas.tags.Tag:
    return schemas.tags.Tag(name=tag.name, files=tag.files)


def _name(request: Request) -> str:
    return _one(request.path_params["name"])


def _one(name: str) -> str:
    """The one form of a tag; raises InvalidArgument unless it may be one."""
    check_tags((name,))
    return each_once((name,))[0]


@api.operation(
    "POST /v1/tags",
    "createTag",
    common.created(
        schemas.tags.Tag,
        "The tag.",
        "The address of the tag.",
        dict.fromkeys(("getTag", "renameTag", "deleteTag"), "/name"),
    ),
    parameters=(common.USER,),
    body=common.json_body(schemas.tags.NameTag, {"name": "holiday"}),
    problems=(NotFound, NameTaken),
)
async def create(request: Request) -> Answer:
    """Create a tag that no file has yet."""
    server = services(request)
    principal = await server.acting(request)
    name = _one((await read_json(request, schemas.tags.NameTag)).name)
    tag = await server.tags.create(principal.user_id, name, server.clock())
    return Answer(_shown(tag), 201, tag_url(server.settings, name))


@api.operation(
    "GET /v1/tags",
    "listTags",
    common.ok(schemas.tags.TagList, "One page of tags."),
    parameters=(common.LIMIT, common.TAG_CURSOR, common.USER),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.tags.TagList:
    """List a user's tags, by name."""
    server = services(request)
    principal = await server.acting(request)
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        cursor = _one(cursor)
    most = page_size(request.query_params.get("limit"))
    found = await server.tags.list(principal.user_id, after=cursor, most=most + 1)
    tags = found[:most]
    more = tags[-1].name if len(found) > most else None
    return schemas.tags.TagList(tags=[_shown(tag) for tag in tags], cursor=more)


@api.operation(
    "GET /v1/tags/{name:path}",
    "getTag",
    common.ok(schemas.tags.Tag, "The tag."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def show(request: Request) -> schemas.tags.Tag:
    """Return one tag."""
    server = services(request)
    principal = await server.acting(request)
    return _shown(await server.tags.get(principal.user_id, _name(request)))


@api.operation(
    "PATCH /v1/tags/{name:path}",
    "renameTag",
    common.ok(schemas.tags.Tag, "The renamed tag."),
    parameters=(common.USER,),
    body=common.json_body(schemas.tags.NameTag, {"name": "summer"}),
    problems=(NotFound, NameTaken),
)
async def rename(request: Request) -> schemas.tags.Tag:
    """Rename a tag on all files that have it."""
    server = services(request)
    principal = await server.acting(request)
    name, new = _name(request), _one((await read_json(request, schemas.tags.NameTag)).name)
    tag = await server.tags.rename(principal.user_id, name, new, server.clock())
    return _shown(tag)


@api.operation(
    "DELETE /v1/tags/{name:path}",
    "deleteTag",
    common.no_content("No file has the tag any more; the files stay."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def remove(request: Request) -> None:
    """Remove a tag from all files."""
    server = services(request)
    principal = await server.acting(request)
    await server.tags.remove(principal.user_id, _name(request), server.clock())
