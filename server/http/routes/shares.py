"""`/s/{token}`: what somebody shared, for everyone who has the link.

The token is that of a grant for share. Nothing here shows or takes anything else of the owner's:
every file is compared with the grant, and every folder begins with the one that it names.
Source: page 13 of the design, "Sharing"; docs/decisions/0082.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lading.protocol.errors import (
    Forbidden,
    Gone,
    Incomplete,
    InvalidArgument,
    NotFound,
    NotReady,
    PreconditionFailed,
    QuotaExceeded,
    RangeNotSatisfiable,
    RateLimited,
    TooLarge,
    Unauthorized,
    UnprocessableImage,
)
from lading.protocol.grants import MAX_PASSWORD, ORIGINAL, Action, Grant
from lading.protocol.manifest import Manifest, State
from lading.protocol.names import canonical_directory
from lading.protocol.spec import MAX_NAME, check_text
from lading.server.access.grants import is_token
from lading.server.access.principal import Principal
from lading.server.access.visits import Visit, begin, visit_of
from lading.server.http import cursors
from lading.server.http.body import read_body
from lading.server.http.download import respond, respond_picture
from lading.server.http.download.headers import Keeping
from lading.server.http.download.picture import quality_of
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Body, Operations, Parameter, Reply
from lading.server.http.people import shared
from lading.server.http.people.messages import opens_page
from lading.server.http.routes.archive import ZIP, send
from lading.server.net.problems import STATUS
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.urls import absolute, origin
from lading.storage.collections.audit import Act
from lading.storage.collections.file_lists import Order, Ordering
from lading.storage.collections.manifests import FileFilter

api = Operations("Links")

LISTED = 200
BY_NAME = Ordering(Order.NAME, descending=False)
MAX_FORM = 16 * 1024

_HTML = {"text/html": {"type": "string"}}
_INSIDE = Parameter("in", "A folder inside of the shared one.", common.TEXT)
_LINK_REFUSED = (NotFound, Gone, Unauthorized, RateLimited)
_BYTES_REFUSED = (*_LINK_REFUSED, RangeNotSatisfiable, PreconditionFailed)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A link whose password, if any, was given."""

    grant: Grant
    principal: Principal
    visit: Visit


# -- who may


async def _grant(request: Request, server: Services) -> Grant:
    """The grant of the link; raises NotFound, and Gone when it expired."""
    token = request.path_params["token"]
    now = server.clock()
    grant = await server.grants.find(token, now) if is_token(token) else None
    if grant is None or grant.action is not Action.SHARE:
        raise NotFound("There is no such link; it may have been revoked.")
    record_of(request.scope).user_id = grant.user_id
    if grant.expires_at <= now:
        raise Gone("Whoever shared it chose how long it works, and that time is over.")
    return grant


async def _open(request: Request, server: Services) -> _Opened:
    """The link, for a request that has its password; raises Unauthorized."""
    grant = await _grant(request, server)
    visit = visit_of(request, grant, server.secret, server.clock())
    if not visit.unlocked:
        await _check_basic(request, server, grant)
    return _Opened(grant, Principal(grant.user_id, expires=grant.expires_at, grant=grant), visit)


async def _check_basic(request: Request, server: Services, grant: Grant) -> None:
    """Raise Unauthorized unless the request has the password, as programs send it (RFC 7617)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            _, _, password = b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            password = ""
        if await _is_password(server, grant, password):
            return
    raise Unauthorized(
        "This link has a password. Open it in a browser, or send it as `curl -u :PASSWORD`."
    )


async def _is_password(server: Services, grant: Grant, given: str) -> bool:
    """Whether this is the link's password; raises RateLimited after too many wrong ones."""
    assert grant.password is not None
    limits = server.limits.links
    allowed = await server.grants.guess(
        grant.id, server.clock(), most=limits.guesses, seconds=limits.guess_seconds
    )
    if not allowed:
        raise RateLimited("Too many wrong passwords for this link; try again in some minutes.")
    if not 0 < len(given) <= MAX_PASSWORD or not await server.passwords.matches(
        grant.password, given
    ):
        return False
    await server.grants.guessed(grant.id)
    return True


