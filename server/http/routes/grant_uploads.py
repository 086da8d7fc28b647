"""Grants spoken to by tus and by the IETF's draft: the address of a grant is all a client needs.

`new tus.Upload(file, {endpoint: grantUrl})` creates an upload at `/v1/g/{token}`, as a draft client
does; both continue below it, at `/v1/g/{token}/uploads/{id}`. Which of the two is spoken is told by
`Tus-Resumable`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import LadingError
from lading.protocol.grants import Action, Grant
from lading.server.access.authenticate import authenticate
from lading.server.access.grants import check_token
from lading.server.access.principal import Principal
from lading.server.http.openapi import common, interop
from lading.server.http.openapi.operation import Operations
from lading.server.http.resumable import requests as resumable
from lading.server.http.routes import tus as tus_routes
from lading.server.http.tus import requests as tus
from lading.server.http.tus.answers import answer, offers, speaks_tus
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.uploads.create import largest_size
from lading.server.urls import absolute, origin

api = Operations("Grants")


async def bearer(request: Request, server: Services, *actions: Action) -> tuple[Principal, Grant]:
    """The bearer of the grant in the address; raises Unauthorized, Forbidden."""
    token = request.path_params["token"]
    check_token(token)
    principal = await authenticate(server.authenticator, token, *actions)
    assert principal.grant is not None
    record_of(request.scope).user_id = principal.user_id
    return principal, principal.grant


async def begin(request: Request, server: Services, principal: Principal) -> Response | None:
    """Create an upload by tus or the draft; None where the request speaks neither."""
    base, token = origin(request), request.path_params["token"]

    def address(upload_id: str) -> str:
        return absolute(server.settings, base, f"/v1/g/{token}/uploads/{upload_id}")

    if speaks_tus(request):
        return await tus.create(request, server, principal, address)
    if resumable.is_asked(request):
        return await resumable.create(request, server, principal, address)
    return None


@api.operation("OPTIONS /v1/g/{token}", "describeGrant", interop.GRANT_OFFERS, public=True)
@api.operation(
    "OPTIONS /v1/g/{token}/uploads/{id}",
    "describeGrantUpload",
    interop.GRANT_OFFERS,
    summary="Say how an upload with a grant can be continued",
    public=True,
)
async def describe(request: Request) -> Response:
    """Say how files can be sent with a grant.

    By tus, and by the IETF's resumable uploads. A grant that is not good for uploads has no limits.
    """
    server = services(request)
    try:
        _, grant = await bearer(request, server, Action.UPLOAD)
    except LadingError:
        limit = None
    else:
        limit = largest_size(grant, server.uploads.kinds.get(grant.kind))
    response = answer(204, offers(limit))
    response.headers.update(resumable.options(request, limit).headers)
    return response


async def _one(request: Request) -> Response:
    server = services(request)
    principal, _ = await bearer(request, server, Action.UPLOAD)
    if speaks_tus(request):
        return await tus_routes.serve(request, server, principal)
    match request.method:
        case "PATCH":
            return await resumable.append(request, server, principal)
        case "DELETE":
            return await resumable.cancel(request, server, principal)
        case _:
            return await resumable.look(request, server, principal)


@api.operation(
    "GET /v1/g/{token}/uploads/{id}",
    "lookWithGrant",
    {**interop.TUS_STATE, **interop.RESUMABLE_STATE},
    parameters=(interop.INTEROP,),
    problems=interop.TUS_REFUSED,
    public=True,
    head=True,
    plain=True,
)
async def look(request: Request) -> Response:
    """Return how far an upload with a grant is, in headers.

    A request that still appends to it ends, so the offset stays true.
    """
    return await _one(request)


@api.operation(
    "PATCH /v1/g/{token}/uploads/{id}",
    "appendWithGrant",
    interop.RESUMABLE_APPENDED,
    parameters=interop.RESUMABLE_APPEND,
    body=interop.EITHER_BODY,
    problems=interop.TUS_APPEND_REFUSED,
    public=True,
    plain=True,
)
async def append(request: Request) -> Response:
    """Append bytes to an upload with a grant."""
    return await _one(request)


@api.operation(
    "DELETE /v1/g/{token}/uploads/{id}",
    "cancelWithGrant",
    common.no_content("The upload and its bytes are deleted."),
    parameters=(interop.INTEROP,),
    problems=(*interop.TUS_REFUSED, *interop.CANCEL_REFUSED),
    public=True,
    plain=True,
)
async def cancel(request: Request) -> Response:
    """Cancel an upload with a grant. A finished file cannot be deleted with it."""
    return await _one(request)


@api.operation(
    "POST /v1/g/{token}/uploads/{id}",
    "overrideWithGrant",
    interop.TUS_APPENDED,
    parameters=(interop.TUS_OVERRIDE, *interop.TUS_APPEND),
    body=interop.TUS_BODY,
    problems=interop.TUS_APPEND_REFUSED,
    public=True,
    plain=True,
)
async def override(request: Request) -> Response:
    """Carry out the method that `X-HTTP-Method-Override` names.

    For clients of tus that know neither PATCH nor DELETE.
    """
    server = services(request)
    principal, _ = await bearer(request, server, Action.UPLOAD)
    return await tus_routes.serve(request, server, principal)
