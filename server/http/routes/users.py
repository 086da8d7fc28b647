"""`/v1/users`: the users, their accounts, and their deletion; for admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from lading.protocol.accounts import check_scopes
from lading.protocol.errors import Forbidden, NameTaken, NotFound
from lading.protocol.spec import MAX_USER_ID, check_text
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.http.routes.file_list import page_size
from lading.server.http.routes.usage import shown, user_of
from lading.server.services import Services, services
from lading.server.urls import url
from lading.storage.collections.audit import Act
from lading.storage.collections.quotas import Account
from lading.storage.collections.users import User

api = Operations("Accounts")


async def _as_admin(request: Request) -> tuple[Services, Principal]:
    server = services(request)
    principal = await server.principal(request)
    if not principal.admin:
        raise Forbidden("Only an admin can manage users.")
    return server, principal


def _entry(usage: Account, user: User | None) -> schemas.accounts.UserEntry:
    bare = shown(usage)
    if user is None:
        return schemas.accounts.UserEntry(
            user_id=bare["user_id"],
            used=bare["used"],
            reserved=bare["reserved"],
            quota=bare["quota"],
        )
    return schemas.accounts.UserEntry(**bare, account=schemas.accounts.account_of(user))


@api.operation(
    "GET /v1/users",
    "listUsers",
    common.ok(schemas.accounts.UserList, "One page of users."),
    parameters=(common.LIMIT, common.USER_CURSOR),
)
async def listing(request: Request) -> schemas.accounts.UserList:
    """List the users, by id, with usage and quota.

    A user is listed who has an account, who ever uploaded something, or for whom a quota was set.
    Only an admin can do this.
    """
    server, _ = await _as_admin(request)
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        check_text("cursor", cursor, MAX_USER_ID, empty=False)
    most = page_size(request.query_params.get("limit"))
    usage = {each.user_id: each for each in await server.quotas.page(after=cursor, most=most + 1)}
    users: Mapping[str, User] = {}
    if server.accounts is not None:
        page = await server.accounts.page(after=cursor, most=most + 1)
        users = {each.name: each for each in page}
    # Each of the two pages has all there is up to its end, so together they have the first ones.
    names = sorted({*usage, *users})
    listed = names[:most]
    return schemas.accounts.UserList(
        users=[
            _entry(usage.get(name) or server.quotas.unknown(name), users.get(name))
            for name in listed
        ],
        cursor=listed[-1] if len(names) > most else None,
    )


@api.operation(
    "POST /v1/users",
    "createUser",
    common.created(schemas.accounts.UserEntry, "The account.", "The address of the user."),
    body=common.json_body(
        schemas.accounts.NewUser, {"name": "ann", "password": "correct horse", "quota": 10**10}
    ),
    problems=(NameTaken, NotFound),
)
async def create(request: Request) -> Answer:
    """Make an account.

    Only an admin can do this. A user of this id who has files already, from another way to sign in,
    keeps them. There is no `Idempotency-Key`: a name exists once.
    """
    server, principal = await _as_admin(request)
    accounts = server.need_accounts()
    body = await read_json(request, schemas.accounts.NewUser)
    user = await accounts.add(
        body.name, body.password, scopes=check_scopes(list(body.scopes)), disabled=body.disabled
    )
    await server.uploads.audit.note(Act.USER_CREATED, principal, owner=user.name)
    usage = await _usage(server, user.name, body.quota, "quota" in body.model_fields_set)
    address = url(server.settings, f"/v1/users/{quote(user.name, safe='')}")
    return Answer(_entry(usage, user), 201, address)


@api.operation(
    "PATCH /v1/users/{user_id:path}",
    "changeUser",
    common.ok(schemas.accounts.UserEntry, "The account with the change."),
    body=common.json_body(schemas.accounts.ChangeUser, {"disabled": True}),
    problems=(NotFound,),
)
async def change(request: Request) -> schemas.accounts.UserEntry:
    """Change an account: password, scopes, quota, or whether it is disabled.

    Only an admin can do this. Every change but that of the quota ends the account's sessions.
    """
    server, principal = await _as_admin(request)
    accounts = server.need_accounts()
    name = user_of(request)
    body = await read_json(request, schemas.accounts.ChangeUser)
    changes: dict[str, Any] = {}
    if body.scopes is not None:
        changes["scopes"] = list(check_scopes(list(body.scopes)))
    if body.disabled is not None:
        changes["disabled"] = body.disabled
    user = await accounts.change(name, password=body.password, **changes)
    changed = ", ".join(sorted(body.model_fields_set))
    await server.uploads.audit.note(Act.USER_CHANGED, principal, owner=name, detail=changed)
    usage = await _usage(server, name, body.quota, "quota" in body.model_fields_set)
    return _entry(usage, user)


async def _usage(server: Services, name: str, quota: int | None, given: bool) -> Account:
    if given:
        return await server.quotas.set_quota(name, quota)
    return await server.quotas.account(name)


@api.operation(
    "DELETE /v1/users/{user_id:path}",
    "deleteUser",
    common.ok(schemas.service.DeletedUser, "How many of each were deleted."),
)
async def remove(request: Request) -> schemas.service.DeletedUser:
    """Delete a user with all they have: account, sessions, files, uploads, tags and grants.

    Only an admin can do this. A repeated request resumes an interrupted one, and returns zeros
    where nothing is left. JSON Web Tokens that somebody else signed stay valid: whoever has one can
    upload again.
    """
    server, principal = await _as_admin(request)
    user_id = user_of(request)
    deleted = await server.users.remove(user_id, principal.who)
    await server.uploads.audit.note(Act.USER_DELETED, principal, owner=user_id)
    shape = schemas.service.DeletedUser(
        user_id=user_id,
        files=deleted.files,
        uploads=deleted.uploads,
        tags=deleted.tags,
        grants=deleted.grants,
    )
    if deleted.account:
        shape["account"] = True
    return shape
