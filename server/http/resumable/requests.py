"""The requests of the IETF's draft: create, look, append, cancel.

Each gets who asks; all end in `server/uploads/`. `address` makes the URL of an upload resource from
the id: an upload begun at the address of a grant is continued below it. Which version of the draft
is spoken, the request says; without a word it is the newest, and no interim answer is sent.
Source: draft-ietf-httpbis-resumable-upload; page 11 of the design.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol import rufh
from lading.protocol.digests import parse_digest_field
from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    InvalidArgument,
    LadingError,
    OffsetMismatch,
    TooLarge,
    UnsupportedMediaType,
)
from lading.protocol.media_types import essence
from lading.protocol.spec import UploadSpec
from lading.protocol.tus import new_digest
from lading.server.access.principal import Principal
from lading.server.http.addresses import Address, discarded_if_refused, upload_id
from lading.server.http.body import arriving, check_plain, declared_length
from lading.server.http.form_headers import disposition
from lading.server.http.interim import send_interim
from lading.server.http.new_file import file_spec
from lading.server.http.resumable.answers import NO_STORE, Said, begin, finished, limits, refuse
from lading.server.net.record import record_of
from lading.server.services import Services
from lading.server.uploads.append import Append, Progress
from lading.server.uploads.approval import Undecided

RESUMPTION = 104


def is_asked(request: Request) -> bool:
    """Whether a request for a new file asks to be resumable.

    A form holds a file and is none, so there is nothing to continue. Without a version only a
    request that says it is not all must be understood: the others are whole as they are.
    """
    if essence(request.headers.get("content-type", "")) == "multipart/form-data":
        return False
    dialect = rufh.spoken(request.headers)
    if dialect is None:
        return rufh.completeness(rufh.NEWEST, request.headers) is False
    return rufh.completeness(dialect, request.headers) is not None


def options(request: Request, largest: int | None) -> Response:
    """OPTIONS: that uploads can be resumed here, and their limits."""
    dialect = rufh.spoken(request.headers) or rufh.NEWEST
    headers = NO_STORE | rufh.limits(dialect, largest, None)
    return Response(status_code=204, headers=headers | {"Accept-Patch": rufh.CONTENT_TYPE})


# -- create


async def create(
    request: Request, server: Services, principal: Principal, address: Address
) -> Response:
    """Any request that has a file as its content: a new upload, which may break off."""
    said = begin(request)
    try:
        check_plain(request)  # before the upload is there, since the client is told of it
        asked = rufh.creation(said.dialect, request.headers, declared_length(request))
        upload = await server.uploads.create(principal, _spec(request, asked))
        made, location = upload.manifest, {"Location": address(upload.manifest.id)}
        record_of(request.scope).note_upload(made.id)
        told = False
        if said.announced:
            version = {rufh.VERSION_FIELD: str(said.dialect.version)}
            first = location | version | limits(said, server, made)
            told = send_interim(request, RESUMPTION, first)
        if not asked.complete or said.dialect.keeps_location:
            said.headers |= location
            told = True
        async with (
            discarded_if_refused(server, principal, made.id, told=told),
            server.appends.take(principal, made.id) as append,
        ):
            try:
                return await _take(request, server, said, asked, append)
            except Undecided:
                said.headers |= location  # so that the client can ask again
                raise
    except LadingError as error:
        return refuse(request, said, error)


def _spec(request: Request, asked: rufh.Upload) -> UploadSpec:
    """The upload that the request's metadata describes."""
    headers = request.headers
    names = disposition(headers.get("content-disposition", "").encode("latin-1"))
    digest = _digest(request, "repr-digest")
    if digest is None and asked.complete:
        digest = _digest(request, "content-digest")  # the content is the representation
    return file_spec(
        request,
        name=names.get("filename"),
        size=asked.length,
        mime_type=headers.get("content-type"),
        sha256=None if digest is None else digest.hex(),
    )


def _digest(request: Request, name: str) -> bytes | None:
    try:
        return parse_digest_field(request.headers.get(name, ""), "sha-256")
    except ValueError as error:
        raise InvalidArgument(f"{name}: {error}.") from error


# -- append


async def append(request: Request, server: Services, principal: Principal) -> Response:
    """PATCH: the next bytes of the representation."""
    said = begin(request)
    try:
        if said.dialect.typed_append:
            _check_type(request)
        asked = rufh.append(said.dialect, request.headers, declared_length(request))
        async with server.appends.take(principal, upload_id(request)) as append:
            said.offset = append.offset
            if append.finished:
                raise _completed(said, declared_length(request))
            if asked.offset != append.offset:
                raise _mismatch(asked.offset, append.offset)
            return await _take(request, server, said, asked, append)
    except LadingError as error:
        return refuse(request, said, error)