async def _count(
    request: Request, server: Services, opened: _Opened, file: Manifest | None
) -> None:
    """Count the visit, once; raises Gone when the link was used as often as it may be."""
    if request.method != "GET":
        return
    new = await server.grants.visit(opened.grant, opened.visit.id, server.clock())
    if new is None:
        raise Gone("It was downloaded as often as whoever shared it allowed.")
    if new:
        principal, grant = opened.principal, opened.grant
        detail = None if file is not None else f"zip of {grant.directory}"
        await server.uploads.audit.note(
            Act.FETCHED, principal, file, owner=grant.user_id, detail=detail
        )


# -- what for


async def _file(server: Services, opened: _Opened, file_id: str) -> Manifest:
    """A finished file of the link; raises NotFound in the same words whatever the reason."""
    missing = NotFound("There is no such file in what was shared.")
    try:
        manifest = await server.uploads.get(opened.principal, file_id)
    except (NotFound, Gone, Forbidden, InvalidArgument):
        raise missing from None
    if manifest.state is not State.READY:
        raise missing
    return manifest


def _inside(request: Request) -> str:
    """The folder inside of the shared one, in its one form. `..` is a name like any other."""
    inside = request.query_params.get("in", "")
    check_text("in", inside, MAX_NAME)
    return canonical_directory(inside)


def _directory(grant: Grant, inside: str) -> str:
    if grant.directory is None:
        raise NotFound("This link is for one file.")
    return f"{grant.directory}/{inside}" if inside else grant.directory


def _link(request: Request, server: Services, grant: Grant) -> shared.Link:
    token = request.path_params["token"]
    whole = absolute(server.settings, origin(request), f"/s/{token}")
    has_password = grant.password is not None
    return shared.Link(
        token, whole, grant.expires_at, grant.file_id is None, has_password=has_password
    )


# -- pages


@api.operation(
    "GET /s/{token}",
    "openLink",
    {200: Reply("The page.", _HTML)},
    parameters=(
        _INSIDE,
        Parameter("file", "A file of the shared folder.", common.ID_TEXT),
        Parameter("cursor", "The next page of files.", {"type": "string"}),
    ),
    problems=(NotFound, Gone),
    public=True,
    head=True,
)
async def show(request: Request) -> Response:
    """Show what a link leads to, as a page.

    With a password, the page asks for it.
    """
    server = services(request)
    grant = await _grant(request, server)
    visit = visit_of(request, grant, server.secret, server.clock())
    link = _link(request, server, grant)
    if not visit.unlocked:
        return shared.password_page(link)
    principal = Principal(grant.user_id, expires=grant.expires_at, grant=grant)
    response = await _page(request, server, link, _Opened(grant, principal, visit))
    if not visit.begun:
        _begin(response, request, server, grant)
    return response


async def _page(request: Request, server: Services, link: shared.Link, opened: _Opened) -> Response:
    grant, wanted = opened.grant, request.query_params.get("file")
    inside = _inside(request)
    if grant.file_id is not None or wanted is not None:
        file = await _file(server, opened, grant.file_id or wanted or "")
        return shared.file_page(link, file, inside)
    directory, cursor = _directory(grant, inside), request.query_params.get("cursor")
    files = await server.library.page(
        opened.principal,
        FileFilter(directory=directory),
        BY_NAME,
        after=None if cursor is None else cursors.read(cursor, BY_NAME),
        most=LISTED + 1,
    )
    more = cursors.write(files[LISTED - 1], BY_NAME) if len(files) > LISTED else None
    within = []
    if cursor is None:
        within = await server.library.directories(opened.principal, directory, most=1000)
    name = (grant.directory or "").rpartition("/")[2]
    return shared.folder_page(link, shared.Contents(name, inside, within, files[:LISTED], more))


def _password(form: bytes) -> str:
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=8)
    except ValueError as error:
        raise InvalidArgument("This is not the form of the page.") from error
    return fields.get("password", [""])[0]


def _begin(response: Response, request: Request, server: Services, grant: Grant) -> None:
    begin(
        response,
        request,
        grant,
        server.secret,
        public_url=server.settings.public_url,
        now=server.clock(),
        seconds=server.limits.links.visit_seconds,
    )


