"""`/v1/session`, and `/?token=…`: a credential becomes the web page's cookie.

Only the web page needs this; programs send a bearer token.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lading.protocol.errors import LadingError
from lading.server.access.authenticate import authenticate
from lading.server.access.cookie import bearer, give_cookie, take_cookie
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Reply
from lading.server.services import Services, services

api = Operations("Service")

_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@api.operation(
    "POST /v1/session",
    "beginSession",
    {204: Reply("It is stored.", headers={"Set-Cookie": "For this server's own pages."})},
    body=common.json_body(schemas.types.NoFields, {}, required=False),
)
async def begin(request: Request) -> Response:
    """Store the bearer token of this request in the web page's cookie."""
    server = services(request)
    principal = await server.principal(request)
    await read_json(request, schemas.types.NoFields)
    response = Response(status_code=204, headers=_QUIET)
    token = bearer(request, server.settings.public_url)
    if token is not None:
        _remember(response, request, server, principal, token)
    return response


@api.operation(
    "DELETE /v1/session",
    "endSession",
    {204: Reply("It is deleted.", headers={"Set-Cookie": "Empty and expired."})},
    public=True,
)
async def end(request: Request) -> Response:
    """Delete the web page's cookie."""
    response = Response(status_code=204, headers=_QUIET)
    take_cookie(response, request, services(request).settings.public_url)
    return response


async def exchange(request: Request, token: str) -> Response:
    """The answer to `/?token=…`: the cookie, and a redirect to the page without the token.

    A token that is refused redirects to the page, too, which then asks for another.
    """
    server = services(request)
    try:
        principal = await authenticate(server.authenticator, token)
    except LadingError:
        return RedirectResponse("./#refused", 303, _QUIET)
    response = RedirectResponse("./", 303, _QUIET)
    _remember(response, request, server, principal, token)
    return response


def _remember(
    response: Response, request: Request, server: Services, principal: Principal, token: str
) -> None:
    seconds = None if principal.expires is None else principal.expires - server.clock()
    public_url = server.settings.public_url
    give_cookie(response, request, token, public_url=public_url, seconds=seconds)
