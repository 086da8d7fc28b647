"""`/v1/usage` and `/v1/users/{user_id}/quota`."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import Forbidden, NotFound
from lading.protocol.spec import MAX_USER_ID, check_text
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.services import services
from lading.storage.collections.audit import Act
from lading.storage.collections.quotas import Account

api = Operations("Usage")


def shown(account: Account) -> schemas.service.Usage:
    return schemas.service.Usage(
        user_id=account.user_id,
        used=account.used,
        reserved=account.reserved,
        quota=account.quota,
    )


@api.operation(
    "GET /v1/usage",
    "getUsage",
    common.ok(schemas.service.OwnUsage, "The usage in bytes."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def show_own(request: Request) -> schemas.service.OwnUsage:
    """Return what the caller has stored and may store."""
    server = services(request)
    principal = await server.acting(request)
    usage = shown(await server.quotas.account(principal.user_id))
    return schemas.service.OwnUsage(**usage, admin=principal.admin)


@api.operation(
    "GET /v1/users/{user_id:path}/quota",
    "getQuota",
    common.ok(schemas.service.Usage, "The usage in bytes."),
    problems=(NotFound,),
)
async def show(request: Request) -> schemas.service.Usage:
    """Return what one user has stored and may store.

    Only an admin can see another user's.
    """
    server = services(request)
    principal = await server.principal(request)
    user_id = user_of(request)
    if not principal.admin and user_id != principal.user_id:
        raise NotFound
    return shown(await server.quotas.account(user_id))


@api.operation(
    "PUT /v1/users/{user_id:path}/quota",
    "setQuota",
    common.ok(schemas.service.Usage, "The usage with the new quota."),
    body=common.json_body(schemas.service.SetQuota, {"quota": 1000000000}),
)
async def change(request: Request) -> schemas.service.Usage:
    """Set a user's quota.

    Only an admin can do this. Stored files stay, even above the quota.
    """
    server = services(request)
    principal = await server.principal(request)
    if not principal.admin:
        raise Forbidden("Only an admin can set quotas.")
    user_id = user_of(request)
    body = await read_json(request, schemas.service.SetQuota)
    account = await server.quotas.set_quota(user_id, body.quota)
    detail = "none" if body.quota is None else str(body.quota)
    await server.uploads.audit.note(Act.QUOTA_SET, principal, owner=user_id, detail=detail)
    return shown(account)


def user_of(request: Request) -> str:
    """The user that the address names."""
    user_id: str = request.path_params["user_id"]
    check_text("user_id", user_id, MAX_USER_ID, empty=False)
    return user_id
