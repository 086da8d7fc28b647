"""`/v1/grants`: create and revoke grants. `/v1/g/{token}`: use one without another credential.

What a grant allows stands in `protocol/grants.py`; it is checked where uploads are created and
files are read.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lading.protocol.allowed_types import is_allowed
from lading.protocol.errors import (
    AlreadyComplete,
    ChunkConflict,
    Forbidden,
    Gone,
    Incomplete,
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    OutOfBounds,
    RateLimited,
)
from lading.protocol.grants import ORIGINAL, Action, Grant, check_password
from lading.protocol.manifest import MAX_INTEGER, Manifest
from lading.protocol.media_types import essence
from lading.protocol.spec import check_id, one_directory
from lading.server.access.grants import is_token, new_token
from lading.server.access.principal import Principal
from lading.server.access.watching import check_watching, watcher
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.download import respond, respond_picture
from lading.server.http.download.headers import Keeping
from lading.server.http.download.picture import quality_of
from lading.server.http.endpoints import Answer
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations, Parameter, Reply
from lading.server.http.people import shared
from lading.server.http.people import upload as upload_pages
from lading.server.http.people.messages import opens_page
from lading.server.http.routes.file_list import page_size
from lading.server.http.routes.files import take
from lading.server.http.routes.grant_uploads import bearer, begin
from lading.server.http.routes.media import take_media
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.urls import (
    absolute,
    channel_url,
    grant_url,
    invitation_url,
    link_url,
    minted_grant_url,
    origin,
    request_url,
)
from lading.storage.collections.audit import Act
from lading.storage.collections.manifests import new_id

api = Operations("Grants")

_SENT = {
    200: Reply(
        "For a medium: the bytes are stored, but not yet published.", {JSON: schemas.files.Manifest}
    ),
    **common.created(
        schemas.files.StoredFiles, "The file is durable.", "The address of the file's bytes."
    ),
    **common.APPROVING,
}
_UPLOAD_REFUSED = (
    *common.FILE_REFUSED,
    Incomplete,
    ChunkConflict,
    AlreadyComplete,
    OutOfBounds,
    MethodNotAllowed,
)
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
    """Create a token for one upload or download, a link that people open, or an invitation.

    Everyone can share what they have by a link, and ask people for files. Only an admin, or
    somebody with the scope `grant`, can create the others, and share what is another's; only an
    admin can invite people.
    """
    server = services(request)
    minter = await server.principal(request)
    body = (await read_json(request, schemas.grants.NewGrant)).root
    _check_minter(server, minter, body)
    grant = _grant(body, minter, server.clock())
    grant.check()
    kind = server.uploads.kinds.find(grant.kind)
    if grant.file_id is not None and not isinstance(body, schemas.grants.NewInvitation):
        # A creator of grants acts for every user, so the file may be anyone's.
        owner = body.user_id if minter.may_grant or minter.admin else minter.user_id
        file = await server.uploads.find(grant.file_id, owner)
        grant = replace(grant, user_id=file.user_id)
    if grant.password is not None:
        grant = replace(grant, password=await server.passwords.hash(grant.password))
    token = new_token()
    await server.grants.insert(grant, token)
    detail = f"{grant.action} {grant.file_id or ''}".strip()
    await server.uploads.audit.note(
        Act.MINTED, minter, owner=grant.user_id, grant_id=grant.id, detail=detail
    )
    shown = schemas.grants.MintedGrant(
        id=grant.id,
        token=token,
        url=_ADDRESSES.get(grant.action, grant_url)(server.settings, token),
        ws_url=channel_url(server.settings),
        expires_at=schemas.types.moment(grant.expires_at),
    )
    if kind is not None:
        shown["kind_rules"] = schemas.kinds.kind_of(kind)
    return Answer(shown, 201, minted_grant_url(server.settings, grant.id))


_ADDRESSES = {
    Action.SHARE: link_url,
    Action.REQUEST: request_url,
    Action.SIGNUP: invitation_url,
}
_FOR_ALL = (schemas.grants.NewShareGrant, schemas.grants.NewRequest)


def _check_minter(server: Services, minter: Principal, body: schemas.grants.AnyNewGrant) -> None:
    own = isinstance(body, _FOR_ALL) and body.user_id in (None, minter.user_id)
    if not (minter.may_grant or minter.admin or own):
        raise Forbidden("This token cannot create such grants: it lacks the scope `grant`.")
    if isinstance(body, schemas.grants.NewInvitation):
        if not minter.admin:
            raise Forbidden("Only an admin can invite people.")
        if server.settings.signup == "closed":
            raise Forbidden("Nobody can sign up here; see LADING_SIGNUP.")


def _grant(body: schemas.grants.AnyNewGrant, minter: Principal, now: float) -> Grant:
    owner = None if isinstance(body, schemas.grants.NewInvitation) else body.user_id
    given = body.model_dump(exclude={"action", "user_id", "expires_in"}, exclude_none=True)
    if "mime_types" in given:
        given["mime_types"] = tuple(given["mime_types"])
    if isinstance(body, _FOR_ALL):
        given.setdefault("uses", MAX_INTEGER)
        if "directory" in given:
            given["directory"] = one_directory(given["directory"])
    return Grant(
        id=new_id(now),
        action=Action(body.action),
        user_id=minter.user_id if owner is None else owner,
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
    hidden = grant is None or grant.action is Action.MEDIA_UPLOAD or grant.parent is not None
    if grant is None or hidden or not mine:
        raise NotFound(f"There is no grant {grant_id}.")
    return grant


@api.operation(
    "GET /v1/grants",
    "listGrants",
    common.ok(schemas.grants.GrantList, "One page of grants."),
    parameters=(
        Parameter(
            "action",
            "Only grants for this. Repeat it for several.",
            {
                "type": "array",
                "items": {"enum": ["upload", "download", "share", "request", "signup"]},
                "maxItems": 5,
            },
        ),
        common.LIMIT,
        common.CURSOR,
        common.USER,
    ),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.grants.GrantList:
    """List the grants that the caller created, the newest first."""
    server = services(request)
    principal = await server.acting(request)
    cursor = request.query_params.get("cursor")
    before = None if cursor is None else check_id(cursor)
    most = page_size(request.query_params.get("limit"))
    actions = [Action(each) for each in request.query_params.getlist("action")]
    found = await server.grants.minted(
        principal.user_id,
        actions=actions,
        before=before,
        most=most + 1,
    )
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
    "PATCH /v1/grants/{id}",
    "changeGrant",
    common.ok(schemas.grants.Grant, "The changed grant."),
    body=common.json_body(schemas.grants.ChangeGrant, {"expires_in": 86400}, required=False),
    problems=(NotFound, RateLimited),
)
async def change(request: Request) -> schemas.grants.Grant:
    """Change how long a grant is good for, how often, the password of a link or its bytes in all.

    Fields that are left out keep their values. A password of null is removed, and with uses of null
    a link works for all. `max_size` is for links with which files are sent. Another password ends
    the visits of those who gave the old one.
    """
    server = services(request)
    principal = await server.principal(request)
    body = await read_json(request, schemas.grants.ChangeGrant)
    grant = await _own(request, server)
    given = body.model_fields_set
    _check_changes(grant, body)
    changed = grant
    if body.expires_in is not None:
        changed = replace(changed, expires_at=server.clock() + body.expires_in)
    if "uses" in given:
        changed = replace(changed, uses=MAX_INTEGER if body.uses is None else body.uses)
    if "max_size" in given:
        changed = replace(changed, max_size=body.max_size)
    if "password" in given:
        hashed = None
        if body.password is not None:
            check_password(body.password)
            hashed = await server.passwords.hash(body.password)
        changed = replace(changed, password=hashed)
    found = await server.grants.change(changed)
    if found is None:
        raise NotFound(f"There is no grant {grant.id}.")
    await server.uploads.audit.note(
        Act.CHANGED, principal, owner=grant.user_id, grant_id=grant.id, detail=", ".join(given)
    )
    return schemas.grants.grant_of(found)


def _check_changes(grant: Grant, body: schemas.grants.ChangeGrant) -> None:
    """Raise InvalidArgument for a change of what grants for this action do not have."""
    given, action = body.model_fields_set, grant.action
    if "password" in given and action is not Action.SHARE:
        raise InvalidArgument("Only a link to files has a password.")
    if "max_size" in given and action is not Action.REQUEST:
        raise InvalidArgument("`max_size` changes only where people are asked for files.")
    if "uses" in given and body.uses is None and action not in (Action.SHARE, Action.REQUEST):
        raise InvalidArgument("Only a link has no limit of uses.")


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
    principal = await server.principal(request)
    await server.uploads.audit.note(Act.REVOKED, principal, owner=grant.user_id, grant_id=grant.id)


# -- using


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

    No other credential is needed. The grant's name and directory replace those of the request. The
    address also speaks tus and the IETF's resumable uploads.
    """
    server = services(request)
    principal, grant = await bearer(request, server, Action.UPLOAD, Action.MEDIA_UPLOAD)
    if grant.action is Action.MEDIA_UPLOAD:
        return await take_media(request, server, principal)
    begun = await begin(request, server, principal)
    if begun is not None:
        return begun
    stored = await take(request, server, principal, in_json=_is_in_json(request, server, grant))
    return upload_pages.arrived() if opens_page(request) else stored


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
    """Download with a grant.

    A browser that opens the address gets a page with the file; `/0` behind it, or `?download=1`,
    is always the file itself.
    """
    server = services(request)
    if "quality" not in request.path_params and opens_page(request):
        page = await _page(request, server)
        if page is not None:
            return page
    quality, manifest, grant = await _file(request, server)
    # The bytes of an address never change, and end for its bearer with the grant.
    rest = max(0, int(grant.expires_at - server.clock()))
    if quality == ORIGINAL:
        # Who approves a file gets its bytes before it has its place.
        own = grant.approves
        response = await respond(request, server, manifest, Keeping(rest), elsewhere=not own)
    else:
        response = await respond_picture(request, server, manifest, quality, Keeping(rest))
    # The address is the credential: pages of any site may show the file, and must not leak the
    # address in a Referer.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.append("Vary", "Accept")
    return response


