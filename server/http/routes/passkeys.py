"""`/v1/passkeys`: the caller's passkeys. `/v1/session/passkey`: sign in with one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import (
    Forbidden,
    NameTaken,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from lading.server.access.cookie import check_not_foreign
from lading.server.access.visitor import visitor_of
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.http.routes.session import SIGNED_IN, note_entry, signed_in
from lading.server.services import Services, services
from lading.server.urls import absolute, origin, url

api = Operations("Accounts")


def _base(request: Request, server: Services) -> str:
    return absolute(server.settings, origin(request), "")


# -- the caller's own


@api.operation(
    "GET /v1/passkeys",
    "listPasskeys",
    common.ok(schemas.accounts.PasskeyList, "At most 20."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.accounts.PasskeyList:
    """List the caller's passkeys, the newest first."""
    server = services(request)
    principal = await server.acting(request)
    passkeys = server.need_passkeys()
    found = await passkeys.of_user(principal.user_id)
    return schemas.accounts.PasskeyList(
        passkeys=[schemas.accounts.passkey_of(each) for each in found]
    )


@api.operation(
    "POST /v1/passkeys/options",
    "askForNewPasskey",
    common.ok(schemas.accounts.PasskeyQuestion, "For `navigator.credentials.create`."),
    body=common.json_body(schemas.accounts.AskPasskey, {"password": "correct horse"}),
    problems=(NotFound, RateLimited),
)
async def ask(request: Request) -> schemas.accounts.PasskeyQuestion:
    """Say what to ask a device for, to make a passkey.

    The caller proves the password, if the account has one. The answer is good for five minutes.
    """
    server = services(request)
    principal = await server.principal(request)
    passkeys = server.need_passkeys()
    body = await read_json(request, schemas.accounts.AskPasskey)
    question = await passkeys.ask_to_add(
        principal, body.password, _base(request, server), visitor_of(request)
    )
    return schemas.accounts.PasskeyQuestion(options=dict(question.options), state=question.state)


@api.operation(
    "POST /v1/passkeys",
    "addPasskey",
    common.created(schemas.accounts.Passkey, "The passkey.", "Its address, to delete it."),
    body=common.json_body(
        schemas.accounts.AddPasskey, {"state": "eyJ", "credential": {}, "label": "Ann's phone"}
    ),
    problems=(NotFound, NameTaken),
)
async def add(request: Request) -> Answer:
    """Keep a passkey that a device made."""
    server = services(request)
    principal = await server.principal(request)
    passkeys = server.need_passkeys()
    body = await read_json(request, schemas.accounts.AddPasskey)
    passkey = await passkeys.add(
        principal, body.state, body.credential, body.label, _base(request, server)
    )
    address = url(server.settings, f"/v1/passkeys/{passkey.text_id}")
    return Answer(schemas.accounts.passkey_of(passkey), 201, address)


@api.operation(
    "DELETE /v1/passkeys/{passkey_id}",
    "deletePasskey",
    common.no_content("Nobody signs in with it any more."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def remove(request: Request) -> None:
    """Delete a passkey."""
    server = services(request)
    principal = await server.acting(request)
    passkeys = server.need_passkeys()
    await passkeys.remove(principal.user_id, request.path_params["passkey_id"])


# -- signing in


@api.operation(
    "POST /v1/session/passkey/options",
    "askForPasskey",
    common.ok(schemas.accounts.PasskeyQuestion, "For `navigator.credentials.get`."),
    body=common.json_body(schemas.types.NoFields, {}, required=False),
    problems=(NotFound,),
    public=True,
)
async def ask_to_sign_in(request: Request) -> schemas.accounts.PasskeyQuestion:
    """Say what to ask a device for, to sign in with a passkey.

    The answer is good for five minutes.
    """
    server = services(request)
    passkeys = server.need_passkeys()
    await read_json(request, schemas.types.NoFields)
    question = passkeys.ask_to_sign_in(_base(request, server))
    return schemas.accounts.PasskeyQuestion(options=dict(question.options), state=question.state)


@api.operation(
    "POST /v1/session/passkey",
    "beginSessionWithPasskey",
    SIGNED_IN,
    body=common.json_body(schemas.accounts.ShownPasskey, {"state": "eyJ", "credential": {}}),
    problems=(Unauthorized, Forbidden, NotFound, Unavailable),
    public=True,
)
async def sign_in(request: Request) -> Response:
    """Sign in with a passkey.

    A state is good once. Where pages are concerned, only the server's own can sign in.
    """
    server = services(request)
    passkeys = server.need_passkeys()
    check_not_foreign(request, server.settings.public_url)
    body = await read_json(request, schemas.accounts.ShownPasskey)
    signed = await passkeys.sign_in(
        body.state, body.credential, _base(request, server), visitor_of(request)
    )
    await note_entry(server, signed)
    return signed_in(request, server, signed)
