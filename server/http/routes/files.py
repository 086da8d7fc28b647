"""`/v1/files`: one small file by REST, and downloads.

A body is stored in pieces of the upload's own cells, so memory does not grow with the file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.digests import parse_digest_field
from lading.protocol.errors import ChecksumMismatch, InvalidArgument, LadingError, TooLarge
from lading.protocol.grants import ORIGINAL, Action
from lading.protocol.manifest import Manifest, State
from lading.server.access.principal import Principal
from lading.server.http import schemas
from lading.server.http.body import arriving, declared_length
from lading.server.http.data_url import DataUrl
from lading.server.http.download import respond
from lading.server.http.endpoints import adapter
from lading.server.http.multipart import FilePart, Form
from lading.server.http.new_file import file_spec
from lading.server.http.openapi import common, interop
from lading.server.http.openapi.operation import JSON, Operations
from lading.server.http.resumable import requests as resumable
from lading.server.http.routes.resumable import upload_resource
from lading.server.net.record import record_of
from lading.server.services import Services, services
from lading.server.uploads import OpenUpload
from lading.server.uploads.approval import Undecided
from lading.server.uploads.create import largest_size
from lading.server.uploads.intake import Intake, Taken
from lading.server.urls import file_url

api = Operations("Files")


@api.operation(
    "POST /v1/files",
    "createFile",
    {
        **common.created(
            schemas.files.StoredFiles,
            "The file is durable. For a form with several files the answer is a list.",
            "The address of the file's bytes.",
            dict.fromkeys(("getFile", "changeFile", "deleteFile", "getManifest"), "/_id"),
        ),
        **common.APPROVING,
    },
    parameters=common.OWN_FILE,
    body=common.FILE_BODY,
    problems=common.FILE_REFUSED,
    keyed=True,
)
async def create(request: Request) -> Response:
    """Store one small file, or the files of a form.

    All of it or nothing. Larger files are sent as uploads, or over WebSocket. A request with
    `Upload-Complete` is a resumable upload (see `createResumable`) and may have any size.
    """
    server = services(request)
    principal = await server.acting(request, Action.UPLOAD)
    if resumable.is_asked(request):
        return await resumable.create(request, server, principal, upload_resource(request, server))
    return await take(request, server, principal)


@api.operation(
    "OPTIONS /v1/files",
    "describeFiles",
    interop.UPLOAD_LIMITS,
    parameters=common.OWN_FILE,
    public=True,
)
async def describe(request: Request) -> Response:
    """Say that uploads can be resumed here."""
    return resumable.options(request, None)


@dataclass(frozen=True, slots=True)
class Replaced:
    """The file that a body replaces; only at that `revision`, if it is given."""

    file: Manifest
    revision: int | None = None


@dataclass(slots=True)
class _Stored:
    """One file of a request: its upload, and what its bytes were once they are stored."""

    upload: OpenUpload
    taken: Taken | None = None


async def take(
    request: Request,
    server: Services,
    principal: Principal,
    *,
    in_json: bool = False,
    replaced: Replaced | None = None,
) -> Response:
    """Store the body as a file of the principal, or all files of a form; all of it or nothing.

    With `in_json` the body is a JSON object that holds the file. What is `replaced` gets the body
    as its bytes, whatever the body is.
    """
    stored: list[_Stored] = []
    try:
        async with aclosing(_files(request, in_json, raw=replaced is not None)) as parts:
            async for part in parts:
                if stored:
                    _check_several(request)
                upload = await _create(request, server, principal, part, replaced)
                stored.append(_Stored(upload))
                stored[-1].taken = await _take(request, server, principal, stored[-1].upload, part)
        # Published when all of them are stored, so that one which is refused leaves none behind.
        until = time.monotonic() + server.limits.uploads.approve_wait
        manifests = [await _finish(server, principal, each, until) for each in stored]
    except BaseException as error:
        # Also when the client disconnects: half of a small file is useless.
        discarding = server.spawn(_discard(server, principal.user_id, stored))
        if isinstance(error, LadingError):
            # The client may retry at once: quota and grant must be released before the answer.
            await asyncio.shield(discarding)
        raise
    shown = [schemas.files.manifest_of(manifest) for manifest in manifests]
    headers = {"Cache-Control": "no-store"}
    if len(shown) > 1:
        several = schemas.files.SeveralFiles(files=shown)
        body = adapter(schemas.files.SeveralFiles).dump_json(several)
    else:
        body = adapter(schemas.files.Manifest).dump_json(shown[0])
        headers["Location"] = file_url(server.settings, manifests[0].id)
    ready = all(manifest.state is State.READY for manifest in manifests)
    done = 201 if replaced is None else 200
    return Response(body, done if ready else 202, headers, media_type=JSON)


def _check_several(request: Request) -> None:
    """Raise InvalidArgument where what is said of one file would be said of several."""
    for what, said in (
        ("The parameter `name`", "name" in request.query_params),
        ("Repr-Digest", "repr-digest" in request.headers),
    ):
        if said:
            raise InvalidArgument(f"{what} is for one file, and the form has several.")


async def _create(
    request: Request,
    server: Services,
    principal: Principal,
    part: FilePart,
    replaced: Replaced | None,
) -> OpenUpload:
    length = declared_length(request) if part.raw else None
    if length is not None:
        _check_length(server, principal, length)
    spec = file_spec(request, name=part.name, size=length, mime_type=part.mime_type)
    revision = None
    if replaced is not None:
        spec, revision = replace(spec, replaces=replaced.file.id), replaced.revision
    upload = await server.uploads.create(principal, spec, revision=revision)
    record_of(request.scope).note_upload(upload.manifest.id)
    return upload


def _check_length(server: Services, principal: Principal, length: int) -> None:
    """Raise TooLarge for more bytes than one body may have: the grant's bound, else the setting."""
    limit, hint = server.settings.small_file_limit, "; send larger files to /v1/uploads"
    if principal.grant is not None:
        kind = server.uploads.kinds.get(principal.grant.kind)
        bound = largest_size(principal.grant, kind)
        if bound is not None:
            limit, hint = bound, ""
    if length > limit:
        raise TooLarge(f"A file sent this way may have at most {limit} bytes{hint}.", limit=limit)


