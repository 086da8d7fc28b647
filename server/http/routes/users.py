"""`/v1/users`: the users that have an account, and their deletion; for admins."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import Forbidden
from lading.protocol.spec import MAX_USER_ID, check_text
from lading.server.http import schemas
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.http.routes.file_list import page_size
from lading.server.http.routes.usage import shown, user_of
from lading.server.services import Services, services

api = Operations("Usage")


async def _as_admin(request: Request) -> Services:
    server = services(request)
    if not (await server.principal(request)).admin:
        raise Forbidden("Only an admin can manage users.")
    return server


@api.operation(
    "GET /v1/users",
    "listUsers",
    common.ok(schemas.service.UserList, "One page of users."),
    parameters=(common.LIMIT, common.USER_CURSOR),
)
async def listing(request: Request) -> schemas.service.UserList:
    """List the users that have an account, by id, with usage and quota.

    A user has an account from the first upload on, or once a quota was set. Only an admin can do
    this.
    """
    server = await _as_admin(request)
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        check_text("cursor", cursor, MAX_USER_ID, empty=False)
    most = page_size(request.query_params.get("limit"))
    found = await server.quotas.page(after=cursor, most=most + 1)
    accounts = found[:most]
    return schemas.service.UserList(
        users=[shown(account) for account in accounts],
        cursor=accounts[-1].user_id if len(found) > most else None,
    )


@api.operation(
    "DELETE /v1/users/{user_id:path}",
    "deleteUser",
    common.ok(schemas.service.DeletedUser, "How many of each were deleted."),
)
async def remove(request: Request) -> schemas.service.DeletedUser:
    """Delete a user with all they have: files, uploads, tags, grants and the account.

    Only an admin can do this. A repeated request resumes an interrupted one, and returns zeros
    where nothing is left. Tokens of the user stay valid: whoever has one can upload again.
    """
    server = await _as_admin(request)
    user_id = user_of(request)
    deleted = await server.users.remove(user_id)
    return schemas.service.DeletedUser(
        user_id=user_id,
        files=deleted.files,
        uploads=deleted.uploads,
        tags=deleted.tags,
        grants=deleted.grants,
    )
