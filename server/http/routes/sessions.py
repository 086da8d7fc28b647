"""`/v1/sessions`: where somebody is signed in, and how that ends."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import NotFound
from lading.protocol.spec import check_id
from lading.server.http import schemas
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.services import services

api = Operations("Accounts")


@api.operation(
    "GET /v1/sessions",
    "listSessions",
    common.ok(schemas.accounts.SessionList, "At most 100."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.accounts.SessionList:
    """List the caller's sessions, the last used one first."""
    server = services(request)
    principal = await server.acting(request)
    sessions = server.need_accounts().sessions
    found = await sessions.of_user(principal.user_id)
    current = principal.session_id
    return schemas.accounts.SessionList(
        sessions=[schemas.accounts.session_of(each, current) for each in found]
    )


@api.operation(
    "DELETE /v1/sessions/{id}",
    "endOneSession",
    common.no_content("It is over."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def end(request: Request) -> None:
    """End one session."""
    server = services(request)
    principal = await server.acting(request)
    sessions = server.need_accounts().sessions
    await sessions.end(principal.user_id, check_id(request.path_params["id"]))


@api.operation(
    "DELETE /v1/sessions",
    "endSessions",
    common.ok(schemas.accounts.Ended, "How many ended."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def end_all(request: Request) -> schemas.accounts.Ended:
    """End all sessions of the caller but the one of this request."""
    server = services(request)
    principal = await server.acting(request)
    sessions = server.need_accounts().sessions
    ended = await sessions.end_all(principal.user_id, but=principal.session_id)
    return schemas.accounts.Ended(ended=ended)
