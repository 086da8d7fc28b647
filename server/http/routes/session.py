"""`/v1/session`, and `/?token=…`: a credential becomes the cookie of the web page.

Programs need none of it. Source: page 4 of the design, "Access".
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lading.protocol.errors import LadingError
from lading.server.access.cookie import bearer, give_cookie, take_cookie
from lading.server.access.principal import Principal
from lading.server.services import Services, services

_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def begin(request: Request) -> Response:
    """`POST /v1/session`: keep the bearer token of this request in the page's cookie."""
    server = services(request)
    principal = await server.principal(request)
    response = Response(status_code=204, headers=_QUIET)
    token = bearer(request, server.settings.public_url)
    if token is not None:
        _remember(response, request, server, principal, token)
    return response


async def end(request: Request) -> Response:
    """`DELETE /v1/session`: forget the cookie."""
    response = Response(status_code=204, headers=_QUIET)
    take_cookie(response, request, services(request).settings.public_url)
    return response


async def exchange(request: Request, token: str) -> Response:
    """The answer to `/?token=…`: the cookie, and the page's address without the token.

    A token that is not good leads to the page, too, which then asks for another.
    """
    server = services(request)
    try:
        principal = await server.authenticator.principal(token)
        principal.check_action(None)
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
