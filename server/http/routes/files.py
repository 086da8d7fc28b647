"""`/v1/files`: small files by REST, lists, downloads, deletion.

A body is taken in pieces of the upload's own cells, so memory does not grow with the file.
Source: page 4 of the design.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.digests import parse_digest_field
from lading.protocol.errors import ChecksumMismatch, InvalidArgument, LadingError, TooLarge
from lading.protocol.grants import ORIGINAL, Action
from lading.protocol.manifest import Manifest
from lading.protocol.spec import MAX_NAME, UploadSpec, check_id, check_tags, check_text
from lading.server.access.principal import Principal
from lading.server.http.body import arriving, declared_length, read_json, whole_number
from lading.server.http.download import respond
from lading.server.http.models import ChangeFile
from lading.server.http.multipart import FilePart, file_part
from lading.server.http.shapes import answer, manifest_shape
from lading.server.services import Services, services
from lading.server.uploads import OpenUpload
from lading.server.uploads.intake import Intake
from lading.server.urls import file_url
from lading.storage.collections.manifests import FileFilter

UNASKED = "application/x-www-form-urlencoded"
"""What curl says of every body unless it is told better; no file is of that type."""

LISTED = 100
MOST_LISTED = 1000


async def create(request: Request) -> Response:
    """`POST /v1/files`: one small file, raw or as a form's file part."""
    server = services(request)
    return await take(request, server, await server.principal(request, Action.UPLOAD))


async def take(request: Request, server: Services, principal: Principal) -> Response:
    """Take the body as a file of the principal's, all of it or nothing."""
    part = await _body(request)
    length = declared_length(request) if part.raw else None
    if length is not None:
        _check_length(server, principal, length)
    spec = UploadSpec(
        name=request.query_params.get("name") or part.name or "unnamed",
        size=length,
        mime_type=part.mime_type,
        directory=request.query_params.get("directory", ""),
        tags=tuple(request.query_params.getlist("tag")),
    )
    upload = await server.uploads.create(principal, spec)
    try:
        manifest = await _take(request, server, principal, upload, part)
    except BaseException as error:
        # Also when the client went away: half a small file is of no use to anyone.
        discarding = server.spawn(_discard(server, principal, upload.manifest.id))
        if isinstance(error, LadingError):
            # Who tries again must find quota and grant as they were.
            await asyncio.shield(discarding)
        raise
    headers = {"Location": file_url(server.settings, manifest.id)}
    return answer(manifest_shape(manifest), 201, headers)


def _check_length(server: Services, principal: Principal, length: int) -> None:
    """Raise TooLarge for more than is taken in one body: by the grant's bound, else the setting."""
    limit, hint = server.settings.small_file_limit, "; larger ones go by /v1/uploads"
    if principal.grant is not None and principal.grant.limit is not None:
        limit, hint = principal.grant.limit, ""
    if length > limit:
        raise TooLarge(f"A file sent this way may have at most {limit} bytes{hint}.", limit=limit)


def _check_whole(principal: Principal, length: int) -> None:
    """Raise Forbidden when the body came to an end and a grant is for a file of another size."""
    if principal.grant is not None:
        principal.grant.check_size(length)


async def _body(request: Request) -> FilePart:
    content_type = request.headers.get("content-type", "")
    plain = content_type.partition(";")[0].strip().lower()
    if plain == "multipart/form-data":
        return await file_part(content_type, arriving(request))
    if plain == UNASKED:
        content_type = ""
    return FilePart(None, content_type or None, arriving(request), raw=True)


async def _take(
    request: Request, server: Services, principal: Principal, upload: OpenUpload, part: FilePart
) -> Manifest:
    check, end = partial(_check_length, server, principal), partial(_check_whole, principal)
    body = _counted(part.stream, check, end)
    taken = await Intake(server.uploads, upload, server.budget).store(body)
    _check_digests(request, part, taken.sha256)
    return await server.uploads.finish(
        principal, upload.manifest.id, taken.size, hashed=taken.sha256, head=taken.head
    )