async def _page(request: Request, server: Services) -> Response | None:
    """The page of a grant; None where it is for one image. Raises NotFound, Gone."""
    token, now = request.path_params["token"], server.clock()
    grant = await server.grants.find(token, now) if is_token(token) else None
    if grant is None or grant.action is Action.MEDIA_UPLOAD:
        raise NotFound("There is no such link; it may have been revoked.")
    if grant.expires_at <= now:
        raise Gone("Whoever sent it chose how long it works, and that time is over.")
    match grant.action:
        case Action.SHARE:
            return RedirectResponse(f"../../s/{token}", 303, {"Cache-Control": "no-store"})
        case Action.REQUEST:
            return RedirectResponse(f"../../r/{token}", 303, {"Cache-Control": "no-store"})
        case Action.UPLOAD:
            return upload_pages.form(token, grant)
    if grant.quality not in (None, ORIGINAL) or grant.approves:
        return None
    _, manifest, grant = await _file(request, server)
    if grant.quality == ORIGINAL:
        manifest = replace(manifest, pictures={})  # its images are not allowed
    whole = absolute(server.settings, origin(request), f"/v1/g/{token}")
    link = shared.Link(token, whole, grant.expires_at, is_grant=True)
    return shared.file_page(link, manifest)


async def _file(request: Request, server: Services) -> tuple[int, Manifest, Grant]:
    """The requested quality, and the file of a download grant, which comes last."""
    principal, grant = await _watcher(request, server)
    quality = quality_of(request, grant.quality or ORIGINAL)
    grant.check_quality(quality)
    assert grant.file_id is not None
    record = record_of(request.scope)
    record.user_id, record.upload_id = principal.user_id, grant.file_id
    manifest = await server.uploads.get(principal, grant.file_id)
    if grant.approves and manifest.approving:
        manifest = manifest.as_approved()
    server.uploads.approvals.check_readable(manifest)
    # Once for each of them: a player asks for many ranges of one film.
    seen = request.method != "GET"
    if not seen and await server.grants.note_watcher(grant, watcher(request, grant)):
        await server.uploads.audit.note(Act.FETCHED, principal, manifest)
    return quality, manifest, grant


async def _watcher(request: Request, server: Services) -> tuple[Principal, Grant]:
    """The bearer of a download grant, also of one that expired during a film."""
    try:
        return await bearer(request, server, Action.DOWNLOAD)
    except Forbidden as error:
        now = server.clock()
        found = await server.grants.find(request.path_params["token"], now)
        grant = check_watching(request, found, now, server.settings.watch_grace, error)
        return Principal(grant.user_id, expires=grant.expires_at, grant=grant), grant
