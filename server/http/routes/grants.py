"""`/v1/grants`: mint and revoke grants. `/v1/g/{token}`: use one without any other credential.

It owns what a grant is asked for and shown by. It refuses to know what a grant allows:
`protocol/grants.py` says, and whoever fetches an upload or creates one asks it.
Source: page 4 of the design (grants).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import Forbidden, Gone, NotFound, Unauthorized
from lading.protocol.grants import HIGHEST_QUALITY, ORIGINAL, Action, Grant
from lading.protocol.manifest import Manifest
from lading.protocol.spec import check_id
from lading.server.access.grants import is_token, new_token
from lading.server.access.principal import Principal
from lading.server.http.body import read_json
from lading.server.http.download import respond
from lading.server.http.models import NewDownloadGrant, NewGrant, NewUploadGrant
from lading.server.http.routes.files import page_size, take
from lading.server.http.routes.media import take_media
from lading.server.http.shapes import answer, moment
from lading.server.services import Services, services
from lading.server.settings import Settings
from lading.server.urls import channel_url, grant_url, minted_grant_url
from lading.storage.collections.manifests import new_id

_OF_UPLOADS = ("name", "directory", "size", "max_size", "sha256", "mime_types", "uses", "used")
_OF_DOWNLOADS = ("file_id", "quality")


# -- minting


async def mint(request: Request) -> Response:
    """`POST /v1/grants`: a new grant and its token, which is told this once."""
    server = services(request)
    minter = await server.principal(request)
    if not (minter.may_grant or minter.admin):
        raise Forbidden("This credential does not allow to mint grants; its scope lacks grant.")
    body = (await read_json(request, NewGrant)).root
    grant = _grant(body, minter, server.clock())
    grant.check()
    if grant.file_id is not None:
        # Whoever may mint for every user may say that a file is to be shown.
        file = await server.uploads.find(grant.file_id, body.user_id)
        grant = replace(grant, user_id=file.user_id)
    token = new_token()
    await server.grants.insert(grant, token)
    headers = {"Location": minted_grant_url(server.settings, grant.id)}
    return answer(_minted(server.settings, grant, token), 201, headers)


def _grant(body: NewUploadGrant | NewDownloadGrant, minter: Principal, now: float) -> Grant:
    given = body.model_dump(exclude={"action", "user_id", "expires_in"}, exclude_none=True)
    if "mime_types" in given:
        given["mime_types"] = tuple(given["mime_types"])
    return Grant(
        id=new_id(now),
        action=Action(body.action),
        user_id=minter.user_id if body.user_id is None else body.user_id,
        minter=minter.user_id,
        created_at=now,
        expires_at=now + body.expires_in,
        **given,
    )


def _minted(settings: Settings, grant: Grant, token: str) -> dict[str, Any]:
    return {
        "id": grant.id,
        "token": token,
        "url": grant_url(settings, token),
        "ws_url": channel_url(settings),
        "expires_at": moment(grant.expires_at),
    }


# -- looking after them


def _shape(grant: Grant) -> dict[str, Any]:
    names = _OF_UPLOADS if grant.action is Action.UPLOAD else _OF_DOWNLOADS
    return {
        "id": grant.id,
        "action": str(grant.action),
        "user_id": grant.user_id,
        "minter": grant.minter,
        "created_at": moment(grant.created_at),
        "expires_at": moment(grant.expires_at),
        **{name: getattr(grant, name) for name in names},
    }


async def _own(request: Request, server: Services) -> Grant:
    """The grant that is asked for, if the caller minted it or is an admin."""
    principal = await server.principal(request)
    grant_id = check_id(request.path_params["id"])
    grant = await server.grants.get(grant_id)
    if grant is None or not (principal.admin or grant.minter == principal.user_id):
        raise NotFound(f"There is no grant {grant_id}.")
    return grant


async def listing(request: Request) -> Response:
    """`GET /v1/grants`: what the caller minted, the newest first."""
    server = services(request)
    principal = await server.principal(request)
    cursor = request.query_params.get("cursor")
    before = None if cursor is None else check_id(cursor)
    most = page_size(request.query_params.get("limit"))
    found = await server.grants.minted(principal.user_id, before=before, most=most + 1)
    grants = found[:most]
    more = grants[-1].id if len(found) > most else None
    return answer({"grants": [_shape(grant) for grant in grants], "cursor": more})


async def show(request: Request) -> Response:
    """`GET /v1/grants/{id}`: its bounds and its uses; never its token, which is not kept."""
    return answer(_shape(await _own(request, services(request))))


async def revoke(request: Request) -> Response:
    """`DELETE /v1/grants/{id}`: from now on its token is worth nothing."""
    server = services(request)
    grant = await _own(request, server)
    await server.grants.revoke(grant.id)
    return Response(status_code=204)


# -- using them


async def _bearer(
    request: Request, server: Services, action: Action, *others: Action
) -> tuple[Principal, Grant]:
    token = request.path_params["token"]
    if not is_token(token):
        raise Unauthorized("This address needs the token of a grant.")
    principal = await server.authenticator.principal(token)
    assert principal.grant is not None
    if principal.grant.action not in others:
        principal.check_action(action)
    return principal, principal.grant


async def upload(request: Request) -> Response:
    """`PUT`, `POST /v1/g/{token}`: the body is the file, or a form with one file part."""
    server = services(request)
    principal, grant = await _bearer(request, server, Action.UPLOAD, Action.MEDIA_UPLOAD)
    if grant.action is Action.MEDIA_UPLOAD:
        return await take_media(request, server, principal)
    return await take(request, server, principal)


async def fetch(request: Request) -> Response:
    """`GET`, `HEAD /v1/g/{token}[/{quality}]`: the bytes, for players and image tags, too."""
    server = services(request)
    quality, manifest = await _file(request, server)
    if quality != ORIGINAL:
        raise NotFound(f"There is no image of this file in the quality {quality}.")
    response = await respond(request, server.uploads, manifest)
    # The address is the credential: pages of any site may show what it leads to, and must not
    # pass it on.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def check(request: Request) -> Response:
    """`GET /v1/g/{token}[/{quality}]/check`: whether a proxy may serve the file itself.

    204 with the file's id, 401 or 403: the answers that nginx's `auth_request` understands.
    """
    try:
        quality, manifest = await _file(request, services(request))
    except (NotFound, Gone) as error:
        raise Forbidden("The file of this grant is not here any more.") from error
    headers = {
        "X-Lading-File": manifest.id,
        "X-Lading-Quality": str(quality),
        "Cache-Control": "no-store",
    }
    return Response(status_code=204, headers=headers)


async def _file(request: Request, server: Services) -> tuple[int, Manifest]:
    """The file of a download grant and the quality that is asked for."""
    principal, grant = await _bearer(request, server, Action.DOWNLOAD)
    asked = request.path_params.get("quality")
    quality = grant.quality or ORIGINAL
    if asked is not None:
        if asked not in [str(each) for each in range(HIGHEST_QUALITY + 1)]:
            raise NotFound(f"A quality is a number from {ORIGINAL} to {HIGHEST_QUALITY}.")
        quality = int(asked)
    grant.check_quality(quality)
    assert grant.file_id is not None
    return quality, await server.uploads.get(principal, grant.file_id)
