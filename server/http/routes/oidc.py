"""Signing in at an OpenID provider: the browser goes there, and comes back to `/oidc/callback`.

Both addresses are outside of `/v1/`, where nothing in a query is ignored: providers add parameters
of their own, and the cookie of the way there is sent to `/oidc` only.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lading.protocol.errors import LadingError, NotFound, Unavailable
from lading.server.access.cookie import FLOW_COOKIE, give_cookie, take_cookie
from lading.server.access.visitor import visitor_of
from lading.server.http.openapi.operation import Operations, Parameter, Reply
from lading.server.http.routes.session import give_session, note_entry
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.urls import absolute, origin

api = Operations("Accounts")

_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _answer(name: str, text: str) -> Parameter:
    return Parameter(name, text, {"type": "string"})


@api.operation(
    "GET /oidc",
    "beginOidc",
    {
        303: Reply(
            "The provider; or the page with `#oidc=` and the code of an error.",
            headers={"Location": "Where to sign in.", "Set-Cookie": "For the way back."},
        )
    },
    problems=(NotFound, Unavailable),
    public=True,
)
async def begin(request: Request) -> Response:
    """Send the browser to the OpenID provider, to sign in there."""
    server = services(request)
    _, provider = server.need_provider()
    redirect_uri = absolute(server.settings, origin(request), "/oidc/callback")
    try:
        address, flow = await provider.begin(redirect_uri)
    except Unavailable as error:
        return _failed(request, error, "./")
    response = RedirectResponse(address, 303, _QUIET)
    give_cookie(
        response,
        request,
        flow,
        public_url=server.settings.public_url,
        seconds=server.limits.accounts.oidc_seconds,
        name=FLOW_COOKIE,
    )
    return response


@api.operation(
    "GET /oidc/callback",
    "finishOidc",
    {
        303: Reply(
            "The page; with `#oidc=` and the code of an error, where the sign-in failed.",
            headers={"Location": "The page.", "Set-Cookie": "The session's."},
        )
    },
    parameters=(
        _answer("code", "What this server exchanges for a token."),
        _answer("state", "What the browser took along."),
        _answer("iss", "The provider (RFC 9207)."),
        _answer("error", "Why there is no code."),
    ),
    problems=(NotFound,),
    public=True,
)
async def finish(request: Request) -> Response:
    """Take the browser back from the OpenID provider, and begin a session."""
    server = services(request)
    server.need_provider()
    try:
        response = await _entered(request, server)
    except LadingError as error:
        response = _failed(request, error, "../")
    take_cookie(response, request, server.settings.public_url, FLOW_COOKIE)
    return response


async def _entered(request: Request, server: Services) -> Response:
    accounts, provider = server.need_provider()
    kept = request.cookies.get(FLOW_COOKIE)
    identity = await provider.finish(kept, dict(request.query_params))
    signed = await accounts.enter(identity, visitor_of(request))
    await note_entry(server, signed)
    response = RedirectResponse("../", 303, _QUIET)
    give_session(response, request, server, signed)
    return response


def _failed(request: Request, error: LadingError, home: str) -> Response:
    """Back to the page, which says it to people."""
    record_of(request.scope).code = error.code
    return RedirectResponse(f"{home}#oidc={error.code}", 303, _QUIET)