def _check_whole(principal: Principal, length: int) -> None:
    """Raise Forbidden when the whole body arrived and a grant is for a file of another size."""
    if principal.grant is not None:
        principal.grant.check_size(length)


async def _files(request: Request, in_json: bool, *, raw: bool) -> AsyncGenerator[FilePart, None]:
    """The files of a request: those of a form, that of a JSON object, or, if `raw`, its body."""
    content_type = request.headers.get("content-type", "")
    body = arriving(request)
    wrapped: Form | DataUrl | None = None
    if in_json:
        wrapped = DataUrl(body)
    elif not raw and content_type.partition(";")[0].strip().lower() == "multipart/form-data":
        wrapped = Form(content_type, body)
    if wrapped is not None:
        async with aclosing(wrapped.files()) as parts:
            async for part in parts:
                yield part
    else:
        yield FilePart(None, content_type or None, body, raw=True)


async def _take(
    request: Request, server: Services, principal: Principal, upload: OpenUpload, part: FilePart
) -> Taken:
    check, end = partial(_check_length, server, principal), partial(_check_whole, principal)
    name, body = part.name, _counted(part.stream, check, end)
    taken = await Intake(server.uploads, upload, server.budget).store(body)
    _check_digests(request, part, taken.sha256)
    bound = principal.grant is not None and principal.grant.name is not None
    if part.name and part.name != name and not (bound or request.query_params.get("name")):
        owner = Principal(upload.manifest.user_id)  # the bearer of a grant changes nothing later
        await server.library.change(owner, upload.manifest.id, name=part.name)
    return taken


async def _finish(
    server: Services, principal: Principal, stored: _Stored, until: float
) -> Manifest:
    """The file; an upload where it waits for approval longer than `until` then."""
    taken, upload_id = stored.taken, stored.upload.manifest.id
    assert taken is not None
    patience = max(0.0, until - time.monotonic())
    try:
        return await server.uploads.finish(
            principal,
            upload_id,
            taken.size,
            hashed=taken.sha256,
            head=taken.head,
            proven=taken.proven,
            patience=patience,
        )
    except Undecided:
        return await server.uploads.get(principal, upload_id)


async def _counted(
    stream: AsyncIterator[bytes], check: Callable[[int], None], end: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """The stream; `check` gets the number of bytes after each part, `end` once at the end."""
    arrived = 0
    async for data in stream:
        arrived += len(data)
        check(arrived)
        yield data
    end(arrived)


def _check_digests(request: Request, part: FilePart, sha256: str) -> None:
    """Compare with `Repr-Digest` and `Content-Digest` (RFC 9530) where they name sha-256.

    In a form, `Content-Digest` is the digest of the form, not of the file.
    """
    for field in ("repr-digest", "content-digest") if part.raw else ("repr-digest",):
        try:
            wanted = parse_digest_field(request.headers.get(field, ""), "sha-256")
        except ValueError as error:
            raise InvalidArgument(f"{field}: {error}.") from error
        if wanted is not None and wanted.hex() != sha256:
            raise ChecksumMismatch(
                f"The file has the SHA-256 {sha256}, but {field} has {wanted.hex()}."
            )


async def _discard(server: Services, user_id: str, stored: list[_Stored]) -> None:
    owner = Principal(user_id)  # some may be published already, which a grant cannot delete
    for each in stored:
        with suppress(LadingError):  # the janitor removes it later
            await server.uploads.discard(owner, each.upload.manifest.id)


@api.operation(
    "GET /v1/files/{id}",
    "getFile",
    common.FILE_BYTES,
    parameters=common.BYTES_WANTED,
    problems=common.BYTES_REFUSED,
    head=True,
)
async def fetch(request: Request) -> Response:
    """Download a file, or the stored part of an upload.

    Every piece is verified before it is sent: wrong bytes are never sent.
    """
    server = services(request)
    principal = await server.principal(request, Action.DOWNLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    principal.check_quality(ORIGINAL)
    return await respond(request, server, manifest)
