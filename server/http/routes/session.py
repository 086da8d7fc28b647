"""`/v1/session`: sign in and out. `/?token=…`: a token becomes the web page's cookie.

A program that has a token needs none of this: it sends the token as a bearer.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lading.protocol.errors import (
    Forbidden,
    InvalidArgument,
    LadingError,
    NameTaken,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from lading.protocol.grants import Action
from lading.server.access.authenticate import authenticate
from lading.server.access.cookie import (
    COOKIE,
    DEVICE_COOKIE,
    REFRESH_COOKIE,
    bearer,
    check_not_foreign,
    give_cookie,
    refresh_token,
    take_cookie,
)
from lading.server.access.grants import check_token
from lading.server.access.principal import Principal
from lading.server.access.visitor import visitor_of
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.endpoints import adapter
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations, Reply
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.storage.collections.audit import Act

if TYPE_CHECKING:
    from lading.server.access.sessions import SignedIn

api = Operations("Accounts")

_QUIET = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

DEVICE_SECONDS = 365 * 24 * 3600.0
"""How long a browser is known in which somebody signed in."""

_COOKIES = {"Set-Cookie": "For this server's own pages."}
SIGNED_IN = {200: Reply("The session.", {JSON: schemas.accounts.SignedIn}, _COOKIES)}
"""What every operation answers that begins a session or goes on with one."""


@api.operation(
    "GET /v1/session/ways",
    "getWays",
    common.ok(schemas.accounts.Ways, "The ways."),
    public=True,
)
async def ways(request: Request) -> schemas.accounts.Ways:
    """Say how one signs in here."""
    server = services(request)
    found = schemas.accounts.Ways(ways=["token"], provider=None, signup=server.settings.signup)
    if server.accounts is not None:
        found["ways"][:0] = ["password", "passkey"]
    if server.provider is not None:
        found["ways"].insert(0, "oidc")
        found["provider"] = server.provider.host
    return found


@api.operation(
    "POST /v1/signup",
    "signUp",
    {201: Reply("The account's first session.", {JSON: schemas.accounts.SignedIn}, _COOKIES)},
    body=common.json_body(schemas.accounts.SignUp, {"name": "ann", "password": "correct horse"}),
    problems=(Unauthorized, Forbidden, NotFound, NameTaken, RateLimited, Unavailable),
    public=True,
)
async def sign_up(request: Request) -> Response:
    """Make an account for oneself, and begin its first session.

    Where `LADING_SIGNUP` is `invite`, the token of an invitation is needed. Where pages are
    concerned, only the server's own can sign up.
    """
    server = services(request)
    accounts = server.need_accounts()
    check_not_foreign(request, server.settings.public_url)
    body = await read_json(request, schemas.accounts.SignUp)
    grant = None
    if server.settings.signup == "closed":
        raise Forbidden("Nobody can sign up here; ask the administrator for an account.")
    if body.invitation is not None:
        check_token(body.invitation)
        grant = (await authenticate(server.authenticator, body.invitation, Action.SIGNUP)).grant
    elif server.settings.signup == "invite":
        raise Forbidden("You need an invitation; ask the administrator for one.")
    signed = await accounts.sign_up(body.name, body.password, grant, visitor_of(request))
    await note_entry(server, signed, Act.USER_CREATED)
    return signed_in(request, server, signed, 201)


@api.operation(
    "POST /v1/session",
    "beginSession",
    {
        **SIGNED_IN,
        204: Reply("The bearer token is stored.", headers=_COOKIES),
    },
    body=common.json_body(schemas.accounts.SignIn, {}, required=False),
    problems=(Unauthorized, Forbidden, NotFound, RateLimited, Unavailable),
    public=True,
)
async def begin(request: Request) -> Response:
    """Sign in with a name and a password, or store the bearer token of this request.

    Either becomes the web page's cookie. With a name and a password a session begins; the answer
    has an access token, and a cookie the refresh token. Where pages are concerned, only the
    server's own can sign in.
    """
    server = services(request)
    body = await read_json(request, schemas.accounts.SignIn)
    if (body.name is None) != (body.password is None):
        raise InvalidArgument("`name` and `password` belong together.")
    if body.name is not None and body.password is not None:
        accounts = server.need_accounts()
        check_not_foreign(request, server.settings.public_url)
        signed = await accounts.sign_in(body.name, body.password, visitor_of(request))
        await note_entry(server, signed)
        return signed_in(request, server, signed)
    principal = await server.principal(request)
    response = Response(status_code=204, headers=_QUIET)
    token = bearer(request, server.settings.public_url)
    if token is not None:
        _remember(response, request, server, principal, token)
        await server.uploads.audit.note(Act.SIGNED_IN, principal)
    return response


@api.operation(
    "POST /v1/session/refresh",
    "refreshSession",
    SIGNED_IN,
    body=common.json_body(schemas.types.NoFields, {}, required=False),
    problems=(Unauthorized, NotFound, Unavailable),
    public=True,
)
async def refresh(request: Request) -> Response:
    """Go on with a session: another access token, and another refresh token.

    The credential is the cookie with the refresh token, from the server's own page. A refresh token
    is good once; if it comes again later than 30 s afterwards, the session ends.
    """
    server = services(request)
    accounts = server.need_accounts()
    await read_json(request, schemas.types.NoFields)
    token = refresh_token(request, server.settings.public_url)
    return signed_in(request, server, await accounts.sessions.refresh(token, visitor_of(request)))


@api.operation(
    "POST /v1/session/password",
    "changePassword",
    SIGNED_IN,
    body=common.json_body(
        schemas.accounts.ChangePassword,
        {"password": "correct horse", "new_password": "battery staple"},
    ),
    problems=(NotFound, RateLimited),
)
async def change_password(request: Request) -> Response:
    """Change the caller's password.

    All sessions of the account end, and a new one begins here.
    """
    server = services(request)
    principal = await server.principal(request)
    accounts = server.need_accounts()
    body = await read_json(request, schemas.accounts.ChangePassword)
    signed = await accounts.set_password(
        principal, body.password, body.new_password, visitor_of(request)
    )
    return signed_in(request, server, signed)


@api.operation(
    "DELETE /v1/session",
    "endSession",
    {204: Reply("It is over.", headers={"Set-Cookie": "Empty and expired."})},
    problems=(Unavailable,),
    public=True,
)
async def end(request: Request) -> Response:
    """Sign out: end the session, and delete the web page's cookies."""
    server = services(request)
    public_url = server.settings.public_url
    response = Response(status_code=204, headers=_QUIET)
    for name in (COOKIE, REFRESH_COOKIE) if server.accounts else (COOKIE,):
        take_cookie(response, request, public_url, name)
    if server.accounts is not None:
        access = refreshing = None
        # Another site's page can take the cookies away, but end no session.
        with suppress(Unauthorized):
            access = bearer(request, public_url)
        with suppress(Unauthorized):
            refreshing = refresh_token(request, public_url)
        await server.accounts.sessions.leave(access, refreshing)
    return response


