"""`/v1/tus`: uploads by tus 1.0, for the clients that the world has already.

The routes only; what the requests do is in `server/http/tus/`. An upload that was begun here can be
continued by any other transport, and the other way round: the id is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol import tus
from lading.protocol.errors import MethodNotAllowed
from lading.protocol.grants import Action
from lading.server.access.cookie import SAFE
from lading.server.access.principal import Principal
from lading.server.http.openapi import common, interop
from lading.server.http.openapi.operation import Operations
from lading.server.http.tus import requests
from lading.server.http.tus.answers import PATH, answer, offers
from lading.server.services import Services, services
from lading.server.urls import absolute, origin

api = Operations("tus")

Serve = Callable[[Request, Services, Principal], Awaitable[Response]]

SERVED: dict[str, Serve] = {
    "HEAD": requests.look,
    "GET": requests.look,
    "PATCH": requests.append,
    "DELETE": requests.terminate,
}
"""What the methods of an upload's address do."""


def method_of(request: Request) -> str:
    """The method that is meant: some clients and proxies know only GET and POST.

    Raises MethodNotAllowed where a method that changes nothing is to do more: the cookie admits
    such a request without a proof that a page of ours sent it.
    """
    meant: str = request.headers.get(tus.OVERRIDE, request.method).upper()
    if request.method in SAFE and meant not in SAFE:
        raise MethodNotAllowed(f"{request.method} cannot stand for {meant}; send it as POST.")
    return meant


async def serve(request: Request, server: Services, principal: Principal) -> Response:
    """Carry out a request to the address of one upload."""
    requests.check_version(request)
    handler = SERVED.get(method_of(request))
    if handler is None:
        raise MethodNotAllowed("An upload takes HEAD, PATCH and DELETE.")
    return await handler(request, server, principal)


@api.operation(
    "OPTIONS /v1/tus",
    "describeTus",
    interop.TUS_OFFERS,
    parameters=common.OWN_FILE,
    public=True,
    plain=True,
)
async def describe(_request: Request) -> Response:
    """Say which version of tus and which extensions are spoken.

    `Tus-Resumable` is not needed here.
    """
    return answer(204, offers(None))


@api.operation(
    "POST /v1/tus",
    "createTus",
    interop.TUS_CREATED,
    parameters=(*common.OWN_FILE_QUERY, *interop.TUS_NEW),
    body=interop.TUS_BODY,
    problems=interop.TUS_NEW_REFUSED,
    plain=True,
)
async def create(request: Request) -> Response:
    """Create an upload by tus.

    With a body of the type `application/offset+octet-stream` its first bytes are stored, too. A
    final upload is made of partial ones.
    """
    server = services(request)
    if method_of(request) == "OPTIONS":
        return answer(204, offers(None))
    principal = await server.acting(request, Action.UPLOAD)
    base = origin(request)

    def address(upload_id: str) -> str:
        return absolute(server.settings, base, f"{PATH}/{upload_id}")

    return await requests.create(request, server, principal, address)


async def _one(request: Request) -> Response:
    server = services(request)
    return await serve(request, server, await server.principal(request, Action.UPLOAD))


@api.operation(
    "OPTIONS /v1/tus/{id}", "describeTusUpload", interop.TUS_OFFERS, public=True, plain=True
)
async def describe_one(_request: Request) -> Response:
    """Say which version of tus and which extensions an upload takes."""
    return answer(204, offers(None))


@api.operation(
    "GET /v1/tus/{id}",
    "lookTus",
    interop.TUS_STATE,
    parameters=(interop.TUS_VERSION,),
    problems=interop.TUS_REFUSED,
    head=True,
    plain=True,
)
async def look(request: Request) -> Response:
    """Return the offset of an upload, in headers.

    A request that still appends to it ends, so the offset stays true. HEAD is the usual method.
    """
    return await _one(request)


@api.operation(
    "PATCH /v1/tus/{id}",
    "appendTus",
    interop.TUS_APPENDED,
    parameters=interop.TUS_APPEND,
    body=interop.TUS_BODY,
    problems=interop.TUS_APPEND_REFUSED,
    plain=True,
)
async def append(request: Request) -> Response:
    """Append bytes to an upload.

    What arrived of a request that breaks off is kept. The upload is published with its last byte.
    """
    return await _one(request)


@api.operation(
    "DELETE /v1/tus/{id}",
    "terminateTus",
    common.no_content("The upload, or the file that it became, is deleted."),
    parameters=(interop.TUS_VERSION,),
    problems=interop.TUS_REFUSED,
    plain=True,
)
async def terminate(request: Request) -> Response:
    """Delete an upload and its bytes."""
    return await _one(request)


@api.operation(
    "POST /v1/tus/{id}",
    "overrideTus",
    interop.TUS_APPENDED,
    parameters=(interop.TUS_OVERRIDE, *interop.TUS_APPEND),
    body=interop.TUS_BODY,
    problems=interop.TUS_APPEND_REFUSED,
    plain=True,
)
async def override(request: Request) -> Response:
    """Carry out the method that `X-HTTP-Method-Override` names.

    For clients and networks that know neither PATCH nor DELETE.
    """
    return await _one(request)