@api.operation(
    "POST /s/{token}",
    "unlockLink",
    {
        303: Reply("The address of the page.", headers={"Location": "The page."}),
    },
    body=Body(
        {
            "application/x-www-form-urlencoded": {
                "type": "object",
                "properties": {"password": {"type": "string"}},
                "required": ["password"],
            }
        },
        "The form of the page.",
    ),
    problems=(NotFound, Gone, TooLarge, Forbidden, RateLimited),
    public=True,
)
async def unlock(request: Request) -> Response:
    """Take the password of a link from its page's form.

    A browser gets the page again where it is wrong.
    """
    server = services(request)
    grant = await _grant(request, server)
    link = _link(request, server, grant)
    form = await read_body(request, MAX_FORM)
    if grant.password is not None:
        try:
            if not await _is_password(server, grant, _password(form)):
                raise Forbidden("This is not the password.")
        except (Forbidden, RateLimited) as error:
            if not opens_page(request):
                raise
            record_of(request.scope).code = error.code
            return shared.password_page(link, str(error), STATUS[error.code])
    response = RedirectResponse(link.base, 303, {"Cache-Control": "no-store"})
    _begin(response, request, server, grant)
    return response


# -- bytes


@api.operation(
    "GET /s/{token}/download",
    "downloadLink",
    {**common.FILE_BYTES, 200: Reply("The file, or the folder as a ZIP.", common.ANYTHING)},
    parameters=common.CONDITIONS,
    problems=_BYTES_REFUSED,
    public=True,
    head=True,
)
async def download(request: Request) -> Response:
    """Download what a link leads to: the file, or the folder as one ZIP. This is for programs.

    A password is sent as HTTP Basic, with any user name.
    """
    server = services(request)
    opened = await _open(request, server)
    if opened.grant.file_id is None:
        return await _zip(request, server, opened, "")
    return await _bytes(request, server, opened, opened.grant.file_id)


@api.operation(
    "GET /s/{token}/files/{id}",
    "downloadLinkFile",
    common.FILE_BYTES,
    parameters=common.BYTES_WANTED,
    problems=_BYTES_REFUSED,
    public=True,
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download a file of a link."""
    server = services(request)
    opened = await _open(request, server)
    return await _bytes(request, server, opened, request.path_params["id"])


async def _bytes(request: Request, server: Services, opened: _Opened, file_id: str) -> Response:
    manifest = await _file(server, opened, file_id)
    record_of(request.scope).upload_id = manifest.id
    await _count(request, server, opened, manifest)
    return _open_to_pages(await respond(request, server, manifest))


@api.operation(
    "GET /s/{token}/files/{id}/{quality}",
    "downloadLinkQuality",
    common.FILE_BYTES,
    summary="Download an image that was made of a file of a link",
    parameters=(common.CROP, *common.BYTES_WANTED),
    problems=(*_BYTES_REFUSED, NotReady, UnprocessableImage, QuotaExceeded),
    public=True,
    head=True,
)
async def picture(request: Request) -> Response:
    """Download an image that was made of a file of a link. It counts as no download."""
    server = services(request)
    opened = await _open(request, server)
    manifest, quality = await _file(server, opened, request.path_params["id"]), quality_of(request)
    if quality == ORIGINAL:
        return await _bytes(request, server, opened, manifest.id)
    rest = max(0, int(opened.grant.expires_at - server.clock()))
    answer = await respond_picture(request, server, manifest, quality, Keeping(min(rest, 3600)))
    return _open_to_pages(answer)


def _open_to_pages(response: Response) -> Response:
    """Pages of any site may show it, and must not leak its address, which is the credential."""
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@api.operation(
    "GET /s/{token}/zip",
    "downloadLinkZip",
    {
        200: Reply("The archive.", {ZIP: {"type": "string", "format": "binary"}}),
        206: Reply("The requested range.", {ZIP: {"type": "string", "format": "binary"}}),
        304: Reply("The client's copy is current."),
    },
    parameters=(_INSIDE, *common.CONDITIONS),
    problems=(*_BYTES_REFUSED, Incomplete, TooLarge),
    public=True,
    head=True,
)
async def zipped(request: Request) -> Response:
    """Download the folder of a link, or one inside of it, as one ZIP."""
    server = services(request)
    return await _zip(request, server, await _open(request, server), _inside(request))


async def _zip(request: Request, server: Services, opened: _Opened, inside: str) -> Response:
    directory = _directory(opened.grant, inside)
    await _count(request, server, opened, None)  # first: a link that is used up costs no listing
    archive = await server.archives.make(opened.principal, directory)
    return _open_to_pages(send(request, archive, directory.rpartition("/")[2]))
