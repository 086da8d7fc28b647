"""`/v1/grants`: create and revoke grants. `/v1/g/{token}`: use one without another credential.

What a grant allows stands in `protocol/grants.py`; it is checked where uploads are created and
files are read.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.allowed_types import is_allowed
from lading.protocol.errors import (
    AlreadyComplete,
    ChunkConflict,
    Forbidden,
    Gone,
    Incomplete,
    NotFound,
    OutOfBounds,
)
from lading.protocol.grants import ORIGINAL, Action, Grant
from lading.protocol.manifest import Manifest
from lading.protocol.media_types import essence
from lading.protocol.spec import check_id
from lading.server.access.authenticate import authenticate
from lading.server.access.grants import check_token, new_token
from lading.server.access.principal import Principal
from lading.server.access.watching import check_watching, watcher
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.download import respond, respond_picture
from lading.server.http.download.headers import Keeping
from lading.server.http.download.picture import quality_of
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations, Reply
from lading.server.http.routes.file_list import page_size
from lading.server.http.routes.files import take
from lading.server.http.routes.media import take_media
from lading.server.services import Services, services
from lading.server.urls import channel_url, grant_url, minted_grant_url
from lading.storage.collections.manifests import new_id

api = Operations("Grants")

_SENT = {
    200: Reply(
        "For a medium: the bytes are stored, but not yet published.", {JSON: schemas.files.Manifest}
    ),
    **common.created(
        schemas.files.StoredFiles, "The file is durable.", "The address of the file's bytes."
    ),
}
_UPLOAD_REFUSED = (*common.FILE_REFUSED, Incomplete, ChunkConflict, AlreadyComplete, OutOfBounds)
_CHECKED = {
    204: Reply(
        "It may.",
        headers={"X-Lading-File": "The file's id.", "X-Lading-Quality": "A number from 0 to 6."},
    )
}

# -- creating


@api.operation(
    "POST /v1/grants",
    "createGrant",
    common.created(
        schemas.grants.MintedGrant,
        "The grant and its token, which is shown only here.",
        "The address of the grant.",
        {
            **dict.fromkeys(("getGrant", "revokeGrant"), "/id"),
            **dict.fromkeys(("uploadWithGrant", "downloadWithGrant"), "/token"),
        },
    ),
    body=common.json_body(
        schemas.grants.NewGrant,
        {"action": "upload", "user_id": "ann", "max_size": 200000, "mime_types": ["image/*"]},
    ),
    problems=common.NO_FILE,
    keyed=True,
)
async def mint(request: Request) -> Answer:
    """Create a token for one upload or download.

    Only an admin, or a JSON Web Token with the scope `grant`, can do this.
    """
    server = services(request)
    minter = await server.principal(request)
    if not (minter.may_grant or minter.admin):
        raise Forbidden("This token cannot create grants: it lacks the scope `grant`.")
    body = (await read_json(request, schemas.grants.NewGrant)).root
    grant = _grant(body, minter, server.clock())
    grant.check()
    kind = server.uploads.kinds.find(grant.kind)
    if grant.file_id is not None:
        # A creator of grants acts for every user, so the file may be anyone's.
        file = await server.uploads.find(grant.file_id, body.user_id)
        grant = replace(grant, user_id=file.user_id)
    token = new_token()
    await server.grants.insert(grant, token)
    shown = schemas.grants.MintedGrant(
        id=grant.id,
        token=token,
        url=grant_url(server.settings, token),
        ws_url=channel_url(server.settings),
        expires_at=schemas.types.moment(grant.expires_at),
    )
    if kind is not None:
        shown["kind_rules"] = schemas.kinds.kind_of(kind)
    return Answer(shown, 201, minted_grant_url(server.settings, grant.id))


def _grant(
    body: schemas.grants.NewUploadGrant | schemas.grants.NewDownloadGrant,
    minter: Principal,
    now: float,
) -> Grant:
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


# -- managing


async def _own(request: Request, server: Services) -> Grant:
    """The requested grant, if the caller created it or is an admin."""
    principal = await server.principal(request)
    grant_id = check_id(request.path_params["id"])
    grant = await server.grants.get(grant_id)
    mine = grant is not None and (principal.admin or grant.minter == principal.user_id)
    if grant is None or not mine or grant.action is Action.MEDIA_UPLOAD:
        raise NotFound(f"There is no grant {grant_id}.")
    return grant


@api.operation(
    "GET /v1/grants",
    "listGrants",
    common.ok(schemas.grants.GrantList, "One page of grants."),
    parameters=(common.LIMIT, common.CURSOR, common.USER),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.grants.GrantList:
    """List the grants that the caller created, the newest first."""
    server = services(request)
    principal = await server.acting(request)
    cursor = request.query_params.get("cursor")
    before = None if cursor is None else check_id(cursor)
    most = page_size(request.query_params.get("limit"))
    found = await server.grants.minted(principal.user_id, before=before, most=most + 1)
    grants = found[:most]
    more = grants[-1].id if len(found) > most else None
    return schemas.grants.GrantList(
        grants=[schemas.grants.grant_of(grant) for grant in grants], cursor=more
    )


@api.operation(
    "GET /v1/grants/{id}",
    "getGrant",
    common.ok(schemas.grants.Grant, "Its bounds and uses, without its token."),
    problems=(NotFound,),
)
async def show(request: Request) -> schemas.grants.Grant:
    """Return one grant."""
    return schemas.grants.grant_of(await _own(request, services(request)))


@api.operation(
    "DELETE /v1/grants/{id}",
    "revokeGrant",
    common.no_content("Its token no longer works."),
    problems=(NotFound,),
)
async def revoke(request: Request) -> None:
    """Revoke a grant."""
    server = services(request)
    grant = await _own(request, server)
    await server.grants.revoke(grant.id)


# -- using


async def _bearer(request: Request, server: Services, *actions: Action) -> tuple[Principal, Grant]:
    token = request.path_params["token"]
    check_token(token)
    principal = await authenticate(server.authenticator, token, *actions)
    assert principal.grant is not None
    return principal, principal.grant


@api.operation(
    "PUT /v1/g/{token}",
    "uploadWithGrant",
    _SENT,
    parameters=common.NEW_FILE,
    body=common.FILE_BODY,
    problems=_UPLOAD_REFUSED,
    public=True,
    keyed=True,
)
@api.operation(
    "POST /v1/g/{token}",
    "postWithGrant",
    _SENT,
    summary="Upload with a grant, from a form or a script",
    parameters=common.NEW_FILE,
    body=common.FORM_OR_JSON,
    problems=_UPLOAD_REFUSED,
    public=True,
    keyed=True,
)
async def upload(request: Request) -> Response | schemas.files.Manifest:
    """Upload with a grant.

    No other credential is needed. The grant's name and directory replace those of the request.
    """
    server = services(request)
    principal, grant = await _bearer(request, server, Action.UPLOAD, Action.MEDIA_UPLOAD)
    if grant.action is Action.MEDIA_UPLOAD:
        return await take_media(request, server, principal)
    return await take(request, server, principal, in_json=_is_in_json(request, server, grant))


def _is_in_json(request: Request, server: Services, grant: Grant) -> bool:
    """Whether a body of JSON holds a file, and is not itself one.

    PUT sends the file itself. Where the grant takes no file of that type, it can only hold one.
    """
    if essence(request.headers.get("content-type", "")) != JSON:
        return False
    kind = server.uploads.kinds.get(grant.kind)
    lists = [bounds.mime_types for bounds in (grant, kind) if bounds is not None]
    return request.method == "POST" or not all(is_allowed(JSON, each) for each in lists)


@api.operation("GET /v1/g/{token}/check", "checkGrant", _CHECKED, public=True)
@api.operation(
    "GET /v1/g/{token}/{quality}/check",
    "checkGrantQuality",
    _CHECKED,
    summary="Check whether a proxy may serve the file in one quality",
    public=True,
)
async def check(request: Request) -> Response:
    """Check whether a proxy may serve the file.

    The statuses 204, 401 and 403 are those of nginx's `auth_request`.
    """
    try:
        quality, manifest, _ = await _file(request, services(request))
    except (NotFound, Gone) as error:
        raise Forbidden("The file of this grant was deleted.") from error
    headers = {
        "X-Lading-File": manifest.id,
        "X-Lading-Quality": str(quality),
        "Cache-Control": "no-store",
    }
    return Response(status_code=204, headers=headers)


@api.operation(
    "GET /v1/g/{token}",
    "downloadWithGrant",
    common.FILE_BYTES,
    parameters=(common.CROP, *common.BYTES_WANTED),
    problems=common.PICTURE_REFUSED,
    public=True,
    head=True,
)
@api.operation(
    "GET /v1/g/{token}/{quality}",
    "downloadQualityWithGrant",
    common.FILE_BYTES,
    summary="Download in one quality",
    parameters=(common.CROP, *common.BYTES_WANTED),
    problems=common.PICTURE_REFUSED,
    public=True,
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download with a grant."""
    server = services(request)
    quality, manifest, grant = await _file(request, server)
    # The bytes of an address never change, and end for its bearer with the grant.
    rest = max(0, int(grant.expires_at - server.clock()))
    if quality == ORIGINAL:
        response = await respond(request, server, manifest, Keeping(rest))
    else:
        response = await respond_picture(request, server, manifest, quality, Keeping(rest))
    # The address is the credential: pages of any site may show the file, and must not leak the
    # address in a Referer.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def _file(request: Request, server: Services) -> tuple[int, Manifest, Grant]:
    """The requested quality, and the file of a download grant, which comes last."""
    principal, grant = await _watcher(request, server)
    quality = quality_of(request, grant.quality or ORIGINAL)
    grant.check_quality(quality)
    assert grant.file_id is not None
    manifest = await server.uploads.get(principal, grant.file_id)
    if request.method == "GET":
        await server.grants.note_watcher(grant, watcher(request, grant))
    return quality, manifest, grant


async def _watcher(request: Request, server: Services) -> tuple[Principal, Grant]:
    """The bearer of a download grant, also of one that expired during a film."""
    try:
        return await _bearer(request, server, Action.DOWNLOAD)
    except Forbidden as error:
        now = server.clock()
        found = await server.grants.find(request.path_params["token"], now)
        grant = check_watching(request, found, now, server.settings.watch_grace, error)
        return Principal(grant.user_id, expires=grant.expires_at, grant=grant), grant