async def exchange(request: Request, token: str) -> Response:
    """The answer to `/?token=…`: the cookie, and a redirect to the page without the token.

    A token that is refused redirects to the page, too, which then asks for another. So does that of
    a session: nobody may be led into the session of somebody else.
    """
    server = services(request)
    try:
        principal = await authenticate(server.authenticator, token)
    except LadingError:
        return RedirectResponse("./#refused", 303, _QUIET)
    if principal.session_id is not None:
        return RedirectResponse("./#refused", 303, _QUIET)
    record_of(request.scope).user_id = principal.user_id
    response = RedirectResponse("./", 303, _QUIET)
    _remember(response, request, server, principal, token)
    await server.uploads.audit.note(Act.SIGNED_IN, principal)
    return response


async def note_entry(server: Services, signed: SignedIn, act: Act = Act.SIGNED_IN) -> None:
    """Keep in the audit log who has begun a session."""
    await server.uploads.audit.note(act, Principal(signed.session.user_id))


def signed_in(request: Request, server: Services, signed: SignedIn, status: int = 200) -> Response:
    """The answer with the tokens of a session."""
    shown = schemas.accounts.SignedIn(
        user_id=signed.session.user_id,
        session_id=signed.session.id,
        token=signed.access,
        expires_at=schemas.types.moment(signed.expires_at),
    )
    body = adapter(schemas.accounts.SignedIn).dump_json(shown)
    response = Response(body, status, _QUIET, media_type=JSON)
    give_session(response, request, server, signed)
    return response


def give_session(response: Response, request: Request, server: Services, signed: SignedIn) -> None:
    """Put the tokens of a session into the cookies of the browser."""
    record_of(request.scope).user_id = signed.session.user_id
    now, limits = server.clock(), server.limits.accounts
    kept = [
        (COOKIE, signed.access, signed.expires_at - now),
        (REFRESH_COOKIE, signed.refresh, limits.session_seconds),
        (DEVICE_COOKIE, signed.device, DEVICE_SECONDS),
    ]
    for name, token, seconds in kept:
        if token is not None:
            public_url = server.settings.public_url
            give_cookie(response, request, token, public_url=public_url, seconds=seconds, name=name)


def _remember(
    response: Response, request: Request, server: Services, principal: Principal, token: str
) -> None:
    seconds = None if principal.expires is None else principal.expires - server.clock()
    public_url = server.settings.public_url
    give_cookie(response, request, token, public_url=public_url, seconds=seconds)