def _check_type(request: Request) -> None:
    if essence(request.headers.get("content-type", "")) != rufh.CONTENT_TYPE:
        raise UnsupportedMediaType(f"A PATCH has the media type {rufh.CONTENT_TYPE}.")


def _mismatch(provided: int, expected: int) -> OffsetMismatch:
    error = OffsetMismatch(
        f"The upload is at {expected}, not at {provided}; go on from there.", offset=expected
    )
    error.extra |= {
        "type": f"{rufh.PROBLEMS}mismatching-upload-offset",
        "expected-offset": expected,
        "provided-offset": provided,
    }
    return error


def _completed(said: Said, length: int | None) -> InvalidArgument:
    if said.dialect.ends_when_too_long and length != 0:
        return rufh.inconsistent("The upload is complete; nothing can be added to it.")
    kind = f"{rufh.PROBLEMS}completed-upload"
    return InvalidArgument("The upload is complete already.", type=kind)


async def _take(
    request: Request, server: Services, said: Said, asked: rufh.Upload, append: Append
) -> Response:
    """Store the content at the offset; when it was the last one, publish the file."""
    said.offset = append.offset
    digest = _digest(request, "repr-digest") if asked.complete else None
    if asked.length is not None:
        await server.appends.declare(append, asked.length)
    try:
        async with _checked(request, server, asked, append) as body:
            progress = _progress(request, server, said)
            await server.appends.store(append, body, server.budget, progress)
    except TooLarge as error:
        said.offset = append.offset
        size = append.upload.manifest.size
        if size is None:
            raise
        if said.dialect.ends_when_too_long:
            await server.uploads.abort(
                append.principal, append.upload.manifest.id, unfinished_only=True
            )
        raise rufh.inconsistent(f"The upload has {size} bytes; more came.") from error
    said.offset = append.offset
    if not asked.complete:
        headers = limits(said, server, append.upload.manifest) | said.fields()
        created = request.method != "PATCH" or said.dialect.created_on_append
        return Response(status_code=201 if created else 204, headers=headers)
    await server.appends.declare(append, append.offset)
    said.complete = True
    made = append.upload.manifest.id
    try:
        file = await server.uploads.finish(
            append.principal,
            made,
            sha256=None if digest is None else digest.hex(),
            hashed=append.sha256,
        )
    except (ChecksumMismatch, UnsupportedMediaType):
        await server.uploads.discard(append.principal, made, unfinished_only=True)
        raise
    return finished(request, server, said, file)


def _checked(
    request: Request, server: Services, asked: rufh.Upload, append: Append
) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    """The content; a part with a digest only when all of it arrived and is what was sent."""
    body = arriving(request, server.limits.http.idle_seconds)
    wanted = None if asked.complete and not asked.offset else _digest(request, "content-digest")
    if wanted is None:
        return nullcontext(body)
    return server.appends.verified(
        append, body, new_digest("sha256"), lambda: wanted, folder=server.settings.data
    )


def _progress(request: Request, server: Services, said: Said) -> Progress | None:
    """Tells the client now and then how far it is."""
    if not (said.announced and said.dialect.announces_progress):
        return None
    loop, pause = asyncio.get_running_loop(), server.limits.uploads.progress_seconds
    last = loop.time()

    def tell(offset: int) -> None:
        nonlocal last
        if loop.time() - last >= pause:
            last = loop.time()
            version = {rufh.VERSION_FIELD: str(said.dialect.version)}
            send_interim(request, RESUMPTION, version | {"Upload-Offset": str(offset)})

    return tell


# -- look, cancel


async def look(request: Request, server: Services, principal: Principal) -> Response:
    """HEAD or GET: how far the upload is. A request that still appends ends before."""
    said = begin(request)
    try:
        rufh.check_look(said.dialect, request.headers, "Upload-Length")
        async with server.appends.take(principal, upload_id(request)) as append:
            manifest = append.upload.manifest
            said.offset, said.complete = append.offset, append.finished
            length = rufh.fields(said.dialect, length=manifest.size)
            headers = said.fields() | length | limits(said, server, manifest)
            return Response(status_code=204, headers=headers)
    except LadingError as error:
        return refuse(request, said, error)


async def cancel(request: Request, server: Services, principal: Principal) -> Response:
    """DELETE: the upload and its bytes are gone. A finished file is deleted at its own address."""
    said = begin(request)
    try:
        rufh.check_look(said.dialect, request.headers)
        async with server.appends.take(principal, upload_id(request)) as append:
            if append.finished:
                raise AlreadyComplete("The upload is complete; delete the file at /v1/files.")
            await server.uploads.abort(principal, upload_id(request), unfinished_only=True)
        return Response(status_code=204, headers=NO_STORE)
    except LadingError as error:
        return refuse(request, said, error)
