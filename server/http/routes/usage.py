"""`/v1/usage` and `/v1/users/{user_id}/quota`. Source: page 4 of the design."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import Forbidden, NotFound
from lading.protocol.spec import MAX_USER_ID, check_text
from lading.server.http.body import read_json
from lading.server.http.models import SetQuota
from lading.server.http.shapes import answer
from lading.server.services import services
from lading.storage.collections.quotas import Account


def _shape(account: Account) -> dict[str, Any]:
    return {
        "user_id": account.user_id,
        "used": account.used,
        "reserved": account.reserved,
        "quota": account.quota,
    }


async def show_own(request: Request) -> Response:
    """`GET /v1/usage`: what the caller has and may have."""
    server = services(request)
    principal = await server.principal(request)
    return answer(_shape(await server.quotas.account(principal.user_id)))


async def show(request: Request) -> Response:
    """`GET /v1/users/{user_id}/quota`: of any user for an admin, of oneself for everyone."""
    server = services(request)
    principal = await server.principal(request)
    user_id = _user_id(request)
    if not principal.admin and user_id != principal.user_id:
        raise NotFound
    return answer(_shape(await server.quotas.account(user_id)))


async def change(request: Request) -> Response:
    """`PUT /v1/users/{user_id}/quota`: set a limit, or null for none. Admins only."""
    server = services(request)
    if not (await server.principal(request)).admin:
        raise Forbidden("Only an admin sets quotas.")
    user_id = _user_id(request)
    body = await read_json(request, SetQuota)
    return answer(_shape(await server.quotas.set_quota(user_id, body.quota)))


def _user_id(request: Request) -> str:
    user_id: str = request.path_params["user_id"]
    check_text("user_id", user_id, MAX_USER_ID, empty=False)
    return user_id
