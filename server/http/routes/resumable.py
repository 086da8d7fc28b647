"""`/v1/resumable`: the IETF's resumable uploads, as phones speak them.

The routes only; what the requests do is in `server/http/resumable/`. `POST /v1/files` and the
addresses of grants speak the same, with upload resources here or below the grant.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.grants import Action
from lading.server.http.addresses import Address
from lading.server.http.openapi import common, interop
from lading.server.http.openapi.operation import Operations
from lading.server.http.resumable import requests
from lading.server.services import Services, services
from lading.server.urls import absolute, origin

api = Operations("Resumable")

PATH = "/v1/resumable"


def upload_resource(request: Request, server: Services) -> Address:
    """How the URL of an upload resource is made, for the answers to a request."""
    base = origin(request)
    return lambda upload_id: absolute(server.settings, base, f"{PATH}/{upload_id}")


@api.operation(
    "OPTIONS /v1/resumable",
    "describeResumable",
    interop.UPLOAD_LIMITS,
    parameters=common.OWN_FILE,
    public=True,
)
async def describe(request: Request) -> Response:
    """Say that uploads can be resumed here, and their limits."""
    return requests.options(request, None)


@api.operation(
    "POST /v1/resumable",
    "createResumable",
    interop.RESUMABLE_CREATED,
    parameters=(*common.OWN_FILE, *interop.RESUMABLE_NEW),
    body=interop.RAW_BODY,
    problems=interop.RESUMABLE_REFUSED,
)
async def create(request: Request) -> Response:
    """Create a resumable upload with all of a file, its beginning, or none of it.

    As soon as the upload exists, an interim answer 104 tells its address, to a client that names a
    known `Upload-Draft-Interop-Version`.
    """
    server = services(request)
    principal = await server.acting(request, Action.UPLOAD)
    return await requests.create(request, server, principal, upload_resource(request, server))


@api.operation("OPTIONS /v1/resumable/{id}", "describeUpload", interop.UPLOAD_LIMITS, public=True)
async def describe_one(request: Request) -> Response:
    """Say that an upload can be resumed."""
    return requests.options(request, None)


@api.operation(
    "GET /v1/resumable/{id}",
    "lookResumable",
    interop.RESUMABLE_STATE,
    parameters=(interop.INTEROP,),
    problems=common.NO_FILE,
    head=True,
)
async def look(request: Request) -> Response:
    """Return how far an upload is, in headers.

    A request that still appends to it ends, so the offset stays true. HEAD is the usual method.
    """
    server = services(request)
    return await requests.look(request, server, await server.principal(request, Action.UPLOAD))


@api.operation(
    "PATCH /v1/resumable/{id}",
    "appendResumable",
    interop.RESUMABLE_APPENDED,
    parameters=interop.RESUMABLE_APPEND,
    body=interop.PARTIAL_BODY,
    problems=interop.RESUMABLE_APPEND_REFUSED,
)
async def append(request: Request) -> Response:
    """Append bytes to an upload; with `Upload-Complete: ?1` it is published.

    What arrived of a request that breaks off is kept.
    """
    server = services(request)
    return await requests.append(request, server, await server.principal(request, Action.UPLOAD))


@api.operation(
    "DELETE /v1/resumable/{id}",
    "cancelResumable",
    common.no_content("The upload and its bytes are deleted."),
    parameters=(interop.INTEROP,),
    problems=interop.CANCEL_REFUSED,
)
async def cancel(request: Request) -> Response:
    """Cancel an upload. A finished file is deleted at its own address."""
    server = services(request)
    return await requests.cancel(request, server, await server.principal(request, Action.UPLOAD))
