"""`/v1/tags`: a user's tags, how many files have each, and changes for all of these at once.

Source: page 4 of the design.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.spec import check_tags
from lading.server.http.body import read_json
from lading.server.http.models import NameTag
from lading.server.http.routes.files import page_size
from lading.server.http.shapes import answer
from lading.server.services import services
from lading.server.urls import tag_url
from lading.storage.collections.tags import Tag


def _shape(tag: Tag) -> dict[str, Any]:
    return {"name": tag.name, "files": tag.files}


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    check_tags((name,))
    return name


async def create(request: Request) -> Response:
    """`POST /v1/tags`: a tag that no file has yet."""
    server = services(request)
    principal = await server.principal(request)
    name = (await read_json(request, NameTag)).name
    check_tags((name,))
    tag = await server.tags.create(principal.user_id, name, server.clock())
    where = tag_url(server.settings, name)
    return answer(_shape(tag), 201, {"Location": where})


async def listing(request: Request) -> Response:
    """`GET /v1/tags`: the caller's tags, by name."""
    server = services(request)
    principal = await server.principal(request)
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        check_tags((cursor,))
    most = page_size(request.query_params.get("limit"))
    found = await server.tags.list(principal.user_id, after=cursor, most=most + 1)
    tags = found[:most]
    more = tags[-1].name if len(found) > most else None
    return answer({"tags": [_shape(tag) for tag in tags], "cursor": more})


async def show(request: Request) -> Response:
    """`GET /v1/tags/{name}`: one tag."""
    server = services(request)
    principal = await server.principal(request)
    return answer(_shape(await server.tags.get(principal.user_id, _name(request))))


async def rename(request: Request) -> Response:
    """`PATCH /v1/tags/{name}`: another name for it, on all files that have it."""
    server = services(request)
    principal = await server.principal(request)
    name, new = _name(request), (await read_json(request, NameTag)).name
    check_tags((new,))
    tag = await server.tags.rename(principal.user_id, name, new, server.clock())
    return answer(_shape(tag))


async def remove(request: Request) -> Response:
    """`DELETE /v1/tags/{name}`: take it off all files; the files stay."""
    server = services(request)
    principal = await server.principal(request)
    await server.tags.remove(principal.user_id, _name(request))
    return Response(status_code=204)