async def _counted(
    stream: AsyncIterator[bytes], check: Callable[[int], None], end: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """The stream; how many bytes came is told to `check` all the time, and to `end` once."""
    arrived = 0
    async for data in stream:
        arrived += len(data)
        check(arrived)
        yield data
    end(arrived)


def _check_digests(request: Request, part: FilePart, sha256: str) -> None:
    """Compare with `Repr-Digest` and `Content-Digest` (RFC 9530) where they name sha-256.

    The content of a form is the form: `Content-Digest` says nothing of the file in it.
    """
    for field in ("repr-digest", "content-digest") if part.raw else ("repr-digest",):
        try:
            wanted = parse_digest_field(request.headers.get(field, ""), "sha-256")
        except ValueError as error:
            raise InvalidArgument(f"{field}: {error}.") from error
        if wanted is not None and wanted.hex() != sha256:
            raise ChecksumMismatch(
                f"The file has the SHA-256 {sha256}, {field} says {wanted.hex()}."
            )


async def _discard(server: Services, principal: Principal, upload_id: str) -> None:
    try:
        await server.uploads.discard(principal, upload_id)
    except LadingError:
        return  # the janitor removes what is left


async def fetch(request: Request) -> Response:
    """`GET`, `HEAD /v1/files/{id}`: the bytes."""
    server = services(request)
    principal = await server.principal(request, Action.DOWNLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    principal.check_quality(ORIGINAL)
    return await respond(request, server.uploads, manifest)


async def remove(request: Request) -> Response:
    """`DELETE /v1/files/{id}`."""
    server = services(request)
    await server.uploads.delete(await server.principal(request), request.path_params["id"])
    return Response(status_code=204)


async def change(request: Request) -> Response:
    """`PATCH /v1/files/{id}`: its name, directory, tags."""
    server = services(request)
    principal = await server.principal(request)
    body = await read_json(request, ChangeFile)
    manifest = await server.library.change(
        principal,
        request.path_params["id"],
        name=body.name,
        directory=body.directory,
        tags=None if body.tags is None else tuple(body.tags),
    )
    return answer(manifest_shape(manifest))


async def remove_directory(request: Request) -> Response:
    """`DELETE /v1/files?directory=a/b`: the files of a directory and of those below it."""
    server = services(request)
    principal = await server.principal(request)
    directory = request.query_params.get("directory")
    if not directory:
        raise InvalidArgument("Say which directory: DELETE /v1/files?directory=a/b.")
    check_text("directory", directory, MAX_NAME)
    deleted = await server.library.remove_directory(principal, directory)
    return answer({"directory": directory, "deleted": deleted})


async def listing(request: Request) -> Response:
    """`GET /v1/files`: the caller's files, the newest first."""
    server = services(request)
    principal = await server.principal(request)
    query = request.query_params
    cursor = query.get("cursor")
    most = page_size(query.get("limit"))
    found = await server.library.files(
        principal,
        wanted=_filter(query),
        before=None if cursor is None else check_id(cursor),
        most=most + 1,
    )
    files = found[:most]
    return answer(
        {
            "files": [manifest_shape(manifest) for manifest in files],
            "cursor": files[-1].id if len(found) > most else None,
        }
    )


def _filter(query: QueryParams) -> FileFilter:
    tags = tuple(query.getlist("tag"))
    check_tags(tags)
    for what in ("name", "directory", "mime_type"):
        check_text(what, query.get(what, ""), MAX_NAME)
    return FileFilter(
        name=query.get("name"),
        directory=query.get("directory"),
        mime_type=query.get("mime_type"),
        tags=tags,
    )


def page_size(value: str | None) -> int:
    """How many entries a list answers, from its `limit` parameter."""
    if value is None:
        return LISTED
    return whole_number("limit", value, 1, MOST_LISTED)
