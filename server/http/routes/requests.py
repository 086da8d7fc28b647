"""`/r/{token}`: people without an account send the files that somebody asked them for.

The token is that of a grant for request, and a bearer token of every transport. Whoever gives a
name gets a token of their own, with which they find what they sent before, and nothing of others.
Source: page 13 of the design, "Sharing"; docs/decisions/0083.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import Forbidden, Gone, NotFound, RateLimited
from lading.protocol.grants import MAX_SECONDS, Action, Grant
from lading.server.access.grants import is_token, new_token
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Reply
from lading.server.http.people import requested
from lading.server.http.routes.pages import script_of
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.uploads.create import largest_size
from lading.server.urls import channel_url, grant_url
from lading.storage.collections.audit import Act
from lading.storage.collections.manifests import new_id

api = Operations("Links")


async def _request(request: Request, server: Services) -> Grant:
    """The grant of the link; raises NotFound, Forbidden, and Gone when it expired."""
    token, now = request.path_params["token"], server.clock()
    grant = await server.grants.find(token, now) if is_token(token) else None
    if grant is None:
        raise NotFound("There is no such link; it may have been revoked.")
    if grant.action is not Action.REQUEST:
        raise Forbidden("This link is not for sending files.")
    record_of(request.scope).user_id = grant.user_id
    if grant.expires_at <= now:
        raise Gone("Whoever asked for files chose how long this link works, and that time is over.")
    return grant


@api.operation(
    "GET /r/{token}",
    "openRequest",
    {200: Reply("The page.", {"text/html": {"type": "string"}})},
    problems=(NotFound, Forbidden, Gone),
    public=True,
    head=True,
)
async def show(request: Request) -> Response:
    """Show what somebody asks for, as a page on which people send it."""
    server = services(request)
    grant = await _request(request, server)
    kind = server.uploads.kinds.get(grant.kind)
    lists = [bounds.mime_types for bounds in (grant, kind) if bounds is not None]
    asked = requested.Asked(
        token=request.path_params["token"],
        grant_id=grant.id,
        expires_at=grant.expires_at,
        left=None if grant.max_size is None else max(0, grant.max_size - grant.taken),
        of_one=largest_size(None, kind),
        mime_types=next((each for each in lists if each), ()),
    )
    return requested.page_of(asked, script_of(request, "request"))


@api.operation(
    "POST /v1/g/{token}/senders",
    "nameSender",
    common.created(
        schemas.grants.MintedGrant,
        "A token of one's own, for uploads.",
        "The address to send files to.",
    ),
    body=common.json_body(schemas.grants.NewSender, {"name": "Ann"}),
    problems=(NotFound, Forbidden, Gone, RateLimited),
    public=True,
)
async def name_sender(request: Request) -> Answer:
    """Say who sends what somebody asks for, and get a token to send it with.

    The token is good for as long as the request. Its bearer finds what was sent with it, and
    nothing of others. The name is shown with each of the files.
    """
    server = services(request)
    asked = await _request(request, server)
    body = await read_json(request, schemas.grants.NewSender)
    now, token = server.clock(), new_token()
    sender = Grant(
        id=new_id(now),
        action=Action.UPLOAD,
        user_id=asked.user_id,
        minter="",
        created_at=now,
        expires_at=now + MAX_SECONDS,  # it ends with the request, whose end may be changed
        parent=asked.id,
        sender=body.name,
    )
    sender.check()
    if not await server.grants.name_sender(sender, token):
        raise RateLimited("Too many people gave a name here. Ask for a new link.")
    await server.uploads.audit.note(
        Act.MINTED,
        Principal(asked.user_id, grant=asked),
        owner=asked.user_id,
        grant_id=asked.id,
        detail=f"sender {body.name}",
    )
    shown = schemas.grants.MintedGrant(
        id=sender.id,
        token=token,
        url=grant_url(server.settings, token),
        ws_url=channel_url(server.settings),
        expires_at=schemas.types.moment(asked.expires_at),
    )
    kind = server.uploads.kinds.get(asked.kind)
    if kind is not None:
        shown["kind_rules"] = schemas.kinds.kind_of(kind)
    return Answer(shown, 201, shown["url"])
